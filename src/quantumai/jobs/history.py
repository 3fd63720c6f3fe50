"""The jobs of a home: listing and finding them."""

from __future__ import annotations

from uuid import UUID

import msgspec

from quantumai.errors import BadInputError, NotFoundError
from quantumai.jobs.desk import Desk
from quantumai.provenance.manifest.run_manifest import Origin
from quantumai.storage.database import Database, Row


class JobSummary(msgspec.Struct, frozen=True):
    """One line of the list; backend and method are those of the decision, once there is one.

    `origin` is "recorded" for a run that QuantumAI did not schedule; its maker told the rest.
    """

    job_id: str
    state: str
    created_at: str
    circuit_name: str
    backend_id: str | None
    em_method: str | None
    failure_code: str | None
    failure_reason: str | None
    origin: Origin


def list_jobs(desk: Desk) -> list[JobSummary]:
    """All jobs, newest first."""
    decisions = {row["job_id"]: row for row in desk.database.select("scheduler_decisions")}
    rows = desk.database.select("jobs", order_by="-created_at")
    return [_summary(row, decisions.get(row["job_id"])) for row in rows]


def find_job(desk: Desk, job_id: str) -> JobSummary:
    """One job by its id, or `NotFoundError`."""
    row = find_row(desk, job_id)
    decisions = desk.database.select("scheduler_decisions", {"job_id": row["job_id"]})
    return _summary(row, decisions[0] if decisions else None)


def find_row(desk: Desk, job_id: str) -> Row:
    """A job's row by its id. Raises `BadInputError` or `NotFoundError`."""
    try:
        known = str(UUID(job_id))
    except ValueError:
        raise BadInputError(
            f"not a job id: {job_id[:60]!r}", hint="`qai jobs list` shows the ids"
        ) from None
    row = desk.database.get("jobs", {"job_id": known})
    if row is None:
        raise NotFoundError(f"no job {known} in this home", hint="`qai jobs list` shows the ids")
    return row


def leaves_handed_out(database: Database) -> int:
    """Least size that the ledger must have: one more than the greatest leaf index of any job."""
    greatest = -1
    for column in ("decision_index", "manifest_index"):
        for row in database.select("jobs", order_by=f"-{column}", limit=1):
            greatest = max(greatest, -1 if row[column] is None else row[column])
    return greatest + 1


def _summary(row: Row, decision: Row | None) -> JobSummary:
    request = row["request"]
    origin = Origin(request.get("origin", Origin.SCHEDULED))
    backend_id, em_method = None, None
    if origin is Origin.RECORDED:
        backend_id, em_method = request["backend"], request["em"]
    elif decision and decision["reasons"]:  # those of an erased job are cleared
        chosen = decision["reasons"]["chosen"]
        backend_id, em_method = chosen["backend_id"], chosen["forecast"]["method"]
    return JobSummary(
        job_id=row["job_id"],
        state=row["state"],
        created_at=row["created_at"],
        circuit_name=request["circuit_name"],
        backend_id=backend_id,
        em_method=em_method,
        failure_code=row["failure_code"],
        failure_reason=row["failure_reason"],
        origin=origin,
    )
