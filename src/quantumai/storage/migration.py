"""Brings a database to the schema this version expects, safely beside other processes.

A database that is at head is recognised by one plain query; SQLAlchemy and Alembic are imported
only when there is something to do. Each upgrade is one transaction: a killed one leaves nothing.
"""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from quantumai.errors import BadInputError, StorageError
from quantumai.storage.dialects import (
    connect_postgres,
    connect_sqlite,
    postgres_dialect,
    sqlite_error,
)
from quantumai.storage.schema import HEAD, REVISIONS

_SQLITE = "sqlite:///"
# Any constant will do; it names the migration lock among a server's advisory locks.
_ADVISORY_LOCK = 0x51414931


def sqlite_url(path: Path) -> str:
    """The database URL of an SQLite file, taken literally (nothing is percent-encoded)."""
    return f"{_SQLITE}{path.absolute()}"


def sqlite_path(database_url: str) -> Path | None:
    """The file that an SQLite URL names, or None for another kind of URL."""
    if not database_url.startswith(_SQLITE):
        return None
    return Path(database_url.removeprefix(_SQLITE))


def ensure_schema(database_url: str) -> None:
    """Create or upgrade the schema of "sqlite:///PATH" or "postgresql://..." to head.

    Raises `StorageError` if the database is damaged, gone, or made by a newer version, and
    `BadInputError` for another kind of URL.
    """
    path = sqlite_path(database_url)
    if path is not None:
        _ensure_sqlite(path)
    elif database_url.startswith(("postgresql://", "postgres://")):
        _ensure_postgres(database_url)
    else:
        raise BadInputError(
            f"unknown database URL {database_url.split('://', 1)[0]!r}",
            hint="use sqlite:///PATH or postgresql://USER@HOST/NAME",
        )


def _ensure_sqlite(path: Path) -> None:
    try:
        if path.exists() and _sqlite_at_head(path):
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        # The switch to WAL cannot wait for another process as the upgrade itself can.
        with _file_lock(path.with_name(path.name + ".migration-lock")):
            connection = connect_sqlite(path, create=True)
            try:
                if not _at_head(_sqlite_revision(connection)):
                    # Readers and one writer at a time side by side; stays with the file.
                    connection.execute("PRAGMA journal_mode = WAL")
                    _upgrade("sqlite://", connection, "BEGIN IMMEDIATE")
            finally:
                connection.close()
    except sqlite3.Error as error:
        raise sqlite_error(path, error) from None
    except OSError as error:
        raise StorageError(f"database {path}: {error.strerror}") from None


def _sqlite_at_head(path: Path) -> bool:
    connection = connect_sqlite(path)
    try:
        return _at_head(_sqlite_revision(connection))
    finally:
        connection.close()


def _sqlite_revision(connection: sqlite3.Connection) -> str | None:
    known = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'"
    if connection.execute(known).fetchone() is None:
        return None
    return _first(connection.execute("SELECT version_num FROM alembic_version").fetchone())


def _ensure_postgres(dsn: str) -> None:
    dialect = postgres_dialect(dsn)
    try:
        connection = connect_postgres(dsn)
        try:
            if _at_head(_postgres_revision(connection)):
                return
            # Held until the connection closes; no time limit, a migration may take long.
            connection.execute("SET lock_timeout = 0")
            connection.execute("SELECT pg_advisory_lock(%s)", [_ADVISORY_LOCK])
            if not _at_head(_postgres_revision(connection)):
                _upgrade("postgresql+psycopg://", connection, "BEGIN")
        finally:
            connection.close()
    except dialect.errors as error:
        raise dialect.translate(error) from None


def _postgres_revision(connection: Any) -> str | None:
    if connection.execute("SELECT to_regclass('alembic_version')").fetchone()[0] is None:
        return None
    return _first(connection.execute("SELECT version_num FROM alembic_version").fetchone())


def _first(row: tuple[str, ...] | None) -> str | None:
    return row[0] if row else None


def _at_head(revision: str | None) -> bool:
    if revision is not None and revision not in REVISIONS:
        raise StorageError(
            f"the database has the unknown schema revision {revision!r}",
            hint="it was made by a newer QuantumAI: upgrade this one",
        )
    return revision == HEAD


def _upgrade(engine_url: str, dbapi_connection: Any, begin: str) -> None:
    """Run Alembic on an open DB-API connection in autocommit mode, in one transaction."""
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine, event, pool
    from sqlalchemy.exc import DBAPIError

    engine = create_engine(engine_url, creator=lambda: dbapi_connection, poolclass=pool.StaticPool)
    # The drivers' own implicit BEGIN is off, so say it; SQLite's DDL is then transactional too.
    begin_explicitly: Callable[[Any], Any] = lambda c: c.exec_driver_sql(begin)  # noqa: E731
    event.listen(engine, "begin", begin_explicitly)
    config = Config()
    # Alembic reads it with ConfigParser, for which % is special.
    folder = str(Path(__file__).with_name("migrations"))
    config.set_main_option("script_location", folder.replace("%", "%%"))
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except DBAPIError as error:
        if isinstance(error.orig, Exception):
            raise error.orig from None
        raise


@contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
