"""Sealing a run that QuantumAI neither scheduled nor ran: its maker hands in what came of it.

The manifest says so (`origin` is "recorded"): that such a run took place as told is its maker's
word. What is proved is who signed the word, when, and that nobody has changed it since.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from quantumai.canonical import canonical_json
from quantumai.crypto_mode import CryptoMode
from quantumai.errors import ConflictError, StorageError, UnverifiedError
from quantumai.jobs.desk import Desk
from quantumai.jobs.evidence import verify_job
from quantumai.jobs.job_rows import index_manifest
from quantumai.jobs.recovery import code_and_reason, fail_job
from quantumai.jobs.resumed_sealing import keeper, sealed_before
from quantumai.jobs.sealing import sdk_version, seal_run
from quantumai.jobs.states import JobState
from quantumai.provenance.manifest.run_manifest import SCHEMA_VERSION, Origin, RunManifest
from quantumai.provenance.statements.statement import artifact_hash
from quantumai.provenance.verification.mode_signatures import signature_suite
from quantumai.provenance.verification.report import Outcome
from quantumai.storage.database import Row

NO_CALIBRATION = "none"
"""`calibration_snapshot_id` of a run whose backend told of no calibration."""


@dataclass(frozen=True, kw_only=True)
class RecordedRun:
    """All that is known of the run. `artefacts`: name -> bytes; `seed`: `sha256:<hex>`.

    `told` is what else the run's maker said, as plain JSON data; it becomes the artefact `record`.
    `calibration_snapshot_id` is `sha256:<hex>` of the calibration artefact, or `NO_CALIBRATION`.
    `result_rows` are its rows in `em_results`, which get the manifest's `created_at`.
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
    result_rows: Sequence[Row] = ()


@dataclass(frozen=True)
class _Attempt:
    """One attempt at sealing: `is_named` if its id was given, so that it may be made again."""

    job_id: str
    request: dict[str, Any]
    is_named: bool
    is_resumed: bool


def seal_recorded_run(desk: Desk, run: RecordedRun, job_id: str = "") -> str:
    """Store, sign, log and verify a recorded run; returns its job id, by default a new one.

    A failure is written down as a failed job and raised: nothing of it is believed then. The same
    run may be sealed again under the id of a job that failed; what was signed then is not signed
    once more. Raises `ConflictError` for the id of any other job.
    """
    is_named = bool(job_id)
    job_id = job_id or desk.new_id()
    # Keys that refuse to work must leave no job behind.
    desk.open_sealer()
    desk.job_objects(run.tenant, job_id).make_ready()
    with desk.run_locks.hold(job_id):
        former = desk.database.get("jobs", {"job_id": job_id})
        request = _begin(desk, run, job_id) if former is None else _begin_again(desk, former)
        try:
            attempt = _Attempt(job_id, request, is_named, former is not None)
            _seal(desk, run, attempt)
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


def _begin(desk: Desk, run: RecordedRun, job_id: str) -> dict[str, Any]:
    """The request in the job's new row."""
    request = _request(run, desk.now())
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
    return request


def _begin_again(desk: Desk, former: Row) -> dict[str, Any]:
    """The request in the row of an attempt that failed, which is what may have been signed."""
    request: dict[str, Any] = former["request"]
    failed = {"job_id": former["job_id"], "state": JobState.FAILED}
    sealing = {
        "state": JobState.SEALING,
        "updated_at": desk.now(),
        "failure_code": None,
        "failure_reason": None,
    }
    is_recorded = request.get("origin") == Origin.RECORDED
    if not is_recorded or not desk.database.update("jobs", failed, sealing):
        raise ConflictError(
            f"there is a job {former['job_id']} already: {former['state']}",
            hint="seal it as a new one",
        )
    return request


def _seal(desk: Desk, run: RecordedRun, attempt: _Attempt) -> None:
    job_id = attempt.job_id
    record = canonical_json({"schema_version": 1, "job": attempt.request, "told": dict(run.told)})
    artefacts = {**run.artefacts, "record": record}
    objects = desk.job_objects(run.tenant, job_id)
    digests = objects.store(artefacts)
    sealed = None
    if attempt.is_resumed:
        sealed = sealed_before(desk, objects, job_id, digests, run.crypto_mode)
    if sealed is None:
        keep = keeper(objects) if attempt.is_named else None
        sealed = seal_run(desk, _manifest(desk, run, job_id, digests), digests, keep)
    envelope, index = sealed
    with desk.database.transaction():
        created_at = index_manifest(desk, envelope)["created_at"]
        for row in run.result_rows:
            desk.database.insert("em_results", {**row, "created_at": created_at})
        done = {"state": JobState.DONE, "updated_at": desk.now(), "manifest_index": index}
        if not desk.database.update("jobs", {"job_id": job_id, "state": JobState.SEALING}, done):
            raise StorageError(f"job {job_id} is no longer sealing: another process changed it")


def _manifest(desk: Desk, run: RecordedRun, job_id: str, digests: Mapping[str, str]) -> RunManifest:
    return RunManifest(
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


def _require_verified(desk: Desk, job_id: str) -> None:
    report = verify_job(desk, job_id)
    if not report.verified:
        wrong = next(check for check in report.checks if check.status is not Outcome.OK)
        raise UnverifiedError(
            f"the recorded job {job_id} does not verify: {wrong.name}: {wrong.detail}",
            int(report.exit_code),
            hint=f"qai manifest verify {job_id}",
        )
