"""Whether every stored object is what its name says, and whose it is.

The ledger's own objects are left to the ledger's check, and data keys to theirs. An object that no
leaf and no job names is counted and is no problem: nothing reads it. A process that was killed may
leave one.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from pathlib import PurePosixPath

from quantumai.canonical import sha256_hex
from quantumai.errors import NotFoundError, StorageError
from quantumai.jobs.object_names import PUBLIC
from quantumai.provenance.sealing.tenant_cipher import is_encrypted
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
_CHECKED_ELSEWHERE = ("ledger/", "data-keys/")
_IN_JOBS = ("manifest.json", "proof.json")


def object_problems(objects: ObjectStore, known_jobs: Set[str], *, encrypts: bool) -> Iterator[str]:
    """What is wrong with the objects beside the ledger; `known_jobs` are ids of all jobs.

    In a home that `encrypts` what is a tenant's lies nowhere in clear.
    """
    for key in objects.keys(""):
        if key.startswith(_CHECKED_ELSEWHERE):
            continue
        path = PurePosixPath(key)
        folder, name = path.parts[0], path.name
        if folder == "manifests" and not known_jobs & set(path.parts):
            yield f"object {key} belongs to no job"
        elif is_sha256(name) and folder in (_ARTEFACTS, *_LOGGED, "manifests"):
            if _digest(objects, key) != name:
                yield f"object {key} was changed"
        elif not (folder == "manifests" and name in _IN_JOBS):
            yield f"object {key} belongs to nothing"
        if encrypts and _is_tenants(path) and not is_encrypted(_data(objects, key)):
            yield f"object {key} lies in clear in a home that encrypts"


def _is_tenants(path: PurePosixPath) -> bool:
    """Proofs hold nothing of the tenant, and calibrations are nobody's own."""
    folder, name = path.parts[0], path.name
    own = folder == _ARTEFACTS and path.parts[1:2] != (PUBLIC,)
    return own or (folder == "manifests" and name != "proof.json")


def unlogged(objects: ObjectStore, logged: Set[str]) -> int:
    """How many envelopes are stored that no leaf names (`logged`: SHA-256 hex of all leaves)."""
    return sum(
        PurePosixPath(key).name not in logged
        for folder in _LOGGED
        for key in objects.keys(f"{folder}/")
    )


def _digest(objects: ObjectStore, key: str) -> str:
    return sha256_hex(_data(objects, key))


def _data(objects: ObjectStore, key: str) -> bytes:
    """Empty where it cannot be read, which is no object's content."""
    try:
        return objects.get(key)
    except (NotFoundError, StorageError):
        return b""
