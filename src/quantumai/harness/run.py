"""Carrying a run out: batches of cells to workers, finished batches to disk, in any order.

A batch is a file that appears whole. What is there is never run again, so a run that was stopped
goes on where it was, and ends with the same rows as one that was not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from quantumai.harness.batch import run_batch
from quantumai.harness.estimation import Bench
from quantumai.harness.fan_out import fan_out
from quantumai.harness.results import FEATURES, HISTOGRAMS, result_schema
from quantumai.harness.run_folder import RunFolder, RunRecord

if TYPE_CHECKING:
    import pyarrow as pa

CELLS_PER_BATCH = 32


@dataclass(frozen=True)
class Progress:
    """How far a run is, in cells; `ready` were there when it went on."""

    done: int
    ready: int
    total: int


@dataclass(frozen=True)
class Batch:
    """A slice of the cells, all of one backend, and the names of what comes of it."""

    first: int
    length: int
    results: str
    histograms: str
    features: str


def carry_out(
    run: RunFolder,
    open_bench: Callable[[], Bench],
    *,
    workers: int,
    progress: Callable[[Progress], None],
) -> None:
    """Run every batch that is not there yet. `open_bench` is called in each worker."""
    cells = run.cells()
    record = run.record()
    todo = [
        batch
        for batch in batches_of(record, cells)
        if not (run.has(batch.results) and run.has(batch.histograms))
    ]
    total, ready = cells.num_rows, cells.num_rows - sum(batch.length for batch in todo)
    done = ready
    progress(Progress(done, ready, total))
    tasks = ((batch, _cells_of(cells, batch)) for batch in todo)
    for batch, made in fan_out(tasks, partial(_opened, open_bench), workers):
        _store(run, record, batch, made)
        done += batch.length
        progress(Progress(done, ready, total))


def missing_batches(run: RunFolder) -> int:
    """How many batches of a run are not there yet."""
    cells = run.cells()
    return sum(not run.has(batch.results) for batch in batches_of(run.record(), cells))


def _opened(open_bench: Callable[[], Bench]) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
    return partial(run_batch, bench=open_bench())


def batches_of(record: RunRecord, cells: pa.Table) -> Iterator[Batch]:
    """All batches of a run, in the order of its cells."""
    backends = cells.column("backend_id").to_pylist()
    first = 0
    while first < len(backends):
        backend = backends[first]
        last = first
        while last < len(backends) and last - first < CELLS_PER_BATCH and backends[last] == backend:
            last += 1
        part = f"part-{first:06d}.parquet"
        yield Batch(
            first,
            last - first,
            f"results/date={record.date}/backend_id={backend}/{part}",
            f"histograms/{part}",
            f"features/{part}",
        )
        first = last


def _cells_of(cells: pa.Table, batch: Batch) -> pa.RecordBatch:
    return cells.slice(batch.first, batch.length).combine_chunks().to_batches()[0]


def _store(run: RunFolder, record: RunRecord, batch: Batch, made: pa.RecordBatch) -> None:
    """Histograms and features first: a batch counts as done once its results are there."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = pa.Table.from_batches([made])
    histograms = table.select([HISTOGRAMS])
    run.write_table(batch.histograms, histograms)
    learned = table.select(["cell_id", FEATURES])
    learned = learned.filter(pc.is_valid(learned.column(FEATURES)))
    if learned.num_rows:
        run.write_table(batch.features, learned)
    paths = [f"{batch.histograms}#{row}" for row in range(table.num_rows)]
    jobs = [record.job_ids[backend] for backend in table.column("backend_id").to_pylist()]
    table = table.drop_columns([HISTOGRAMS, FEATURES])
    for name, values in (("raw_histogram_path", paths), ("job_id", jobs)):
        place = table.column_names.index(name)
        table = table.set_column(place, name, pa.array(values, pa.string()))
    run.write_table(batch.results, table.cast(result_schema()))
