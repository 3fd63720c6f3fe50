"""The job state machine. A state is written before the step it names begins."""

from __future__ import annotations

from enum import StrEnum


class JobState(StrEnum):
    """submitted -> scheduled -> running -> sealing -> done; any of the first four may fail."""

    SUBMITTED = "submitted"
    SCHEDULED = "scheduled"
    RUNNING = "running"
    SEALING = "sealing"
    DONE = "done"
    FAILED = "failed"


NEXT_STATE = {
    JobState.SUBMITTED: JobState.SCHEDULED,
    JobState.SCHEDULED: JobState.RUNNING,
    JobState.RUNNING: JobState.SEALING,
    JobState.SEALING: JobState.DONE,
}
UNFINISHED = tuple(NEXT_STATE)
