"""A KMS over soft keys, small and quick enough to make for every test."""

from __future__ import annotations

import shutil
import tempfile
import warnings
import weakref
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from quantumai.keys.management.kms import Kms, open_kms
from quantumai.keys.management.records import Caller
from quantumai.keys.providers.port import KeyProvider
from quantumai.keys.providers.soft import InsecureSoftKeys
from quantumai.storage.durable_files import create_file
from quantumai.storage.migration import ensure_schema, sqlite_url
from quantumai.storage.sql_database import SqlDatabase, open_sqlite

ALICE, BOB = Caller("local", "alice"), Caller("local", "bob")


def standing_clock() -> datetime:
    """A time that never passes."""
    return datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


@cache
def _empty_database() -> bytes:
    """An SQLite file at the expected schema; migrating anew for each test would take long."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "empty.db"
        ensure_schema(sqlite_url(path))
        shutil.move(path, path.with_suffix(".copy"))
        return path.with_suffix(".copy").read_bytes()


def new_database(path: Path) -> SqlDatabase:
    """The SQLite database at `path`, made if it is not there."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        # Whole or not at all, and never over another process's that was first.
        create_file(path, _empty_database())
    return open_sqlite(path)


def soft_keys(folder: Path, clock: Callable[[], datetime] = standing_clock) -> InsecureSoftKeys:
    """The soft provider, without its warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return InsecureSoftKeys(folder, clock)


def soft_kms(
    folder: Path,
    clock: Callable[[], datetime] = standing_clock,
    providers: Sequence[KeyProvider] = (),
) -> Kms:
    """A KMS with its database in `folder`, over soft keys unless providers are given.

    It has two connections, as in a home, which are closed when nobody holds the KMS any more.
    """
    used = providers or (soft_keys(folder / "keys", clock),)
    database, apart = (new_database(folder / "kms.db") for _ in range(2))
    kms = open_kms(database, used, clock, audit_database=apart)
    for connection in (database, apart):
        weakref.finalize(kms.parts, connection.close)
    return kms
