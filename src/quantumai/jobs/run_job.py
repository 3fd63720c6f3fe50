"""The main use case: plan, decide, run, mitigate, seal. Each step is recorded before it begins."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from quantumai.backends.simulator import Simulator
from quantumai.canonical import canonical_json, parse_canonical_json
from quantumai.errors import StorageError
from quantumai.jobs.computation import execute, plan_job
from quantumai.jobs.desk import Desk
from quantumai.jobs.evidence import CALIBRATION_PREFIX, inputs_of
from quantumai.jobs.fleet import retain_calibrations
from quantumai.jobs.job_rows import decision_row, em_result_row, index_manifest
from quantumai.jobs.recovery import code_and_reason, fail_job
from quantumai.jobs.report import JobReport, load_report
from quantumai.jobs.request import PreparedJob
from quantumai.jobs.sealing import seal_decision, seal_manifest
from quantumai.jobs.states import NEXT_STATE, JobState
from quantumai.policy.engine import policy_description
from quantumai.scheduler.planner import FleetMember, Plan

Progress = Callable[[str], None]


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
    # Keys that refuse to work must leave no job behind.
    desk.open_sealer()
    desk.job_objects(job.request.tenant, job_id).make_ready()
    with desk.run_locks.hold(job_id):
        _submit(desk, job, job_id, created_at)
        try:
            _carry_out(desk, work, progress)
        except BaseException as error:
            # What went wrong is the error to tell, even if it keeps us from writing it down too.
            # The next command then finds the job without its process.
            with suppress(StorageError):
                fail_job(desk, job_id, *code_and_reason(error))
            raise
    progress("verifying")
    return load_report(desk, job_id)


def _carry_out(desk: Desk, work: _Work, progress: Progress) -> None:
    job, decision = work.job, work.plan.decision
    job_id, chosen = decision.job_id, decision.chosen
    artefacts = inputs_of(job, work.fleet) | {
        "decision": canonical_json(decision.to_json()),
        "transpiled-circuit": work.plan.placement.transpiled.circuit.to_qasm().encode(),
        "model": policy_description(),
    }
    objects = desk.job_objects(job.request.tenant, job_id)
    digests = objects.store(artefacts)
    retain_calibrations(desk.objects, work.fleet)
    digests |= {CALIBRATION_PREFIX + m.entry.backend_id: m.snapshot_sha256 for m in work.fleet}
    progress("signing the decision")
    signed, decision_index = seal_decision(desk, job.request, decision, digests, objects)
    digests |= {"signed-decision": signed}
    with desk.database.transaction():
        desk.database.insert(
            "scheduler_decisions",
            {"id": desk.new_id()}
            | decision_row(decision, objects.artefact_key(digests["signed-decision"])),
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
    digests |= objects.store(made)
    envelope, index = seal_manifest(desk, job.request, decision, digests)
    with desk.database.transaction():
        view = index_manifest(desk, envelope)
        assessed = em_result_row(view, job.request, parse_canonical_json(made["assessment"]))
        own = {"result_id": desk.new_id(), "cost_seconds": runtime_s}
        desk.database.insert("em_results", own | assessed)
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
