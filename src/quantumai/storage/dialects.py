"""Where SQLite and PostgreSQL differ: connecting, transactions, reading columns, errors."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from quantumai.errors import BadInputError, QuantumAIError, StorageError
from quantumai.storage.schema import Kind

# How long one writer waits for another before it gives up.
LOCK_TIMEOUT_S = 10

# Not as text: SQLite reads a decimal of a very small number one unit in the last place off.
sqlite3.register_adapter(Decimal, float)


@dataclass(frozen=True)
class Dialect:
    """What the adapter needs to know of one database.

    `mark` stands for a bound value. `read_forms` and `order_forms` wrap a column (as `{}`) of a
    kind so that both databases return and order the same.
    """

    connect: Callable[[], Any]
    mark: str
    begin: str
    errors: tuple[type[Exception], ...]
    translate: Callable[[Exception], QuantumAIError]
    is_lost: Callable[[Any], bool]
    read_forms: Mapping[Kind, str] = field(default_factory=dict)
    order_forms: Mapping[Kind, str] = field(default_factory=dict)

    def read(self, kind: Kind, column: str) -> str:
        """The expression that reads `column` in the form `column_values.from_column` takes."""
        return self.read_forms.get(kind, "{}").format(column)

    def order(self, kind: Kind, column: str) -> str:
        """The expression that orders by `column`."""
        return self.order_forms.get(kind, "{}").format(column)


def sqlite_dialect(path: Path) -> Dialect:
    """SQLite in WAL mode with full synchronisation: a commit survives a power cut."""
    return Dialect(
        connect=partial(_connect_durable, path),
        mark="?",
        # Taking the write lock at once: a later upgrade could fail half-way for no good reason.
        begin="BEGIN IMMEDIATE",
        errors=(sqlite3.Error,),
        translate=partial(sqlite_error, path),
        is_lost=lambda connection: False,
    )


def connect_sqlite(path: Path, *, create: bool = False) -> sqlite3.Connection:
    """A connection in autocommit mode; without `create` the file must exist.

    Raises `sqlite3.Error`; callers translate it with `sqlite_error`.
    """
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={'rwc' if create else 'rw'}",
        uri=True,
        timeout=LOCK_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
    )


def _connect_durable(path: Path) -> sqlite3.Connection:
    connection = connect_sqlite(path)
    try:
        # WAL is a property of the file, which the migration has set.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def sqlite_error(path: Path, error: Exception) -> QuantumAIError:
    """One line and a hint for an SQLite error."""
    name: str = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith("SQLITE_CONSTRAINT"):
        return BadInputError(f"the database refused the row: {_one_line(error)}")
    hints = {
        "SQLITE_BUSY": "another process holds it; try again",
        "SQLITE_FULL": "the disk is full; free some space and try again",
        "SQLITE_IOERR": "the disk failed; see the system's log",
        "SQLITE_CANTOPEN": "check that the file exists and may be read and written",
        "SQLITE_READONLY": "check that the file may be written",
        "SQLITE_CORRUPT": "the file is damaged; restore it from a backup",
        "SQLITE_NOTADB": "the file is damaged or no database; restore it from a backup",
    }
    found = [hint for code, hint in hints.items() if name.startswith(code)]
    return StorageError(f"database {path}: {_one_line(error)}", hint=found[0] if found else "")


def postgres_dialect(dsn: str) -> Dialect:
    """PostgreSQL by psycopg 3; transactions are serializable, as SQLite's are."""
    driver = _psycopg()
    return Dialect(
        connect=partial(connect_postgres, dsn),
        mark="%s",
        begin="BEGIN ISOLATION LEVEL SERIALIZABLE",
        errors=(driver.Error,),
        translate=postgres_error,
        is_lost=lambda connection: bool(connection.closed),
        # Read as text where the driver's own type would differ from SQLite's.
        read_forms={
            Kind.UUID: "{}::text",
            Kind.JSON: "{}::text",
            Kind.NUMERIC: "{}::text",
            Kind.TIMESTAMP: "to_char({}, 'YYYY-MM-DD\"T\"HH24:MI:SS.US')",
        },
        order_forms={Kind.TEXT: '{} COLLATE "C"'},
    )


def connect_postgres(dsn: str) -> Any:
    """A psycopg connection in autocommit mode; raises `psycopg.Error`."""
    connection = _psycopg().connect(dsn, autocommit=True, connect_timeout=LOCK_TIMEOUT_S)
    connection.execute(f"SET lock_timeout = '{LOCK_TIMEOUT_S}s'")
    return connection


def postgres_error(error: Exception) -> QuantumAIError:
    """One line and a hint for a psycopg error, by its SQLSTATE class."""
    state: str = getattr(error, "sqlstate", None) or ""
    if state.startswith("23"):  # integrity constraint violation
        return BadInputError(f"the database refused the row: {_one_line(error)}")
    hints = {
        "40": "it met another transaction; try again",
        "55P03": "another process holds it; try again",
        "53100": "the server's disk is full; free some space and try again",
        "28": "check the user and password in the connection string",
        "3D": "check the database name in the connection string",
        "": "check that the server runs and the connection string is right",
    }
    found = [hint for code, hint in hints.items() if code and state.startswith(code)]
    hint = found[0] if found else ("" if state else hints[""])
    return StorageError(f"PostgreSQL: {_one_line(error)}", hint=hint)


def _psycopg() -> Any:
    try:
        import psycopg
    except ImportError:
        raise BadInputError(
            "PostgreSQL needs the driver psycopg", hint='install "quantumai[postgres]"'
        ) from None
    return psycopg


def _one_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
