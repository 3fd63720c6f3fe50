"""Batches spread over worker processes: the same rows whatever their number, order or fate.

What goes to a worker and comes back are Arrow IPC bytes; nothing depends on which worker took it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import pyarrow as pa

Task = TypeVar("Task")

_function: Callable[[pa.RecordBatch], pa.RecordBatch] | None = None


def available_workers() -> int:
    """How many processes this machine has a core for."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def fan_out(
    batches: Iterable[tuple[Task, pa.RecordBatch]],
    open_function: Callable[[], Callable[[pa.RecordBatch], pa.RecordBatch]],
    workers: int,
) -> Iterator[tuple[Task, pa.RecordBatch]]:
    """Results as they are ready, each with the task its batch came with.

    `open_function` is called once in every worker, so it has to be picklable: a function of a
    module, or a partial of one. With one worker everything happens in this process.
    """
    if workers <= 1:
        function = open_function()
        for task, batch in batches:
            yield task, function(batch)
        return
    import multiprocessing
    from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait

    # Not fork: this process may hold threads and locks that a copy would never get back.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _open, (open_function,)) as pool:
        waiting: dict[Future[bytes], Task] = {}
        todo = iter(batches)
        try:
            while True:
                while len(waiting) < 2 * workers and (item := next(todo, None)) is not None:
                    waiting[pool.submit(_run, _to_bytes(item[1]))] = item[0]
                if not waiting:
                    return
                done, _ = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    yield waiting.pop(future), _from_bytes(future.result())
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _open(open_function: Callable[[], Callable[[pa.RecordBatch], pa.RecordBatch]]) -> None:
    global _function
    _function = open_function()


def _run(data: bytes) -> bytes:
    if _function is None:
        raise RuntimeError("the worker was not opened")
    return _to_bytes(_function(_from_bytes(data)))


def _to_bytes(batch: pa.RecordBatch) -> bytes:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def _from_bytes(data: bytes) -> pa.RecordBatch:
    import pyarrow as pa

    with pa.ipc.open_stream(data) as reader:
        return reader.read_all().combine_chunks().to_batches()[0]
