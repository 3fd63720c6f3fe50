"""Whether an SQLite file is sound and has the schema that this version makes: only looking."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from pathlib import Path

from quantumai.storage.dialects import connect_sqlite
from quantumai.storage.migration import ensure_schema, sqlite_url

_SCHEMA = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"


def sqlite_problems(path: Path) -> Iterator[str]:
    """What SQLite itself finds in its pages, indexes and constraints, and a changed schema."""
    try:
        with closing(connect_sqlite(path)) as connection:
            for pragma in ("integrity_check", "foreign_key_check"):
                for row in connection.execute(f"PRAGMA {pragma}"):
                    if row != ("ok",):
                        yield f"{pragma}: {' '.join(str(cell) for cell in row)}"
            if tuple(connection.execute(_SCHEMA)) != _expected_schema():
                yield "its tables, constraints or triggers are not those of this version"
            rows = connection.execute("SELECT version_num FROM alembic_version").fetchall()
            if len(rows) != 1:
                yield f"it names {len(rows)} schema versions instead of 1"
    except sqlite3.Error as error:
        yield str(error)


@cache
def _expected_schema() -> tuple[tuple[str, ...], ...]:
    with tempfile.TemporaryDirectory(prefix="qai-schema-") as folder:
        path = Path(folder) / "empty.db"
        ensure_schema(sqlite_url(path))
        with closing(connect_sqlite(path)) as connection:
            return tuple(connection.execute(_SCHEMA))
