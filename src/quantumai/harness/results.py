"""The columns of a run's results: the specification's first, then ours.

A row is one method on one cell. Where the cell failed, `failure` says why and values are null.
`job_id` and `raw_histogram_path` are known to the run, `runtime_seconds` to the clock: these three
are no part of what a batch computes again, hence not of `content_sha256`.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import TYPE_CHECKING

from quantumai.errors import BadInputError
from quantumai.harness.plan import LEARNED_FROM

if TYPE_CHECKING:
    import pyarrow as pa

UNREPEATABLE = ("job_id", "raw_histogram_path", "runtime_seconds")
HISTOGRAMS, FEATURES = "histograms", "features"
LEARNED = "ml-qem"
"""The method of what the learning step adds."""
CONTROLS = ("descriptors", "shuffled", "recalibration", "rescaled", "light cone")
"""What the parameter "control" of such a row may be: see `ml_qem.controls`."""
LIAO_FOREST = "liao-forest"
"""The same for the model of somebody else: see `ml_qem.liao_forest`."""

_TEXT, _WHOLE, _REAL, _REALS, _FLAG = "string", "int64", "float64", "list<double>", "bool"
_COLUMNS = {
    "job_id": _TEXT,
    "circuit_id": _TEXT,
    "family": _TEXT,
    "shots": _WHOLE,
    "raw_histogram_path": _TEXT,
    "unmitigated_fidelity": _REAL,
    "mitigated_fidelity": _REAL,
    "method": _TEXT,
    "parameters": _TEXT,
    "runtime_seconds": _REAL,
    "cell_id": _TEXT,
    "variant": _TEXT,
    "num_qubits": _WHOLE,
    "circuit_parameters": _TEXT,
    "circuit_seed": _WHOLE,
    "backend_id": _TEXT,
    "calibration_id": _TEXT,
    "calibration_sha256": _TEXT,
    "noise": _TEXT,
    "engine": _TEXT,
    "seed": _TEXT,
    "split": _TEXT,
    "unseen": _TEXT,
    "physical_circuit_sha256": _TEXT,
    "total_shots": _WHOLE,
    "circuits_run": _WHOLE,
    "observables": "list<string>",
    "ideal": _REALS,
    "raw": _REALS,
    "raw_std_errs": _REALS,
    "mitigated": _REALS,
    "mitigated_std_errs": _REALS,
    "equal_shot": _REALS,
    "equal_shot_std_errs": _REALS,
    "signal": _REAL,
    "low_signal": _FLAG,
    **{f"{what}_{which}": _REAL for what in ("rmse", "mae", "std_err")
       for which in ("raw", "mitigated", "equal_shot")},
    "observed_precision_fidelity": _REAL,
    "eps": _REAL,
    "hellinger_polarized": _REAL,
    "fallbacks": "list<string>",
    "vendor_job_ids": "list<string>",
    "cell_cost_usd": _REAL,
    "calibrations_at_run": "list<string>",
    "failure": _TEXT,
    "versions": _TEXT,
}  # fmt: skip


@cache
def result_schema() -> pa.Schema:
    """All columns in order."""
    import pyarrow as pa

    types = {
        _TEXT: pa.string(),
        _WHOLE: pa.int64(),
        _REAL: pa.float64(),
        _FLAG: pa.bool_(),
        _REALS: pa.list_(pa.float64()),
        "list<string>": pa.list_(pa.string()),
    }
    return pa.schema([(name, types[kind]) for name, kind in _COLUMNS.items()])


@cache
def batch_schema() -> pa.Schema:
    """What a batch gives: results, the histograms behind them, and what models learn from.

    `histograms` are canonical JSON; `features` the rows of all observables, one after the other,
    only for the method "rem".
    """
    import pyarrow as pa

    more = [pa.field(HISTOGRAMS, pa.binary()), pa.field(FEATURES, pa.list_(pa.float64()))]
    return pa.schema([*result_schema(), *more])


def require_results(table: pa.Table) -> pa.Table:
    """Return `table` if its columns are those of results, else raise `BadInputError`."""
    if table.schema != result_schema():
        differing = set(table.schema.names) ^ set(result_schema().names)
        raise BadInputError(f"these are no results of this release: {sorted(differing)[:5]}")
    return table


def rows_learned_from(results: pa.Table) -> pa.Table:
    """Rows of the method that models learn from, as far as they have values."""
    import pyarrow.compute as pc

    wanted = pc.is_null(results["failure"])
    for column, value in (("method", LEARNED_FROM.name), ("parameters", "{}")):
        wanted = pc.and_(wanted, pc.equal(results[column], value))
    return results.filter(wanted)


def content_sha256(table: pa.Table) -> str:
    """SHA-256 (hex) of what the rows say, whatever their order and chunks.

    Rows are ordered by cell, method and parameters; floating-point numbers count to the last bit.
    """
    kept = table.drop_columns([name for name in UNREPEATABLE if name in table.column_names])
    keys = [("cell_id", "ascending"), ("method", "ascending"), ("parameters", "ascending")]
    ordered = kept.sort_by(keys).combine_chunks()
    digest = hashlib.sha256()
    for batch in ordered.to_batches():
        for column in batch.columns:
            digest.update(repr(column.to_pylist()).encode())
    return digest.hexdigest()
