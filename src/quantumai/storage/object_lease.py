"""A writer's lease in an object store: one create-only object for each epoch.

`<prefix><epoch>` says who holds it and until when. Its holder renews it (in place, nobody else
writes it); after it has expired whoever creates the next epoch is the next holder, and of several
one does. Clocks that disagree, or a holder that sleeps, can make two believe that they hold it:
see `writer_lease` for why that is no harm.

It is for writers that share no disk. Homes do not use it: their writers share a database on one.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import msgspec

from quantumai.canonical import canonical_json
from quantumai.errors import NotFoundError
from quantumai.storage.objects import ObjectStore
from quantumai.storage.writer_lease import LeaseError

PREFIX = "ledger/lease/"
_POLL_S = 0.25


class LeaseRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who holds an epoch, and until when (ISO 8601 UTC); given back: until the very beginning."""

    holder: str
    until: datetime


_RELEASED = datetime(1970, 1, 1, tzinfo=UTC)


class ObjectLease:
    """`WriterLease` in an object store; `clock` returns aware UTC times.

    It is held for `term_s` from each renewal, and renewed by writing in the second half of that.
    """

    def __init__(
        self,
        objects: ObjectStore,
        clock: Callable[[], datetime],
        *,
        term_s: float = 15.0,
        patience_s: float = 30.0,
        wait: Callable[[float], None] = time.sleep,
        prefix: str = PREFIX,
    ) -> None:
        self._objects = objects
        self._clock = clock
        self._term = timedelta(seconds=term_s)
        self._patience = timedelta(seconds=patience_s)
        self._wait = wait
        self._prefix = prefix
        self._holder = secrets.token_hex(8)
        self._threads = threading.Lock()
        self._epoch = 0
        self._until = _RELEASED

    @contextmanager
    def writing(self, least: int) -> Iterator[int]:
        """See `WriterLease.writing`."""
        with self._threads:
            self._renew_or_take(least)
            yield self._epoch

    def require(self, epoch: int) -> None:
        """See `WriterLease.require`."""
        if epoch != self._epoch or not self._is_held():
            raise LeaseError("the writer's lease has run out", hint="try again")

    def close(self) -> None:
        """See `WriterLease.close`."""
        with self._threads:
            if self._is_held():
                self._store(_RELEASED)
            self._until = _RELEASED

    def _is_held(self) -> bool:
        """Whether the lease has not run out, and nobody took the next epoch."""
        return self._clock() < self._until and not self._objects.exists(self._key(self._epoch + 1))

    def _renew_or_take(self, least: int) -> None:
        if self._epoch >= least and self._is_held():
            if self._until - self._clock() < self._term / 2:
                self._renew()
            return
        deadline = self._clock() + self._patience
        while not self._take(least):
            if self._clock() >= deadline:
                raise LeaseError("another writer holds the lease", hint="try again later")
            self._wait(_POLL_S)

    def _renew(self) -> None:
        until = self._clock() + self._term
        self._store(until)
        # Somebody whose clock is ahead may have taken over in that very moment.
        if self._objects.exists(self._key(self._epoch + 1)):
            self._until = _RELEASED
            raise LeaseError("another writer has taken the lease over", hint="try again")
        self._until = until

    def _take(self, least: int) -> bool:
        """Try once to become the next holder."""
        newest = self._newest()
        if newest and self._clock() < self._stored_until(newest):
            return False
        epoch = max(newest, least) + 1
        until = self._clock() + self._term
        if not self._objects.create(self._key(epoch), self._record(until)):
            return False
        self._epoch, self._until = epoch, until
        return True

    def _newest(self) -> int:
        epochs = (key.removeprefix(self._prefix) for key in self._objects.keys(self._prefix))
        return max((int(epoch) for epoch in epochs if epoch.isdecimal()), default=0)

    def _stored_until(self, epoch: int) -> datetime:
        try:
            data = self._objects.get(self._key(epoch))
            return msgspec.json.decode(data, type=LeaseRecord).until.astimezone(UTC)
        except (NotFoundError, msgspec.MsgspecError, ValueError, OverflowError):
            return _RELEASED  # damaged: the epoch is used up, and nobody is to wait for it

    def _store(self, until: datetime) -> None:
        self._objects.replace(self._key(self._epoch), self._record(until))

    def _record(self, until: datetime) -> bytes:
        return canonical_json({"holder": self._holder, "until": until.isoformat()})

    def _key(self, epoch: int) -> str:
        return f"{self._prefix}{epoch:015d}"
