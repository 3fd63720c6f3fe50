"""The rows of the audit log in the database: its newest one, and all of them in order.

Rows are read one by one by their number: a log may have millions, and a missing one shows.
"""

from __future__ import annotations

from collections.abc import Iterator

from quantumai.errors import ConflictError, LedgerError, StorageError
from quantumai.storage.database import Database, Row

_TABLE = "kms_audit"


class AuditRows:
    """Texts by sequence number. Every method raises `StorageError` where the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, sequence: int, text: str) -> None:
        """Add a row; `StorageError` if another process was first."""
        try:
            self._database.insert(_TABLE, {"sequence": sequence, "entry": text})
        except ConflictError:
            raise StorageError("another process wrote to the audit log") from None

    def newest(self) -> tuple[int, str] | None:
        """The last row. Raises `LedgerError` if what is last there is no row of a log."""
        return self._one("-sequence")

    def at(self, sequence: int) -> str | None:
        """The text of a row, or None if there is no such row."""
        try:
            row = self._database.get(_TABLE, {"sequence": sequence})
        except StorageError as error:
            message = f"audit entry {sequence} cannot be read: {error}"
            raise StorageError(message, hint=error.hint) from None
        return None if row is None else _text(row)

    def between(self, first: int, end: int) -> Iterator[tuple[int, str]]:
        """The rows from `first` up to but not `end`, as far as they are there."""
        for sequence in range(first, end):
            text = self.at(sequence)
            if text is not None:
                yield sequence, text

    def all(self) -> Iterator[tuple[int, str]]:
        """Every row up to the newest one; it ends at a missing row with the newest one.

        A gap may have any width, so it is not walked through.
        """
        first, newest = self._one("sequence"), self.newest()
        if first is None or newest is None:
            return
        if first[0] < 0:
            yield first
        for sequence in range(newest[0] + 1):
            text = self.at(sequence)
            if text is None:
                yield newest
                return
            yield sequence, text

    def _one(self, order_by: str) -> tuple[int, str] | None:
        rows = self._database.select(_TABLE, order_by=order_by, limit=1)
        if not rows:
            return None
        sequence = rows[0]["sequence"]
        # SQLite stores text in a column of integers without a word.
        if not isinstance(sequence, int):
            raise LedgerError(f"the audit log has a row numbered {str(sequence)[:40]!r}")
        return sequence, _text(rows[0])


def _text(row: Row) -> str:
    # What is no text is a changed row; an empty one is no entry either.
    return row["entry"] if isinstance(row["entry"], str) else ""
