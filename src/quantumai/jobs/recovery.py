"""After a crash: jobs whose process is gone are marked failed, with where they stood."""

from __future__ import annotations

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
            changed = desk.database.update(
                "jobs",
                {"job_id": job_id, "state": state},
                {
                    "state": JobState.FAILED,
                    "updated_at": desk.now(),
                    "failure_code": INTERRUPTED,
                    "failure_reason": f"its process died while the job was {state}",
                },
            )
            desk.run_locks.forget(job_id)
            failed += [job_id] * changed
    return failed
