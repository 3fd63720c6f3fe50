"""The audit log in the database: append-only, durable, written by threads and processes at once.

Lock order: the queue of `append` comes before the database's transaction. So inside a transaction
of its own a caller uses `append_within`, which takes no queue, and never `append`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from quantumai.errors import StorageError
from quantumai.keys.audit.entry import NOTHING_BEFORE, AuditEntry, AuditRecord, link_to
from quantumai.keys.audit.group_commit import GroupCommit
from quantumai.keys.audit.head import AuditHead, HeadReader, require_kept
from quantumai.keys.audit.rows import AuditRows
from quantumai.keys.audit.verification import AuditReport, verify_log
from quantumai.storage.database import Database

# Processes that meet lose a race each; a database that is dead must not be asked for ever.
_MOST_ATTEMPTS = 100
_RETRY_S = 10.0
_PATIENCE_S = 60.0

Entries = tuple[AuditEntry, ...]


def _nothing(entries: Sequence[AuditEntry]) -> None:
    return


class AuditLog:
    """The log in table `kms_audit`; `clock` returns aware UTC times.

    `on_commit` is called inside each writing transaction with all its new entries, before it is
    committed: what it changes in the same database stands or falls with them. If it raises, none
    of the calls in that transaction is logged, so it should only raise where the database does.

    `apart` is the same log over a connection of its own. `append` then writes there, and whoever
    reads the database meanwhile need not wait until the disk has it.
    """

    def __init__(
        self,
        database: Database,
        clock: Callable[[], datetime],
        on_commit: Callable[[Sequence[AuditEntry]], None] = _nothing,
        monotonic: Callable[[], float] = time.monotonic,
        apart: AuditLog | None = None,
    ) -> None:
        self._database = database
        self._apart = apart
        self._clock = clock
        self._on_commit = on_commit
        self._monotonic = monotonic
        self._rows = AuditRows(database)
        self._heads = HeadReader(self._rows)
        self._commits: GroupCommit[Sequence[AuditRecord], Entries] = GroupCommit(
            self._write, _PATIENCE_S
        )
        # What this process knows to be durable: the size, and the link to the last entry.
        self._kept = (0, NOTHING_BEFORE)

    def append(self, *records: AuditRecord) -> Entries:
        """Log records next to each other, durably when the call returns.

        Never inside a transaction of the same database. Raises `BadInputError` for a record that
        the log cannot hold, `LedgerError` if entries that this process wrote are gone, and
        `StorageError` for all else; nothing is then logged, and the call must be refused.
        """
        if self._apart is not None:
            return self._apart.append(*records)
        for record in records:
            record.check()
        return self._commits.submit(records)

    def append_within(self, *records: AuditRecord) -> Entries:
        """Log records as part of the caller's transaction, which makes them durable.

        Raises as `append` does, at once where another process wrote: the caller's whole
        transaction can then be tried again.
        """
        for record in records:
            record.check()
        with self._database.transaction():
            return self._insert(records)

    def head(self) -> AuditHead:
        """The log's head now; not inside a transaction. Raises `LedgerError` for a broken log."""
        return self._heads.head()

    def size(self) -> int:
        """Number of entries."""
        newest = self._rows.newest()
        return newest[0] + 1 if newest else 0

    def entries(self, first: int, last: int) -> Iterator[tuple[int, str]]:
        """Sequence numbers and texts of the entries `first` to `last`, both included."""
        return self._rows.between(first, last + 1)

    def verify(self, heads: Sequence[AuditHead]) -> AuditReport:
        """Recheck every stored entry, and compare with heads that are known from elsewhere.

        Raises `LedgerError` if the rows are none of a log.
        """
        return verify_log(self._rows.all(), heads)

    def _write(self, batch: Sequence[Sequence[AuditRecord]]) -> list[Entries]:
        records = [record for asked in batch for record in asked]
        written = self._committed(records)
        if written:
            last = written[-1]
            self._kept = (last.sequence + 1, link_to(last.text))
        remaining = iter(written)
        return [tuple(next(remaining) for _ in asked) for asked in batch]

    def _committed(self, records: Sequence[AuditRecord]) -> Entries:
        deadline = self._monotonic() + _RETRY_S
        tried: Entries = ()
        for attempt in range(1, _MOST_ATTEMPTS + 1):
            try:
                with self._database.transaction():
                    # A commit that answered with an error may have been one all the same.
                    if not tried or self._rows.at(tried[0].sequence) != tried[0].text:
                        tried = self._insert(records)
                break
            except StorageError:
                if attempt == _MOST_ATTEMPTS or self._monotonic() > deadline:
                    raise
        return tried

    def _insert(self, records: Sequence[AuditRecord]) -> Entries:
        newest = self._rows.newest()
        sequence = newest[0] + 1 if newest else 0
        require_kept(self._rows, newest, *self._kept)
        previous = link_to(newest[1]) if newest else NOTHING_BEFORE
        now = self._clock()
        entries = []
        for record in records:
            entry = AuditEntry.of(record, sequence, now, previous)
            text = entry.text
            self._rows.add(sequence, text)
            entries.append(entry)
            sequence, previous = sequence + 1, link_to(text)
        self._on_commit(entries)
        return tuple(entries)
