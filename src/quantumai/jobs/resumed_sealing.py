"""What a sealing that failed had signed by then: found again, so that nothing is signed twice.

Whoever seals under a job id that must not change keeps the manifest's envelope as an object of the
job before it is logged. It is then found from its leaf, wherever the process died.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from quantumai.canonical import sha256_hex
from quantumai.crypto_mode import CryptoMode
from quantumai.errors import ConflictError, EvidenceError, NotFoundError
from quantumai.jobs.desk import Desk
from quantumai.jobs.job_objects import JobObjects
from quantumai.provenance.ledger.proof import LedgerProof
from quantumai.provenance.manifest.run_manifest import RunManifest, parse_run_manifest
from quantumai.provenance.statements.dsse import parse_envelope


def keeper(objects: JobObjects) -> Callable[[bytes], object]:
    """Keeps a manifest's envelope before it is logged; see `seal_run`."""
    return lambda envelope: objects.store({"manifest": envelope})


def sealed_before(
    desk: Desk, objects: JobObjects, job_id: str, digests: Mapping[str, str], mode: CryptoMode
) -> tuple[bytes, int] | None:
    """Envelope and leaf of the job's manifest, stored with its proof; None if none was logged.

    Raises `EvidenceError` where it is about other artefacts than `digests` (name -> SHA-256 hex),
    and `ConflictError` where it was signed in another mode.
    """
    stored = _stored(objects)
    found = stored or _logged(desk, objects, job_id)
    if found is None:
        return None
    envelope, index = found
    statement, manifest = parse_run_manifest(parse_envelope(envelope).payload)
    if statement.digests != digests:
        raise EvidenceError(
            "the run is not the one that was signed before sealing it failed",
            hint="restore its files",
        )
    _require_mode(manifest, mode)
    if stored is None:
        objects.put_sealed(envelope, _proof(desk, objects, index, envelope))
    return found


def _stored(objects: JobObjects) -> tuple[bytes, int] | None:
    try:
        return objects.manifest(), LedgerProof.parse(objects.proof()).index
    except NotFoundError:
        return None


def _logged(desk: Desk, objects: JobObjects, job_id: str) -> tuple[bytes, int] | None:
    """Newest first: it is most likely the last thing that was sealed."""
    for index, leaf in reversed(desk.open_sealer().ledger.leaves("run-manifest")):
        envelope = objects.artefact(leaf.sha256)
        if envelope is None or sha256_hex(envelope) != leaf.sha256:
            continue
        if parse_run_manifest(parse_envelope(envelope).payload)[1].job_id == job_id:
            return envelope, index
    return None


def _proof(desk: Desk, objects: JobObjects, index: int, envelope: bytes) -> bytes:
    """The proof that is stored already, since that is never overwritten, or a new one."""
    try:
        return objects.proof()
    except NotFoundError:
        return desk.open_sealer().proof(index, envelope)


def _require_mode(manifest: RunManifest, mode: CryptoMode) -> None:
    if manifest.crypto_mode != mode:
        raise ConflictError(
            f"the run was signed in mode {manifest.crypto_mode} before sealing it failed",
            hint=f"seal it in mode {manifest.crypto_mode}",
        )
