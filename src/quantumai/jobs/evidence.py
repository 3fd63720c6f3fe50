"""A job's evidence: artefacts under their hash, the sealed manifest, and what reads them back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from quantumai.backends.calibration import CalibrationSnapshot
from quantumai.backends.catalogue import BackendEntry
from quantumai.bounded_reading import shown_path
from quantumai.canonical import canonical_json, parse_canonical_json, sha256_hex
from quantumai.circuits.loading import load_circuit
from quantumai.crypto_mode import CryptoMode
from quantumai.errors import (
    ArtefactError,
    BadInputError,
    EvidenceError,
    LedgerError,
    NotFoundError,
)
from quantumai.jobs.desk import Desk
from quantumai.jobs.history import find_row
from quantumai.jobs.job_objects import JobObjects
from quantumai.jobs.request import JobRequest, PreparedJob, prepare_job
from quantumai.jobs.states import JobState
from quantumai.provenance.ledger.proof import LedgerProof
from quantumai.provenance.manifest.counter_signature import CounterEvidence
from quantumai.provenance.manifest.run_manifest import RunManifest, parse_run_manifest
from quantumai.provenance.manifest.verification import verify_manifest
from quantumai.provenance.manifest.views import ViewFormat, write_view
from quantumai.provenance.statements.dsse import parse_envelope
from quantumai.provenance.verification.freshness import Remembered
from quantumai.provenance.verification.report import VerificationReport
from quantumai.provenance.verification.trust import TrustFile
from quantumai.scheduler.decision import Decision
from quantumai.scheduler.planner import FleetMember
from quantumai.storage.durable_files import create_folder
from quantumai.storage.unwritable import cannot_write

CALIBRATION_PREFIX = "calibration/"
_RESTORE = "restore the object store from a backup"
_Record = TypeVar("_Record")


class _Listed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line of the catalogue artefact."""

    entry: BackendEntry
    calibration_sha256: str


def inputs_of(job: PreparedJob, fleet: Sequence[FleetMember]) -> dict[str, bytes]:
    """The artefacts that go into a decision, calibrations apart (they are stored already)."""
    catalogue = [_Listed(m.entry, m.snapshot_sha256) for m in fleet]
    return {
        "circuit": job.circuit.source.encode(),
        "request": canonical_json(job.request.to_json()),
        "catalogue": canonical_json(msgspec.to_builtins(catalogue)),
    }


class Evidence:
    """One sealed job read back; every artefact is checked against its hash on the way."""

    def __init__(self, desk: Desk, job_id: str) -> None:
        self.objects = sealed_objects(desk, job_id)
        self.envelope = _envelope(self.objects, job_id)
        try:
            statement, manifest = parse_run_manifest(parse_envelope(self.envelope).payload)
        except BadInputError as error:
            raise _damaged(f"the manifest of job {job_id} is damaged: {error}") from None
        if manifest.job_id != job_id:
            raise _damaged(f"the manifest of job {job_id} is that of job {manifest.job_id}")
        self.digests: Mapping[str, str] = statement.digests
        self.manifest: RunManifest = manifest

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the envelope, which its leaf names."""
        return sha256_hex(self.envelope)

    def artefact(self, name: str) -> bytes:
        """An artefact's bytes; `ArtefactError` if it is gone or changed."""
        digest = self.digests.get(name)
        data = None if digest is None else self.objects.artefact(digest)
        if data is None or sha256_hex(data) != digest:
            job_id = self.manifest.job_id
            raise ArtefactError(
                f"artefact {name!r} of job {job_id} is missing or damaged", hint=_RESTORE
            )
        return data

    def json(self, name: str) -> Any:
        """An artefact that is canonical JSON."""
        return parse_canonical_json(self.artefact(name))

    def decision(self) -> Decision:
        """The scheduler's decision."""
        return self._record("decision", Decision)

    def job(self) -> PreparedJob:
        """The request and the circuit as they were submitted, checked as if submitted now."""
        try:
            request = self._record("request", JobRequest)
            circuit = load_circuit(self.artefact("circuit").decode(), name=request.circuit_name)
            job = prepare_job(
                circuit,
                request.observables,
                shots=request.shots,
                crypto_mode=request.crypto_mode,
                backend=request.backend,
                em=request.em,
                tolerance=request.tolerance,
                max_cost=request.max_cost,
                seed=request.seed,
                engine=request.engine,
                tenant=request.tenant,
            )
        except (BadInputError, ValueError) as error:
            reason = f"is not one that this version takes: {error}"
            raise _damaged(f"the request of job {self.manifest.job_id} {reason}") from None
        if job.request != request or request.sha256 != self.manifest.request_sha256:
            raise _damaged(f"the request of job {self.manifest.job_id} contradicts its evidence")
        return job

    def fleet(self) -> tuple[FleetMember, ...]:
        """The backends as the scheduler saw them."""
        members = []
        for listed in self._record("catalogue", tuple[_Listed, ...]):
            data = self.artefact(CALIBRATION_PREFIX + listed.entry.backend_id)
            snapshot = CalibrationSnapshot.from_bytes(data)
            members.append(FleetMember(listed.entry, snapshot, sha256_hex(data)))
        return tuple(members)

    def _record(self, name: str, kind: type[_Record]) -> _Record:
        try:
            return msgspec.convert(self.json(name), kind)
        except (BadInputError, msgspec.ValidationError) as error:
            job_id = self.manifest.job_id
            reason = f"is not one that this version reads: {error}"
            raise _damaged(f"artefact {name!r} of job {job_id} {reason}") from None


