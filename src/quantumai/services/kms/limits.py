"""Back-pressure: few calls at once, a short line, a deadline, and threads that nobody waits for.

A call into a token may hang in C code, where no exception reaches it. So calls run in daemon
threads of our own: at the deadline the caller gets its answer and the thread is written off as
leaked, until the call returns after all. A pool of `concurrent.futures` would neither replace such
a thread nor let the process end.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from quantumai.errors import TokenBusyError

Result = TypeVar("Result")
_Job = tuple[Callable[[], Any], Callable[[Any, BaseException | None], None]]


@dataclass(frozen=True)
class Limits:
    """At most `workers` calls at once, `waiting` more in line, each for `deadline_s` in all.

    Of that a request body may take `body_s` to arrive. With `most_leaked` threads stuck, nothing is
    let in any more.
    """

    workers: int = 8
    waiting: int = 56
    deadline_s: float = 10.0
    body_s: float = 5.0
    most_leaked: int = 8
    retry_after_s: float = 1.0


class Gate:
    """Lets calls through as `Limits` allow. All methods belong to one event loop."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._inside = 0  # waiting, or in a call that has not been written off
        self._leaked = 0
        self._free = asyncio.Semaphore(self.limits.workers)
        self._threads = _Threads()

    @property
    def leaked(self) -> int:
        """Threads that are stuck in a call past its deadline."""
        return self._leaked

    @property
    def is_open(self) -> bool:
        """Whether few enough threads are stuck that calls are let in."""
        return self._leaked < self.limits.most_leaked

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """A place in line, and the deadline for all that is done in it.

        Raises `TokenBusyError` at once if the line is full, and at the deadline.
        """
        if not self.is_open:
            raise self._busy(f"{self._leaked} calls hang in the token")
        if self._inside >= self.limits.workers + self.limits.waiting:
            raise self._busy("too many requests at once")
        self._inside += 1
        try:
            async with asyncio.timeout(self.limits.deadline_s) as deadline:
                yield
        except TimeoutError:
            if not deadline.expired():
                raise
            raise self._busy(
                f"no answer within {self.limits.deadline_s:g} s; the call may still be done"
            ) from None
        finally:
            self._inside -= 1

    async def run(self, call: Callable[[], Result]) -> Result:
        """Run `call` in a thread; must be awaited inside `place`."""
        async with self._free:
            loop = asyncio.get_running_loop()
            future: asyncio.Future[Result] = loop.create_future()

            def finish(result: Result, error: BaseException | None) -> None:
                if future.cancelled():
                    self._leaked -= 1
                elif error is not None:
                    future.set_exception(error)
                else:
                    future.set_result(result)

            def report(result: Result, error: BaseException | None) -> None:
                if not loop.is_closed():
                    loop.call_soon_threadsafe(finish, result, error)

            self._threads.start((call, report))
            try:
                return await future
            except asyncio.CancelledError:
                # Else the answer came in the same moment, and no thread is stuck.
                if future.cancelled():
                    self._leaked += 1
                raise

    def _busy(self, why: str) -> TokenBusyError:
        return TokenBusyError(
            f"the key service is busy: {why}",
            retry_after_s=self.limits.retry_after_s,
            hint="try again later, a change with the same Idempotency-Key",
        )


class _Threads:
    """Daemon threads that are started when none is idle and stay for the next call."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._idle = 0

    def start(self, job: _Job) -> None:
        with self._lock:
            short_of_threads = self._idle == 0
            self._idle -= not short_of_threads
        self._jobs.put(job)
        if short_of_threads:
            threading.Thread(target=self._work, name="kms-call", daemon=True).start()

    def _work(self) -> None:
        while True:
            call, report = self._jobs.get()
            try:
                result, error = call(), None
            except Exception as caught:
                result, error = None, caught
            # Idle before the answer is known: whoever reacts to it at once finds this thread.
            with self._lock:
                self._idle += 1
            report(result, error)
            del call, report, result, error
