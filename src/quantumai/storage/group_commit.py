"""Many threads, one write: who comes while another one writes waits and is written with the next.

A durable write takes as long for a hundred items as for one, so the throughput does not end at one
`fsync` for each call. Who finds nobody writing leads: it takes the queue, writes it, and appoints
the first one who came meanwhile.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from quantumai.errors import QuantumAIError

Item = TypeVar("Item")
Result = TypeVar("Result")


def _one(item: object) -> int:
    return 1


def _taken_lock() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


@dataclass(eq=False)
class _Ticket(Generic[Item, Result]):
    item: Item
    # Released to wake the caller: a bare lock, since an Event costs several times as much.
    asleep: threading.Lock = field(default_factory=_taken_lock)
    leads: bool = False
    result: Result | Exception | None = None
    error: BaseException | None = None


class GroupCommit(Generic[Item, Result]):
    """Calls `write` with items in order of arrival, never twice at once.

    `write` returns for each item its result, durable, or the error that this item alone failed
    with; or it raises with none of them written, and `refuse` makes of that an error of each
    caller's own. A caller that waits longer than `patience_s` gives up (`refuse` gets a
    `TimeoutError`). One write takes items up to the weight `most_at_once`, and at least one: a
    write holds up everybody else's, so it must not grow without bound.

    A leader whose last write had company waits up to `max_delay_s` for as much again, so that
    callers in a loop come together instead of in turn. One who was alone never waits.
    """

    def __init__(
        self,
        write: Callable[[Sequence[Item]], Sequence[Result | Exception]],
        patience_s: float,
        *,
        refuse: Callable[[BaseException], QuantumAIError],
        most_at_once: int = 512,
        weigh: Callable[[Item], int] = _one,
        max_delay_s: float = 0.0,
    ) -> None:
        self._write = write
        self._patience_s = patience_s
        self._refuse = refuse
        self._most_at_once = most_at_once
        self._weigh = weigh
        self._max_delay_s = max_delay_s
        self._lock = threading.Lock()
        self._company = threading.Condition(self._lock)
        self._queue: deque[_Ticket[Item, Result]] = deque()
        self._somebody_leads = False
        self._expected = 1  # items in the last write

    def submit(self, item: Item) -> Result:
        """Write `item` together with what others submit, and return its result.

        Raises the item's own error, or what `refuse` makes of a failed write; the item is then
        not written. (Only after giving up may it still be.)
        """
        ticket: _Ticket[Item, Result] = _Ticket(item)
        with self._lock:
            self._queue.append(ticket)
            ticket.leads = not self._somebody_leads
            self._somebody_leads = True
            if len(self._queue) == self._expected:
                self._company.notify()
        if not ticket.leads:
            self._wait(ticket)
        if ticket.leads:
            self._lead(ticket)
        if ticket.error is not None:
            raise self._refuse(ticket.error) from ticket.error
        if isinstance(ticket.result, Exception):
            raise ticket.result
        assert ticket.result is not None
        return ticket.result

    def _wait(self, ticket: _Ticket[Item, Result]) -> None:
        try:
            in_time = ticket.asleep.acquire(timeout=self._patience_s)
        except BaseException:  # an interrupt: nobody may wait for this thread to lead
            self._leave(ticket)
            raise
        if not in_time:
            self._leave(ticket)
            raise self._refuse(TimeoutError("it is stuck"))

    def _leave(self, ticket: _Ticket[Item, Result]) -> None:
        with self._lock:
            if ticket in self._queue:
                self._queue.remove(ticket)
            if ticket.leads:
                self._appoint_next()

    def _lead(self, own: _Ticket[Item, Result]) -> None:
        try:
            batch = self._gathered()
        except BaseException:  # an interrupt while waiting for company
            self._leave(own)
            raise
        try:
            results = self._write([ticket.item for ticket in batch])
            for ticket, result in zip(batch, results, strict=True):
                ticket.result = result
        except BaseException as error:
            for ticket in batch:
                ticket.error = error
            if not isinstance(error, Exception):
                raise
        finally:
            with self._lock:
                self._appoint_next()
            for ticket in batch:
                ticket.asleep.release()

    def _gathered(self) -> list[_Ticket[Item, Result]]:
        """The tickets of the next write, in order of arrival; the leader's is the first."""
        with self._company:
            if self._expected > 1 and self._max_delay_s:
                self._company.wait_for(
                    lambda: len(self._queue) >= self._expected, self._max_delay_s
                )
            batch = [self._queue.popleft()]
            weight = self._weigh(batch[0].item)
            while self._queue:
                weight += self._weigh(self._queue[0].item)
                if weight > self._most_at_once:
                    break
                batch.append(self._queue.popleft())
            self._expected = len(batch)
        return batch

    def _appoint_next(self) -> None:
        if self._queue:
            self._queue[0].leads = True
            self._queue[0].asleep.release()
        else:
            self._somebody_leads = False
