"""The main use case: plan, decide, run, mitigate, seal. Each step is recorded before it begins."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from quantumai.backends.simulator import Simulator
from quantumai.canonical import canonical_json, parse_canonical_json
from quantumai.errors import QuantumAIError, StorageError
from quantumai.jobs.computation import execute, plan_job
from quantumai.jobs.desk import Desk, artefact_key, manifest_key
from quantumai.jobs.evidence import CALIBRATION_PREFIX, inputs_of, store_artefacts
from quantumai.jobs.recovery import INTERRUPTED, fail_job
from quantumai.jobs.report import JobReport, load_report
from quantumai.jobs.request import PreparedJob
from quantumai.jobs.sealing import seal_decision, seal_manifest
from quantumai.jobs.states import NEXT_STATE, JobState
from quantumai.provenance.dsse import parse_envelope
from quantumai.provenance.run_manifest import flat_view
from quantumai.scheduler.decision import Decision
from quantumai.scheduler.planner import FleetMember, Plan

Progress = Callable[[str], None]
_INDEXED = (
    "job_id",
    "tenant",
    "backend_id",
    "pqc_suite",
    "crypto_mode",
    "calibration_snapshot_id",
    "em_method",
    "signature",
    "created_at",
)


@dataclass(frozen=True)
class _Work:
    """One planned job and what it was planned with."""

    job: PreparedJob
    plan: Plan
    fleet: tuple[FleetMember, ...]
    simulator: Simulator


def run_job(desk: Desk, job: PreparedJob, progress: Progress) -> JobReport:
    """Run one job to its sealed end.

    Planning and opening the keys come before the job is stored, so a job that no backend can take
    or no key can sign leaves nothing. A failure after that is recorded with its reason and raised.
    """
    job_id, created_at = desk.new_id(), desk.now()
    simulator = desk.open_simulator(job.request.engine)
    progress("considering backends and methods")
    fleet = desk.open_fleet()
    plan = plan_job(job, job_id, created_at, fleet, simulator)
    work = _Work(job, plan, fleet, simulator)
    desk.open_sealer()  # keys that refuse to work must leave no job behind
    with desk.run_locks.hold(job_id):
        _submit(desk, job, job_id, created_at)
        try:
            _carry_out(desk, work, progress)
        except BaseException as error:
            # What went wrong is the error to tell, even if it keeps us from writing it down too.
            # The next command then finds the job without its process.
            with suppress(StorageError):
                fail_job(desk, job_id, *_code_and_reason(error))
            raise
    progress("verifying")
    return load_report(desk, job_id)


def _carry_out(desk: Desk, work: _Work, progress: Progress) -> None:
    job, decision = work.job, work.plan.decision
    job_id, chosen = decision.job_id, decision.chosen
    artefacts = inputs_of(job, work.fleet) | {
        "decision": canonical_json(decision.to_json()),
        "transpiled-circuit": work.plan.placement.transpiled.circuit.to_qasm().encode(),
    }
    digests = store_artefacts(desk.objects, artefacts)
    digests |= {CALIBRATION_PREFIX + m.entry.backend_id: m.snapshot_sha256 for m in work.fleet}
    progress("signing the decision")
    signed_decision, decision_index = seal_decision(desk, decision, digests)
    digests |= store_artefacts(desk.objects, {"signed-decision": signed_decision})
    with desk.database.transaction():
        desk.database.insert(
            "scheduler_decisions", _decision_row(desk, decision, digests["signed-decision"])
        )
        _advance(desk, job_id, JobState.SUBMITTED, {"decision_index": decision_index})
    progress(f"running on {chosen.backend_id} with {chosen.forecast.method}")
    _advance(desk, job_id, JobState.SCHEDULED, {})
    started_s = time.perf_counter()
    transpiled = artefacts["transpiled-circuit"].decode()
    made = execute(job, decision, transpiled, work.fleet, work.simulator)
    runtime_s = time.perf_counter() - started_s
    progress("sealing the manifest")
    _advance(desk, job_id, JobState.RUNNING, {})
    digests |= store_artefacts(desk.objects, made)
    envelope, index = seal_manifest(desk, job.request, decision, digests)
    with desk.database.transaction():
        _index_manifest(desk, job, envelope, runtime_s, made)
        _advance(desk, job_id, JobState.SEALING, {"manifest_index": index})


def _submit(desk: Desk, job: PreparedJob, job_id: str, created_at: str) -> None:
    desk.database.insert(
        "jobs",
        {
            "job_id": job_id,
            "tenant": job.request.tenant,
            "state": JobState.SUBMITTED,
            "request": job.request.to_json(),
            "created_at": created_at,
            "updated_at": created_at,
        },
    )


def _advance(desk: Desk, job_id: str, state: JobState, values: dict[str, Any]) -> None:
    changed = desk.database.update(
        "jobs",
        {"job_id": job_id, "state": state},
        {"state": NEXT_STATE[state], "updated_at": desk.now(), **values},
    )
    if not changed:
        raise StorageError(f"job {job_id} is no longer {state}: another process changed it")


def _code_and_reason(error: BaseException) -> tuple[str, str]:
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED, "interrupted by the user"
    if isinstance(error, QuantumAIError):
        return error.code, " ".join(str(error).split())
    return QuantumAIError.code, " ".join(f"{type(error).__name__}: {error}".split())


def _decision_row(desk: Desk, decision: Decision, signed_sha256: str) -> dict[str, Any]:
    plain = decision.to_json()
    return {
        "id": desk.new_id(),
        "job_id": decision.job_id,
        "chosen_backend": decision.chosen.backend_id,
        "score": decision.chosen.factors.score,
        "reasons": {
            "chosen": plain["chosen"],
            "candidates": plain["candidates"],
            "backends": plain["backends"],
        },
        "decision_manifest_path": artefact_key(signed_sha256),
        "created_at": decision.created_at,
    }


def _index_manifest(
    desk: Desk, job: PreparedJob, envelope: bytes, runtime_s: float, made: dict[str, bytes]
) -> None:
    view = flat_view(parse_envelope(envelope))
    row = {column: view[column] for column in _INDEXED}
    desk.database.insert("manifests", row | {"s3_path": manifest_key(view["job_id"])})
    assessment = parse_canonical_json(made["assessment"])
    desk.database.insert(
        "em_results",
        {
            "result_id": desk.new_id(),
            "job_id": view["job_id"],
            "circuit_family": "user",  # the benchmark families have names of their own
            "shots": job.request.shots,
            "unmitigated_fidelity": assessment["unmitigated_fidelity"],
            "mitigated_fidelity": assessment["mitigated_fidelity"],
            "em_method": view["em_method"],
            "cost_seconds": runtime_s,
            "created_at": view["created_at"],
        },
    )