def manifest_bytes(desk: Desk, job_id: str) -> bytes:
    """The envelope of a finished job. Raises as `sealed_objects`, `EvidenceError` if it is gone."""
    return _envelope(sealed_objects(desk, job_id), job_id)


def sealed_objects(desk: Desk, job_id: str) -> JobObjects:
    """The stored objects of a finished job, or `NotFoundError`.

    A job that was killed between sealing and its last record has failed: its manifest is not used.
    """
    row = find_row(desk, job_id)
    if row["state"] != JobState.DONE:
        reason = row["failure_reason"] or "it is not finished"
        raise NotFoundError(
            f"job {job_id} has no manifest: {row['state']}, {reason}", hint="run it again"
        )
    return desk.job_objects(row["tenant"], row["job_id"])


def proof_bytes(desk: Desk, job_id: str) -> bytes:
    """The proof file of a finished job. Raises `LedgerError` if it is gone."""
    try:
        return sealed_objects(desk, job_id).proof()
    except NotFoundError:
        raise LedgerError(f"the proof of job {job_id} is missing", hint=_RESTORE) from None


def newest_proof(desk: Desk, evidence: Evidence) -> bytes:
    """The stored proof, or, where the home has witnesses, one at what they cosigned since."""
    stored = proof_bytes(desk, evidence.manifest.job_id)
    if not desk.is_witnessed:
        return stored
    return desk.open_sealer().proof(LedgerProof.parse(stored).index, evidence.envelope)


def verify_job(
    desk: Desk,
    job_id: str,
    trust: TrustFile | None = None,
    *,
    remembered: Remembered | None = None,
    counter: CounterEvidence | None = None,
) -> VerificationReport:
    """Verify a job of this home, by default under the home's own keys and the job's own mode.

    `remembered` and `counter` are for `verify_manifest`.
    """
    objects = sealed_objects(desk, job_id)
    envelope = _envelope(objects, job_id)
    try:
        proof = objects.proof()
    except NotFoundError:
        proof = None
    if trust is not None and trust.witnesses.quorum:
        proof = newest_proof(desk, Evidence(desk, job_id))
    if trust is None:
        trust = desk.open_sealer().export_trust(CryptoMode.CLASSICAL)
    report = verify_manifest(
        envelope, objects.artefact, proof, trust, remembered=remembered, counter=counter
    )
    if report.verified:
        Evidence(desk, job_id)  # a true manifest, but is it this job's?
    return report


def export_evidence(
    desk: Desk, job_id: str, folder: Path, view: ViewFormat = ViewFormat.DSSE
) -> tuple[Path, ...]:
    """Write the manifest in a view, proof.json and artefacts/<sha256> into a new or empty folder.

    The manifest is manifest.json, or manifest.yaml in the YAML view. The folder appears with all
    of them or not at all. Raises `BadInputError` for a folder that cannot be, `StorageError` where
    the disk fails.
    """
    evidence = Evidence(desk, job_id)
    proof = newest_proof(desk, evidence)
    manifest = write_view(parse_envelope(evidence.envelope), view)
    files = {f"artefacts/{d}": evidence.artefact(n) for n, d in evidence.digests.items()}
    files |= {"proof.json": proof, view.file_name: manifest}
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            reason = f"{shown_path(folder)} is not an empty folder"
            raise BadInputError(reason, hint="name a new folder")
        create_folder(folder, files)
    except OSError as error:
        raise cannot_write(folder, error, hint="name a new folder") from None
    return tuple(folder / name for name in files)


def _envelope(objects: JobObjects, job_id: str) -> bytes:
    try:
        return objects.manifest()
    except NotFoundError:
        raise _damaged(f"the manifest of job {job_id} is missing") from None
    except ArtefactError as error:
        raise _damaged(f"the manifest of job {job_id} is damaged: {error}") from None


def _damaged(what: str) -> EvidenceError:
    return EvidenceError(what, hint=_RESTORE)
