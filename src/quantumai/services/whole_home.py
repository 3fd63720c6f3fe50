"""Homes whose parts do not belong together are refused before anything is done in them."""

from __future__ import annotations

from pathlib import Path

from quantumai.errors import StorageError
from quantumai.keys.management.built_in import TENANT_DATA
from quantumai.services.home_objects import FILE_NAME, HomeObjects
from quantumai.storage.database import Database
from quantumai.storage.objects import ObjectStore

_DATABASE = "quantumai.db"


def require_database(root: Path, place: HomeObjects, objects: ObjectStore) -> None:
    """Raise `StorageError` if the home has objects and no database any more."""
    database = root / _DATABASE
    lost = not database.exists() or database.stat().st_size == 0
    if lost and _has_objects(root, place, objects):
        raise StorageError(
            f"the home {root} has objects but its database {_DATABASE} is gone",
            hint="restore it from a backup, or set QAI_HOME to a new folder",
        )


def require_same_protection(database: Database, place: HomeObjects, objects: ObjectStore) -> None:
    """Raise `StorageError` if the home was encrypted so far and no longer is, or the reverse.

    The first job of an encrypted home makes the key that wraps its tenant's data keys, and with it
    such a data key. A bucket is not asked for those: without its settings it is not found at all.
    """
    encrypted = bool(database.select("kms_names", {"name": TENANT_DATA}, limit=1))
    if not encrypted and place.kind == "local":
        encrypted = any(True for _ in objects.keys("data-keys/"))
    if encrypted and not place.encrypt:
        raise StorageError(
            f"this home encrypts its tenants' data, and {FILE_NAME} does not say so any more",
            hint=f"restore {FILE_NAME} from a backup",
        )
    if place.encrypt and not encrypted and database.select("jobs", limit=1):
        raise StorageError(
            f"{FILE_NAME} says that data are encrypted, and this home has jobs in clear",
            hint=f"restore {FILE_NAME} from a backup, or set QAI_HOME to a new folder",
        )


def _has_objects(root: Path, place: HomeObjects, objects: ObjectStore) -> bool:
    if place.kind == "local":
        return (root / "objects").exists()
    return any(True for _ in objects.keys("ledger/commits/"))
