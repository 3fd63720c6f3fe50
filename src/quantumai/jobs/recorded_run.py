"""Sealing a run that QuantumAI neither scheduled nor ran: its maker hands in what came of it.

The manifest says so (`origin` is "recorded"): that such a run took place as told is its maker's
word. What is proved is who signed the word, when, and that nobody has changed it since.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from quantumai.canonical import canonical_json
from quantumai.crypto_mode import CryptoMode
from quantumai.errors import StorageError, UnverifiedError
from quantumai.jobs.desk import Desk
from quantumai.jobs.evidence import verify_job
from quantumai.jobs.job_rows import index_manifest
from quantumai.jobs.recovery import code_and_reason, fail_job
from quantumai.jobs.sealing import sdk_version, seal_run
from quantumai.jobs.states import JobState
from quantumai.provenance.manifest.run_manifest import SCHEMA_VERSION, Origin, RunManifest
from quantumai.provenance.statements.statement import artifact_hash
from quantumai.provenance.verification.mode_signatures import signature_suite
from quantumai.provenance.verification.report import Outcome

NO_CALIBRATION = "none"
"""`calibration_snapshot_id` of a run whose backend told of no calibration."""


@dataclass(frozen=True, kw_only=True)
class RecordedRun:
    """All that is known of the run. `artefacts`: name -> bytes; `seed`: `sha256:<hex>`.

    `told` is what else the run's maker said, as plain JSON data; it becomes the artefact `record`.
    `calibration_snapshot_id` is `sha256:<hex>` of the calibration artefact, or `NO_CALIBRATION`.
    """

    backend_id: str
    crypto_mode: CryptoMode
    em_method: str
    em_version: str
    seed: str
    calibration_snapshot_id: str
    circuit_name: str
    artefacts: Mapping[str, bytes]
    told: Mapping[str, Any]
    library_versions: Mapping[str, str]
    tenant: str = "local"


def seal_recorded_run(desk: Desk, run: RecordedRun, job_id: str = "") -> str:
    """Store, sign, log and verify a recorded run; returns its job id, by default a new one.

    A failure is written down as a failed job and raised: nothing of it is believed then.
    """
    job_id = job_id or desk.new_id()
    # Keys that refuse to work must leave no job behind.
    desk.open_sealer()
    desk.job_objects(run.tenant, job_id).make_ready()
    with desk.run_locks.hold(job_id):
        request = _request(run, desk.now())
        _begin(desk, request, job_id)
        try:
            _seal(desk, run, request, job_id)
        except BaseException as error:
            with suppress(StorageError):  # the error itself is the one to tell
                fail_job(desk, job_id, *code_and_reason(error))
            raise
    _require_verified(desk, job_id)
    return job_id


def _request(run: RecordedRun, now: str) -> dict[str, Any]:
    """What stands in the job's row for a request. It is signed too, so the row can be checked."""
    return {
        "schema_version": 1,
        "origin": str(Origin.RECORDED),
        "tenant": run.tenant,
        "circuit_name": run.circuit_name,
        "backend": run.backend_id,
        "em": run.em_method,
        "created_at": now,
    }


def _begin(desk: Desk, request: dict[str, Any], job_id: str) -> None:
    desk.database.insert(
        "jobs",
        {
            "job_id": job_id,
            "tenant": request["tenant"],
            # The steps before were done elsewhere.
            "state": JobState.SEALING,
            "request": request,
            "created_at": request["created_at"],
            "updated_at": request["created_at"],
        },
    )


def _seal(desk: Desk, run: RecordedRun, request: dict[str, Any], job_id: str) -> None:
    record = canonical_json({"schema_version": 1, "job": request, "told": dict(run.told)})
    artefacts = {**run.artefacts, "record": record}
    digests = desk.job_objects(run.tenant, job_id).store(artefacts)
    manifest = RunManifest(
        job_id=job_id,
        tenant=run.tenant,
        backend_id=run.backend_id,
        pqc_suite=signature_suite(run.crypto_mode),
        crypto_mode=run.crypto_mode,
        calibration_snapshot_id=run.calibration_snapshot_id,
        em_method=run.em_method,
        em_version=run.em_version,
        seed=run.seed,
        created_at=desk.now(),
        artifact_hash=artifact_hash(digests),
        sdk_version=sdk_version(),
        library_versions=dict(run.library_versions),
        policy_digest="",
        request_sha256="",
        plugin_digests={},
        origin=Origin.RECORDED,
        schema_version=SCHEMA_VERSION,
    )
    envelope, index = seal_run(desk, manifest, digests)
    with desk.database.transaction():
        index_manifest(desk, envelope)
        done = {"state": JobState.DONE, "updated_at": desk.now(), "manifest_index": index}
        if not desk.database.update("jobs", {"job_id": job_id, "state": JobState.SEALING}, done):
            raise StorageError(f"job {job_id} is no longer sealing: another process changed it")


def _require_verified(desk: Desk, job_id: str) -> None:
    report = verify_job(desk, job_id)
    if not report.verified:
        wrong = next(check for check in report.checks if check.status is not Outcome.OK)
        raise UnverifiedError(
            f"the recorded job {job_id} does not verify: {wrong.name}: {wrong.detail}",
            int(report.exit_code),
            hint=f"qai manifest verify {job_id}",
        )
