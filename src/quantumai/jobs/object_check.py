"""Whether every stored object is what its name says, and whose it is.

The ledger's own objects are left to the ledger's check. An object that no leaf and no job names is
counted and is no problem: nothing reads it. A process that was killed may leave one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from pathlib import PurePosixPath

from quantumai.canonical import sha256_hex
from quantumai.errors import BadInputError, NotFoundError, StorageError
from quantumai.keys.management.data_keys import version_of
from quantumai.provenance.statements.statement import is_sha256
from quantumai.storage.objects import ObjectStore

# Folders whose objects are named by the SHA-256 of what they hold; all but the first hold envelopes
# that a leaf names.
_ARTEFACTS = "artefacts"
_LOGGED = (
    "attestations",
    "audit-checkpoints",
    "counter-signatures",
    "key-events",
    "key-rotations",
    "ledger-anchors",
)
_DATA_KEY = re.compile(r"data-keys/[A-Za-z0-9][A-Za-z0-9._-]{0,62}/[0-9]{10}")
_IN_JOBS = ("manifest.json", "proof.json")


def object_problems(objects: ObjectStore, known_jobs: Set[str]) -> Iterator[str]:
    """What is wrong with the objects beside the ledger; `known_jobs` are ids of all jobs."""
    for key in objects.keys(""):
        if key.startswith("ledger/"):
            continue
        path = PurePosixPath(key)
        folder, name = path.parts[0], path.name
        if folder == "manifests" and not known_jobs & set(path.parts):
            yield f"object {key} belongs to no job"
        elif is_sha256(name) and folder in (_ARTEFACTS, *_LOGGED, "manifests"):
            if _digest(objects, key) != name:
                yield f"object {key} was changed"
        elif folder == "data-keys":
            yield from _data_key_problems(objects, key)
        elif not (folder == "manifests" and name in _IN_JOBS):
            yield f"object {key} belongs to nothing"


def _data_key_problems(objects: ObjectStore, key: str) -> Iterator[str]:
    """Whether it opens shows where something was encrypted with it; here, whether it is one."""
    if not _DATA_KEY.fullmatch(key):
        yield f"object {key} belongs to nothing"
        return
    try:
        version_of(objects.get(key))
    except (BadInputError, NotFoundError) as error:
        yield f"object {key}: {error}"


def unlogged(objects: ObjectStore, logged: Set[str]) -> int:
    """How many envelopes are stored that no leaf names (`logged`: SHA-256 hex of all leaves)."""
    return sum(
        PurePosixPath(key).name not in logged
        for folder in _LOGGED
        for key in objects.keys(f"{folder}/")
    )


def _digest(objects: ObjectStore, key: str) -> str:
    try:
        return sha256_hex(objects.get(key))
    except (NotFoundError, StorageError):
        return ""
