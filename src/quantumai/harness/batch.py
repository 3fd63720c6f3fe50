"""A batch of cells to a batch of results, as one pure function.

`run_batch(RecordBatch) -> RecordBatch` knows nothing of files, processes or other batches; a process
pool calls it here, Spark's `mapInArrow` may. Rows come in the order of the cells, methods in the
order of the plan; a cell that fails gives rows that say why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from quantumai.errors import QuantumAIError
from quantumai.harness.assessment import Truth, assessed, failed, truth_of
from quantumai.harness.cells import Cell, read_cells
from quantumai.harness.estimation import Bench, Placed, place, run_cell
from quantumai.harness.results import BATCH_SCHEMA

if TYPE_CHECKING:
    import pyarrow as pa


def run_batch(
    cells: pa.RecordBatch, *, bench: Bench, truth: Callable[[Placed], Truth] = truth_of
) -> pa.RecordBatch:
    """Run and assess every cell; columns of `BATCH_SCHEMA`, a row for each cell and method.

    `truth` computes the ideal values, apart: it sees circuits, and no estimate sees what it gives.
    """
    import pyarrow as pa

    rows = [row for cell, placed in _placed(read_cells(cells), bench) for row in _rows(cell, placed, bench, truth)]
    return pa.RecordBatch.from_pylist(rows, schema=BATCH_SCHEMA)


def _placed(cells: list[Cell], bench: Bench) -> Iterator[tuple[Cell, Placed | QuantumAIError]]:
    """Cells with their circuits, each built once for all the noises and shots it runs at."""
    known: dict[tuple[Any, ...], Placed | QuantumAIError] = {}
    for cell in cells:
        key = cell.circuit_key, cell.calibration_sha256
        if key not in known:
            try:
                known[key] = place(cell, bench.snapshot(cell))
            except QuantumAIError as error:
                known[key] = error
        yield cell, known[key]
