"""The database port on DB-API 2: SQLite (embedded) and PostgreSQL, without an ORM.

SQLAlchemy takes longer to import than a whole job may cost, so it serves migrations only
(`storage.migration`). Values are always bound; names come from `storage.schema` and nowhere
else, so no caller can inject SQL through either.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from quantumai.errors import BadInputError, ConflictError, StorageError
from quantumai.storage.column_values import UNCHANGED_KINDS, from_column, to_column
from quantumai.storage.database import Database, Row
from quantumai.storage.dialects import Dialect, postgres_dialect, sqlite_dialect
from quantumai.storage.migration import ensure_schema, sqlite_path
from quantumai.storage.schema import TABLES, Kind, Table


def open_database(database_url: str) -> SqlDatabase:
    """Bring "sqlite:///PATH" or "postgresql://..." to the expected schema and open it."""
    ensure_schema(database_url)
    path = sqlite_path(database_url)
    return open_postgres(database_url) if path is None else open_sqlite(path)


def open_sqlite(path: Path) -> SqlDatabase:
    """Open an SQLite file that `ensure_schema` has made."""
    return SqlDatabase(sqlite_dialect(path))


def open_postgres(dsn: str) -> SqlDatabase:
    """Connect to PostgreSQL by a libpq connection string or postgresql:// URL (psycopg 3)."""
    return SqlDatabase(postgres_dialect(dsn))


