"""The audit log in the database: append-only, durable, written by threads and processes at once.

Lock order: the queue of `append` comes before the database's transaction. So inside a transaction
of its own a caller uses `append_within`, which takes no queue, and never `append`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from quantumai.errors import EvidenceError, LedgerError, QuantumAIError, StorageError
from quantumai.keys.audit.entry import NOTHING_BEFORE, AuditEntry, AuditRecord, link_to
from quantumai.keys.audit.head import AuditHead, HeadReader, require_kept
from quantumai.keys.audit.known_end import End, KnownEnd
from quantumai.keys.audit.rows import AuditRows
from quantumai.keys.audit.verification import AuditReport, verify_log
from quantumai.storage.database import Database
from quantumai.storage.group_commit import GroupCommit

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
    reads the database meanwhile need not wait until the disk has it. Both know of the log what
    one of them knows.
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
        self._known: KnownEnd = apart._known if apart else KnownEnd()
        self._heads = HeadReader(self._rows, self._known)
        self._commits: GroupCommit[Sequence[AuditRecord], Entries] = GroupCommit(
            self._write, _PATIENCE_S, refuse=_refusal
        )
        # What a thread put last into a transaction of its caller, which may not be committed.
        self._hoped: tuple[int, End] | None = None

    def append(self, *records: AuditRecord) -> Entries:
        """Log records next to each other, durably when the call returns.

        Never inside a transaction of the same database. Raises `BadInputError` for a record that
        the log cannot hold, `LedgerError` if entries that this process knows of are gone, and
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
        transaction can then be tried again. Once it is committed, `committed` may say so.
        """
        for record in records:
            record.check()
        with self._database.transaction():
            written = self._insert(records)
            if written:
                self._hoped = (threading.get_ident(), _end_of(written))
            return written

    def committed(self) -> None:
        """Remember what this thread wrote last by `append_within`: its transaction is committed.

        Without this it is remembered as soon as anybody else finds it in the log.
        """
        hoped = self._hoped
        if hoped is not None and hoped[0] == threading.get_ident():
            self._known.learn(hoped[1])

    def head(self, least: AuditHead | None = None) -> AuditHead:
        """The log's head now; not inside a transaction.

        Raises `LedgerError` for a broken log, and for one that does not extend `least`.
        """
        return self._heads.head(least)

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
            self._known.learn(_end_of(written))
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
        if not records:
            return ()
        known = self._known.end
        newest = self._rows.newest()
        found = (newest[0] + 1, link_to(newest[1])) if newest else (0, NOTHING_BEFORE)
        sequence, previous = found
        now = self._clock()
        entries = []
        for record in records:
            entry = AuditEntry.of(record, sequence, now, previous)
            text = entry.text
            self._rows.add(sequence, text)
            entries.append(entry)
            sequence, previous = sequence + 1, link_to(text)
        # Only now: a view from before others wrote, which lacks nothing, fails at its first row.
        require_kept(self._rows, newest, *known)
        if (threading.get_ident(), found) != self._hoped:
            self._known.learn(found)
        self._on_commit(entries)
        return tuple(entries)


def _end_of(written: Entries) -> End:
    return written[-1].sequence + 1, link_to(written[-1].text)


def _refusal(error: BaseException) -> QuantumAIError:
    """An error of each caller's own: one exception object cannot be raised by many threads."""
    kind = LedgerError if isinstance(error, EvidenceError) else StorageError
    reason = "the audit log is stuck" if isinstance(error, TimeoutError) else str(error)
    reason = reason or type(error).__name__
    return kind(f"the call cannot be audited: {reason}", hint=getattr(error, "hint", ""))
