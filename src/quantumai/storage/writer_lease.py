"""The port to a lease: the right to write, held by one writer while others stand by.

Each holder has an epoch, greater than that of every holder before. What is written carries the
epoch, so that a holder that was asleep finds itself overtaken. A lease makes races rare and
standing by possible; it never decides what stands: a create-only object does.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from quantumai.errors import StorageError


class LeaseError(StorageError):
    """Another writer holds the lease, or this one cannot show any more that it does."""


class WriterLease(Protocol):
    """One writer's side of a lease; threads of the writer may share it and wait for each other."""

    def writing(self, least: int) -> AbstractContextManager[int]:
        """Hold the lease while the body runs; yields the holder's epoch.

        `least` is the newest epoch that is seen in what was written: the yielded one is greater,
        or equal if this holder wrote it. Waits for another holder as long as the adapter was told,
        then raises `LeaseError`; `StorageError` if the lease's medium fails. Both may be retried.
        """
        ...

    def require(self, epoch: int) -> None:
        """Raise `LeaseError` unless this writer holds the lease now, under `epoch`."""
        ...

    def close(self) -> None:
        """Give the lease back, so that nobody has to wait for it; it may be taken again."""
        ...
