"""Many threads, one write: who comes while another one writes waits and is written with the next.

A durable write takes as long for a hundred items as for one, so the throughput does not end at one
`fsync` for each call. Who finds nobody writing leads: it takes the whole queue, writes it, and
appoints the first one who came meanwhile.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from quantumai.errors import EvidenceError, LedgerError, QuantumAIError, StorageError

# A transaction holds up everybody else's, so it must not grow without bound.
_MOST_AT_ONCE = 512

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(eq=False)
class _Ticket(Generic[Item, Result]):
    item: Item
    woken: threading.Event = field(default_factory=threading.Event)
    leads: bool = False
    result: Result | None = None
    error: BaseException | None = None


class GroupCommit(Generic[Item, Result]):
    """Calls `write` with items in order of arrival, never twice at once.

    `write` returns one result for each item, all of them durable, or raises with none of them
    written. A caller that waits longer than `patience_s` gives up.
    """

    def __init__(
        self, write: Callable[[Sequence[Item]], Sequence[Result]], patience_s: float
    ) -> None:
        self._write = write
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._queue: deque[_Ticket[Item, Result]] = deque()
        self._somebody_leads = False

    def submit(self, item: Item) -> Result:
        """Write `item` together with what others submit, and return its result.

        Raises `LedgerError` where `write` found damage, and `StorageError` for all else; the item
        is then not written. (Only after giving up may it still be.)
        """
        ticket: _Ticket[Item, Result] = _Ticket(item)
        with self._lock:
            self._queue.append(ticket)
            ticket.leads = not self._somebody_leads
            self._somebody_leads = True
        if not ticket.leads:
            self._wait(ticket)
        if ticket.leads:
            self._lead()
        if ticket.error is not None:
            raise _refusal(ticket.error) from ticket.error
        assert ticket.result is not None
        return ticket.result

    def _wait(self, ticket: _Ticket[Item, Result]) -> None:
        try:
            in_time = ticket.woken.wait(self._patience_s)
        except BaseException:  # an interrupt: nobody may wait for this thread to lead
            self._leave(ticket)
            raise
        if not in_time:
            self._leave(ticket)
            raise StorageError("the call cannot be audited: the audit log is stuck")

    def _leave(self, ticket: _Ticket[Item, Result]) -> None:
        with self._lock:
            if ticket in self._queue:
                self._queue.remove(ticket)
            if ticket.leads:
                self._appoint_next()

    def _lead(self) -> None:
        with self._lock:
            batch = [self._queue.popleft() for _ in range(min(len(self._queue), _MOST_AT_ONCE))]
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
                ticket.woken.set()

    def _appoint_next(self) -> None:
        if self._queue:
            self._queue[0].leads = True
            self._queue[0].woken.set()
        else:
            self._somebody_leads = False


def _refusal(error: BaseException) -> QuantumAIError:
    """An error of each caller's own: one exception object cannot be raised by many threads."""
    kind = LedgerError if isinstance(error, EvidenceError) else StorageError
    reason = str(error) or type(error).__name__
    return kind(f"the call cannot be audited: {reason}", hint=getattr(error, "hint", ""))
