"""Marking jobs failed, above all those whose process is gone."""

from __future__ import annotations

from quantumai.errors import QuantumAIError
from quantumai.jobs.desk import Desk
from quantumai.jobs.states import UNFINISHED, JobState

INTERRUPTED = "interrupted"


def fail_interrupted(desk: Desk) -> list[str]:
    """Mark every unfinished job that no living process holds; returns their ids.

    A job takes its lock before its row appears and keeps it until the last state is written, so an
    unfinished row without a held lock can only be a dead process's.
    """
    failed = []
    for state in UNFINISHED:
        for row in desk.database.select("jobs", {"state": state}):
            job_id = row["job_id"]
            if desk.run_locks.is_held(job_id):
                continue
            if fail_job(desk, job_id, INTERRUPTED, f"its process died while the job was {state}"):
                failed.append(job_id)
            desk.run_locks.forget(job_id)
    return failed


def fail_job(desk: Desk, job_id: str, code: str, reason: str) -> bool:
    """Mark an unfinished job failed; False if it is finished, which stays as it is."""
    failure = {
        "state": JobState.FAILED,
        "updated_at": desk.now(),
        "failure_code": code,
        "failure_reason": reason,
    }
    return any(
        desk.database.update("jobs", {"job_id": job_id, "state": state}, failure)
        for state in UNFINISHED
    )


def code_and_reason(error: BaseException) -> tuple[str, str]:
    """An error as a failed job's row tells it: its code, and its message on one line."""
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED, "interrupted by the user"
    if isinstance(error, QuantumAIError):
        return error.code, " ".join(str(error).split())
    return QuantumAIError.code, " ".join(f"{type(error).__name__}: {error}".split())
