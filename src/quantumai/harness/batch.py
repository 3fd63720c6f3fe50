"""A batch of cells to a batch of results, as one pure function.

`run_batch(RecordBatch) -> RecordBatch` knows nothing of files, processes or other batches: a
process pool calls it here, and Spark's `mapInArrow` may. Rows come in the order of the cells,
methods in the order of the plan; a cell that fails gives rows that say why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from quantumai.errors import QuantumAIError
from quantumai.harness.assessment import Truth, assessed, failed, truth_of
from quantumai.harness.cells import Cell, read_cells
from quantumai.harness.estimation import (
    Bench,
    MethodFailed,
    MethodRun,
    Placed,
    place,
    run_cell,
)
from quantumai.harness.results import batch_schema

if TYPE_CHECKING:
    import pyarrow as pa

TruthOf = Callable[[Placed], Truth]


def run_batch(
    cells: pa.RecordBatch, *, bench: Bench, truth_of: TruthOf = truth_of
) -> pa.RecordBatch:
    """Run and assess every cell; columns of `batch_schema`, a row for each cell and method.

    Raises what may go better when it is tried again, such as `VendorUnavailableError`.
    `truth_of` computes ideal values apart: it sees circuits, and no estimate sees what it gives.
    """
    import pyarrow as pa

    rows: list[dict[str, Any]] = []
    truths: dict[str, Truth] = {}
    for cell, at in _placed(read_cells(cells), bench):
        runs = at if isinstance(at, str) else _runs(cell, at, bench)
        if isinstance(at, str) or isinstance(runs, str):
            placed = None if isinstance(at, str) else at
            rows += [failed(cell, placed, wanted, str(runs)) for wanted in cell.methods]
            continue
        if cell.place_key not in truths:
            truths[cell.place_key] = truth_of(at)
        rows += [
            failed(cell, at, run.wanted, run.reason, run.at_vendor)
            if isinstance(run, MethodFailed)
            else assessed(cell, at, run, truths[cell.place_key])
            for run in runs
        ]
    return pa.RecordBatch.from_pylist(rows, schema=batch_schema())


def _placed(cells: list[Cell], bench: Bench) -> Iterator[tuple[Cell, Placed | str]]:
    """Cells with their circuits, each built once for all the noises and shots it runs at.

    What cannot be placed comes with the reason.
    """
    known: dict[str, Placed | str] = {}
    for cell in cells:
        if cell.place_key not in known:
            try:
                known[cell.place_key] = place(cell, bench.snapshot(cell), bench.sources)
            except QuantumAIError as error:
                known[cell.place_key] = str(error)
        yield cell, known[cell.place_key]


def _runs(cell: Cell, placed: Placed, bench: Bench) -> tuple[MethodRun | MethodFailed, ...] | str:
    """What all methods gave, or why there is nothing."""
    try:
        return run_cell(cell, placed, bench)
    except QuantumAIError as error:
        if error.retryable:  # a row would be for good
            raise
        return str(error)
