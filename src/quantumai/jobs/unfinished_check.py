"""Whether the rows of a job that did not finish say what is signed of it: its decision.

Nothing vouches for when and why it failed. Of one that failed before its decision was signed
nothing vouches for the row at all; whoever reads a report is told how many those are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from quantumai.canonical import parse_canonical_json, sha256_hex
from quantumai.errors import BadInputError, ErasedError, NotFoundError
from quantumai.jobs.desk import Desk
from quantumai.jobs.job_objects import JobObjects
from quantumai.jobs.job_rows import decision_row, is_same
from quantumai.jobs.kept_decision import KeptDecision, kept_decision
from quantumai.jobs.states import JobState
from quantumai.storage.database import Database, Row


def unfinished_problems(desk: Desk, row: Row) -> Iterator[str]:
    """What is wrong with the rows of one job that is not done; `row` is the one in `jobs`."""
    job_id, state = row["job_id"], row["state"]
    if state == JobState.FAILED and not row["failure_code"]:
        yield f"job {job_id} failed without a reason"
    if state != JobState.FAILED and (row["failure_code"] or row["failure_reason"]):
        yield f"job {job_id} is noted as {state}, and with a reason why it failed"
    if row["manifest_index"] is not None:
        yield f"job {job_id} is noted as {state}, and with a manifest in the ledger"
    decisions = desk.database.select("scheduler_decisions", {"job_id": job_id})
    # The index and the row of the decision are written in one transaction.
    if len(decisions) != (row["decision_index"] is not None):
        yield f"job {job_id}: its row and scheduler_decisions contradict each other"
    elif decisions:
        yield from _decision_problems(desk, row, decisions[0])


def _decision_problems(desk: Desk, row: Row, decided: Row) -> Iterator[str]:
    job_id = row["job_id"]
    try:
        objects = desk.job_objects(row["tenant"], job_id)
        digest = desk.open_sealer().ledger.entry(row["decision_index"]).sha256
        kept = kept_decision(objects, digest)
        if kept is None or kept.decision.job_id != job_id:
            return  # told where leaves are looked at
        request = _request(objects, kept)
    except ErasedError:
        return
    except (BadInputError, NotFoundError) as error:
        yield f"job {job_id}: {error}"
        return
    created_at = kept.decision.created_at
    wanted = {"request": request, "created_at": created_at, "tenant": request.get("tenant")}
    yield from (
        f"job {job_id}: jobs.{column} contradicts the evidence"
        for column, value in wanted.items()
        if not is_same(row[column], value)
    )
    wanted = decision_row(kept.decision, objects.artefact_key(digest))
    yield from (
        f"job {job_id}: scheduler_decisions.{column} contradicts the evidence"
        for column, value in wanted.items()
        if not is_same(decided[column], value)
    )


def _request(objects: JobObjects, kept: KeptDecision) -> dict[str, Any]:
    """The request that was decided on. Raises `NotFoundError` if it is gone or changed."""
    digest = kept.digests.get("request", "")
    data = objects.artefact(digest)
    if data is None or sha256_hex(data) != digest:
        raise NotFoundError("its request is missing or damaged")
    request: dict[str, Any] = parse_canonical_json(data)
    return request


def stray_problems(database: Database) -> Iterator[str]:
    """Rows about jobs that are not there, or that cannot have such a row."""
    states = {row["job_id"]: row["state"] for row in database.select("jobs")}
    for table, what in (("manifests", "manifest"), ("em_results", "result")):
        ids = {row["job_id"] for row in database.select(table)}
        stray = sorted(job_id for job_id in ids if states.get(job_id) != JobState.DONE)
        yield from (f"the {what} of job {job_id} belongs to no finished job" for job_id in stray)
    decided = {row["job_id"] for row in database.select("scheduler_decisions")}
    stray = sorted(decided - states.keys())
    yield from (f"the decision on job {job_id} belongs to no job" for job_id in stray)


def is_unsigned(row: Row) -> bool:
    """Whether nothing was signed of a job: it did not come as far as its decision."""
    return row["state"] != JobState.DONE and row["decision_index"] is None
