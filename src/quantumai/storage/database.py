"""The port to the database: rows of known tables, addressed by column and value, no SQL.

Values are plain (see `storage.schema`): every column may hold None, JSON columns take what
canonical JSON takes. All adapters behave alike, errors included:

- `BadInputError`: unknown table or column, a value that its column cannot hold, a row that
  breaks a constraint (a missing parent row, a state that does not exist);
- `ConflictError`: a row with this primary key exists;
- `StorageError` (worth a retry): the database is locked, full, damaged, gone, or a transaction
  met another one.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

Row = dict[str, Any]


class Database(Protocol):
    """One connection; threads may share it and then wait for each other's transactions."""

    def insert(self, table: str, row: Mapping[str, Any]) -> None:
        """Add a row, or raise `ConflictError` if its primary key exists."""
        ...

    def upsert(self, table: str, row: Mapping[str, Any]) -> None:
        """Add a row, or set its given columns where its primary key exists."""
        ...

    def get(self, table: str, key: Mapping[str, Any]) -> Row | None:
        """The row with this primary key (`{column: value}`), all columns, or None."""
        ...

    def select(
        self,
        table: str,
        where: Mapping[str, Any] | None = None,
        order_by: str | None = None,
        limit: int | None = None,
    ) -> list[Row]:
        """Rows whose columns equal `where` (None matches null), all columns.

        `order_by` is a column, with "-" before it for the greatest first; text is ordered by
        code point, nulls come last, ties are ordered by primary key. JSON columns can neither be
        matched nor ordered.
        """
        ...

    def update(self, table: str, where: Mapping[str, Any], values: Mapping[str, Any]) -> int:
        """Set `values` in rows that equal `where`; the number of rows changed.

        With the expected state in `where` it is a compare-and-set: of two callers one gets 1 and
        the other 0.
        """
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """All or nothing, durable at the end, as if no other transaction ran beside it.

        An exception rolls back. Inside another transaction it joins that one. After a failed
        statement the transaction can only be rolled back: leaving it normally raises.
        """
        ...

    def close(self) -> None:
        """Give the connection back; calls after it raise `StorageError`."""
        ...