class SqlDatabase(Database):
    """The port over one connection; a lost connection is made anew at the next call."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._lock = threading.RLock()
        self._closed = False
        self._depth = 0
        self._broken = False
        self._selects: dict[str, str] = {}  # by table; putting one together costs as much as asking
        self._connection: Any = self._guarded(dialect.connect)

    def insert(self, table: str, row: Mapping[str, Any]) -> None:
        """See `Database.insert`."""
        # "do nothing" and not an error: on PostgreSQL an error would end the transaction.
        known = _table(table)
        names, values = _bound(known, row, need_key=True)
        sql = f"{self._insert_into(known, names)} ON CONFLICT ({known.key}) DO NOTHING"
        if self._execute(sql, values).rowcount == 0:
            raise ConflictError(f"{table}: a row with {known.key} {row[known.key]!r} exists")

    def upsert(self, table: str, row: Mapping[str, Any]) -> None:
        """See `Database.upsert`."""
        known = _table(table)
        names, values = _bound(known, row, need_key=True)
        changes = ", ".join(f"{name} = excluded.{name}" for name in names if name != known.key)
        action = f"DO UPDATE SET {changes}" if changes else "DO NOTHING"
        self._execute(
            f"{self._insert_into(known, names)} ON CONFLICT ({known.key}) {action}", values
        )

    def get(self, table: str, key: Mapping[str, Any]) -> Row | None:
        """See `Database.get`."""
        if set(key) != {_table(table).key}:
            raise BadInputError(f"{table}: the primary key is {_table(table).key}")
        rows = self.select(table, key)
        return rows[0] if rows else None

    def select(
        self,
        table: str,
        where: Mapping[str, Any] | None = None,
        order_by: str | None = None,
        limit: int | None = None,
    ) -> list[Row]:
        """See `Database.select`."""
        known = _table(table)
        condition, values = self._condition(known, where or {})
        sql = self._select_from(known) + condition
        if order_by is not None:
            sql += self._ordering(known, order_by)
        if limit is not None:
            sql += f" LIMIT {self._dialect.mark}"
            values.append(to_column(Kind.BIGINT, limit))
            if limit < 0:
                raise BadInputError(f"{table}: limit {limit} is below 0")
        with self._lock:
            fetched = self._guarded(self._execute(sql, values).fetchall)
        return [
            {
                name: value if kind in UNCHANGED_KINDS else from_column(kind, value)
                for (name, kind), value in zip(known.columns.items(), row, strict=True)
            }
            for row in fetched
        ]

    def update(self, table: str, where: Mapping[str, Any], values: Mapping[str, Any]) -> int:
        """See `Database.update`."""
        known = _table(table)
        names, new = _bound(known, values, need_key=False)
        if not names:
            raise BadInputError(f"{table}: no values to set")
        condition, wanted = self._condition(known, where)
        changes = ", ".join(f"{name} = {self._dialect.mark}" for name in names)
        changed: int = self._execute(
            f"UPDATE {known.name} SET {changes}{condition}", [*new, *wanted]
        ).rowcount
        return changed

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """See `Database.transaction`."""
        with self._lock:
            if self._depth == 0:
                self._broken = False
                self._execute(self._dialect.begin, [])
            self._depth += 1
            try:
                yield
                if self._depth == 1:
                    self._finish()
            except BaseException:
                # An inner block that failed dooms the whole: half of a transaction is nothing.
                self._broken = True
                if self._depth == 1:
                    self._roll_back()
                raise
            finally:
                self._depth -= 1

    def close(self) -> None:
        """See `Database.close`."""
        with self._lock:
            self._closed = True
            self._guarded(self._connection.close)

    def _finish(self) -> None:
        if self._broken:
            raise StorageError("the transaction was given up because a part of it failed")
        self._guarded(lambda: self._connection.execute("COMMIT"))

    def _roll_back(self) -> None:
        # Best effort: a connection that is gone has rolled back already, and the first error
        # is the one to tell.
        try:
            self._guarded(lambda: self._connection.execute("ROLLBACK"))
        except StorageError:
            return

    def _execute(self, sql: str, values: list[Any]) -> Any:
        with self._lock:
            if self._closed:
                raise StorageError("the database is closed")
            if self._depth and self._broken:
                # PostgreSQL refuses this itself; SQLite may have rolled back and would go on.
                raise StorageError("a part of this transaction failed; it can only be rolled back")
            if self._depth == 0 and self._dialect.is_lost(self._connection):
                self._connection = self._guarded(self._dialect.connect)
            return self._guarded(lambda: self._connection.execute(sql, values))

    def _guarded(self, action: Callable[[], Any]) -> Any:
        """Run `action`; the driver's errors become ours."""
        try:
            return action()
        except self._dialect.errors as error:
            self._broken = True
            raise self._dialect.translate(error) from None

    def _select_from(self, table: Table) -> str:
        if table.name not in self._selects:
            names = [self._dialect.read(kind, name) for name, kind in table.columns.items()]
            self._selects[table.name] = f"SELECT {', '.join(names)} FROM {table.name}"
        return self._selects[table.name]

    def _insert_into(self, table: Table, names: list[str]) -> str:
        marks = ", ".join([self._dialect.mark] * len(names))
        return f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({marks})"

    def _condition(self, table: Table, where: Mapping[str, Any]) -> tuple[str, list[Any]]:
        parts, values = [], []
        names, bound = _bound(table, where, need_key=False)
        for name, value in zip(names, bound, strict=True):
            if table.columns[name] is Kind.JSON:
                raise BadInputError(f"{table.name}: JSON column {name} cannot be matched")
            if value is None:
                parts.append(f"{name} IS NULL")
            else:
                parts.append(f"{name} = {self._dialect.mark}")
                values.append(value)
        return (f" WHERE {' AND '.join(parts)}" if parts else ""), values

    def _ordering(self, table: Table, order_by: str) -> str:
        name = order_by.removeprefix("-")
        kind = _kind(table, name)
        if kind is Kind.JSON:
            raise BadInputError(f"{table.name}: JSON column {name} cannot be ordered")
        direction = "DESC" if order_by.startswith("-") else "ASC"
        first = self._dialect.order(kind, name)
        second = self._dialect.order(table.columns[table.key], table.key)
        if name == table.key:
            # It is never null, and "nulls last" would keep PostgreSQL from using its index.
            return f" ORDER BY {second} {direction}"
        return f" ORDER BY {first} {direction} NULLS LAST, {second} {direction}"


def _table(name: str) -> Table:
    if name not in TABLES:
        raise BadInputError(f"unknown table {name!r}")
    return TABLES[name]


def _kind(table: Table, column: str) -> Kind:
    if column not in table.columns:
        raise BadInputError(f"{table.name}: unknown column {column!r}")
    return table.columns[column]


def _bound(table: Table, row: Mapping[str, Any], *, need_key: bool) -> tuple[list[str], list[Any]]:
    """Checked column names and converted values of `row`."""
    values = []
    for name, value in row.items():
        kind = _kind(table, name)
        try:
            values.append(to_column(kind, value))
        except BadInputError as error:
            raise BadInputError(f"{table.name}: column {name}: {error}") from None
    if need_key and row.get(table.key) is None:
        raise BadInputError(f"{table.name}: the primary key {table.key} is missing")
    return list(row), values
