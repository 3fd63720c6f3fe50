"""The rows of the audit log in the database: its newest one, and all of them in order.

Rows are read one by one by their number: a log may have millions, and a missing one shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from quantumai.errors import ConflictError, LedgerError, StorageError
from quantumai.storage.database import Database, Row

_TABLE = "kms_audit"
# Stands for what no reader gets as text; it is no entry either.
_UNREADABLE = ""


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
        row = self._end("-sequence")
        if row is None:
            return None
        sequence, text = row
        if sequence is None:
            raise LedgerError("the last entry of the audit log cannot be read")
        return sequence, text

    def at(self, sequence: int) -> str | None:
        """The text of a row, or None if there is no such row."""
        try:
            row = self._database.get(_TABLE, {"sequence": sequence})
        except StorageError as error:
            if self._answers():
                return _UNREADABLE
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
        first, newest = self._end("sequence"), self._end("-sequence")
        if first is None or newest is None:
            return
        if first[0] is None and self.at(0) != _UNREADABLE:
            raise LedgerError("the audit log has a row before entry 0, which cannot be read")
        if first[0] is not None and first[0] < 0:
            yield first[0], first[1]
        damaged = False
        for sequence in count() if newest[0] is None else range(newest[0] + 1):
            text = self.at(sequence)
            if text is None:
                if newest[0] is not None:
                    yield newest[0], newest[1]
                elif not damaged:
                    raise LedgerError(f"audit entry {sequence} is missing, the last is unreadable")
                return
            damaged |= text == _UNREADABLE
            yield sequence, text

    def _end(self, order_by: str) -> tuple[int | None, str] | None:
        """The first or last row; its number is unknown if it cannot be read."""
        try:
            rows = self._database.select(_TABLE, order_by=order_by, limit=1)
        except StorageError:
            if self._answers():
                return None, _UNREADABLE
            raise
        if not rows:
            return None
        sequence = rows[0]["sequence"]
        # SQLite stores text in a column of integers without a word.
        if not isinstance(sequence, int):
            raise LedgerError(f"the audit log has a row numbered {str(sequence)[:40]!r}")
        return sequence, _text(rows[0])

    def _answers(self) -> bool:
        """Whether the database as such works, so that what fails is a row: no text, or damaged."""
        try:
            self._database.select(_TABLE, limit=0)
        except StorageError:
            return False
        return True


def _text(row: Row) -> str:
    # What is no text is a changed row.
    return row["entry"] if isinstance(row["entry"], str) else _UNREADABLE
