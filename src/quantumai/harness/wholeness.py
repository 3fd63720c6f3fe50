"""Whether the parts of a finished run belong together, before anything is learned or signed.

A run that goes on believes the parts that are there. One that was damaged, lost or exchanged
meanwhile would be sealed as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from quantumai.errors import ArtefactError
from quantumai.harness.plan import LEARNED_FROM
from quantumai.harness.results import result_schema
from quantumai.harness.run import Batch, batches_of
from quantumai.harness.run_folder import RunFolder

if TYPE_CHECKING:
    import pyarrow as pa

_LEARNED = "learned-"


def require_whole(run: RunFolder) -> None:
    """Raise `ArtefactError` for a part that is gone, damaged, another's or too many."""
    cells, plan = run.cells(), run.plan()
    batches = batches_of(run.record(), cells)
    known = {
        name for batch in batches for name in (batch.results, batch.histograms, batch.features)
    }
    for name in run.files():
        room, _, rest = name.partition("/")
        if room not in ("results", "histograms", "features") or name in known:
            continue
        if room != "results" or not rest.rpartition("/")[2].startswith(_LEARNED):
            raise ArtefactError(f"{name} is no file of run {run.path.name}", hint="take it away")
    for batch in batches:
        slice_ = cells.slice(batch.first, batch.length)
        results = _require_results(run, batch, slice_)
        if plan.vendor_of(slice_.column("backend_id")[0].as_py()) is None:
            _require_features(run, batch, results)


def _require_results(run: RunFolder, batch: Batch, cells: pa.Table) -> pa.Table:
    results = run.table(batch.results)
    histograms = run.table(batch.histograms)
    if not results.schema.equals(result_schema()):
        raise _another(run, batch.results)
    if set(results.column("cell_id").to_pylist()) != set(cells.column("cell_id").to_pylist()):
        raise _another(run, batch.results)
    if histograms.num_rows != results.num_rows:
        raise _another(run, batch.histograms)
    return results


def _require_features(run: RunFolder, batch: Batch, results: pa.Table) -> None:
    """Features of each cell in which the method that models learn from has values."""
    names = ("cell_id", "method", "parameters", "failure")
    rows = zip(*(results.column(name).to_pylist() for name in names), strict=True)
    wanted = {
        cell
        for cell, method, parameters, failure in rows
        if (method, parameters) == (LEARNED_FROM.name, "{}") and failure is None
    }
    features = run.read_table(batch.features)
    held = set() if features is None else set(features.column("cell_id").to_pylist())
    if held != wanted:
        raise _another(run, batch.features)


def _another(run: RunFolder, name: str) -> ArtefactError:
    return ArtefactError(
        f"{name} of run {run.path.name} is not what the run's cells ask for",
        hint="take that batch's results away; `qai em run --resume` runs it again",
    )
