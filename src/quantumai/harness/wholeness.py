"""Whether the parts of a finished run belong together, before anything is learned or signed.

A run that goes on believes the parts that are there. One that was damaged, lost or exchanged
meanwhile would be sealed as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from quantumai.errors import ArtefactError
from quantumai.harness.ml_qem.learned_files import learned_name
from quantumai.harness.results import result_schema, rows_learned_from
from quantumai.harness.run import Batch, batches_of
from quantumai.harness.run_folder import BATCH_FOLDERS, RunFolder

if TYPE_CHECKING:
    import pyarrow as pa


def require_whole(run: RunFolder) -> None:
    """Raise `ArtefactError` for a part that is gone, damaged, another's or too many."""
    cells, plan = run.cells(), run.plan()
    batches = list(batches_of(run.record(), cells))
    known = {name for b in batches for name in (b.results, b.histograms, b.features)}
    known |= {
        f"{b.results.rpartition('/')[0]}/{learned_name(noise)}"
        for b in batches
        for noise in plan.noises
    }
    for name in run.files():
        if name.partition("/")[0] in BATCH_FOLDERS and name not in known:
            raise ArtefactError(f"{name} is no file of run {run.path.name}", hint="take it away")
    for batch in batches:
        asked = cells.slice(batch.first, batch.length)
        results = _require_results(run, batch, asked)
        if plan.vendor_of(asked.column("backend_id")[0].as_py()) is None:
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
    wanted = set(rows_learned_from(results).column("cell_id").to_pylist())
    features = run.read_table(batch.features)
    held = set() if features is None else set(features.column("cell_id").to_pylist())
    if held != wanted:
        raise _another(run, batch.features)


def _another(run: RunFolder, name: str) -> ArtefactError:
    return ArtefactError(
        f"{name} of run {run.path.name} is not what the run's cells ask for",
        hint="take that batch's results away; `qai em run --resume` runs it again",
    )
