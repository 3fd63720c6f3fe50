"""Whether every stored object is what its name says, and belongs to something.

The ledger's own objects are left to the ledger's check.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from pathlib import PurePosixPath

from quantumai.canonical import sha256_hex
from quantumai.errors import NotFoundError, StorageError
from quantumai.provenance.statements.statement import is_sha256
from quantumai.storage.objects import ObjectStore

# Folders whose objects are named by the SHA-256 of what they hold.
_BY_DIGEST = (
    "artefacts",
    "attestations",
    "audit-checkpoints",
    "counter-signatures",
    "key-events",
    "key-rotations",
    "ledger-anchors",
)
_IN_JOBS = ("manifest.json", "proof.json")


def object_problems(objects: ObjectStore, known_jobs: Set[str]) -> Iterator[str]:
    """What is wrong with the objects beside the ledger; `known_jobs` are ids of all jobs."""
    for key in objects.keys(""):
        if key.startswith("ledger/"):
            continue
        path = PurePosixPath(key)
        folder, name = path.parts[0], path.name
        named_by_digest = is_sha256(name)
        if folder == "manifests" and not known_jobs & set(path.parts):
            yield f"object {key} belongs to no job"
        elif named_by_digest and folder in (*_BY_DIGEST, "manifests"):
            if _digest(objects, key) != name:
                yield f"object {key} was changed"
        elif not (folder == "manifests" and name in _IN_JOBS) and folder != "data-keys":
            yield f"object {key} belongs to nothing"


def _digest(objects: ObjectStore, key: str) -> str:
    try:
        return sha256_hex(objects.get(key))
    except (NotFoundError, StorageError):
        return ""
