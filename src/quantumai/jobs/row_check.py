"""Whether the database's rows say what the evidence says: nothing signs them, people read them.

`INFORMATIVE` lists what nothing vouches for: times and durations of our own bookkeeping, and ids
that only name rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from quantumai.backends.calibration import CalibrationSnapshot
from quantumai.backends.catalogue import BackendEntry
from quantumai.canonical import sha256_hex
from quantumai.errors import (
    BadInputError,
    ErasedError,
    EvidenceError,
    NotFoundError,
    StorageError,
)
from quantumai.jobs.desk import Desk
from quantumai.jobs.em_result_rows import em_row_problems
from quantumai.jobs.evidence import Evidence
from quantumai.jobs.fleet import backend_row, calibration_row
from quantumai.jobs.job_rows import decision_row, em_result_row, is_same, manifest_row
from quantumai.jobs.object_names import public_artefact_key
from quantumai.jobs.states import JobState
from quantumai.jobs.unfinished_check import unfinished_problems
from quantumai.provenance.ledger.commits import Leaf
from quantumai.provenance.ledger.proof import LedgerProof
from quantumai.provenance.manifest.run_manifest import Origin
from quantumai.provenance.manifest.views import flat_view
from quantumai.provenance.statements.dsse import parse_envelope
from quantumai.storage.database import Row

INFORMATIVE: Mapping[str, frozenset[str]] = {
    "jobs": frozenset({"updated_at"}),
    "em_results": frozenset({"result_id", "cost_seconds"}),
    "scheduler_decisions": frozenset({"id"}),
}


def job_row_problems(desk: Desk, row: Row) -> Iterator[str]:
    """What is wrong with the rows of one job; `row` is the one in `jobs`."""
    job_id = row["job_id"]
    if row["state"] != JobState.DONE:
        yield from unfinished_problems(desk, row)
        return
    try:
        evidence = Evidence(desk, job_id)
        wanted = dict(_wanted(desk, evidence, row))
        if evidence.manifest.origin is Origin.RECORDED:
            yield from em_row_problems(desk, evidence)
    except ErasedError:
        return  # on purpose: what is left of it is the leaf in the ledger
    except (BadInputError, EvidenceError, StorageError) as error:
        yield f"job {job_id}: {error}"
        return
    for table, values in wanted.items():
        found = desk.database.select(table, {"job_id": job_id})
        if len(found) != 1:
            yield f"job {job_id} has {len(found)} rows in {table} instead of 1"
            continue
        ignored = INFORMATIVE.get(table, frozenset())
        for column, value in found[0].items():
            if column not in ignored and not is_same(value, values.get(column)):
                yield f"job {job_id}: {table}.{column} contradicts the evidence"


def _wanted(desk: Desk, evidence: Evidence, job: Row) -> Iterator[tuple[str, dict[str, Any]]]:
    """Table -> its row, as the evidence has it; `job` is the row in `jobs`."""
    manifest = evidence.manifest
    index = LedgerProof.parse(evidence.objects.proof()).index
    row = {"job_id": manifest.job_id, "tenant": manifest.tenant, "state": JobState.DONE}
    view = flat_view(parse_envelope(evidence.envelope))
    yield "manifests", manifest_row(view, evidence.objects.manifest_key)
    if manifest.origin is Origin.RECORDED:
        request = evidence.json("record")["job"]
        told = {"request": request, "created_at": request["created_at"]}
        yield "jobs", row | told | {"manifest_index": index}
        return
    decision = evidence.decision()
    name = evidence.objects.artefact_key(evidence.digests["signed-decision"])
    yield "scheduler_decisions", decision_row(decision, name)
    yield "em_results", em_result_row(view, evidence.job().request, evidence.json("assessment"))
    told = {"request": evidence.json("request"), "created_at": decision.created_at}
    where = {"manifest_index": index, "decision_index": _decision_index(desk, evidence, job)}
    yield "jobs", row | told | where


def _decision_index(desk: Desk, evidence: Evidence, job: Row) -> int | None:
    """The index that the row names, if the decision is that leaf."""
    index = job["decision_index"]
    leaf = Leaf("scheduler-decision", 1, evidence.digests["signed-decision"])
    return index if desk.open_sealer().ledger.entry(index) == leaf else None


def backend_problems(desk: Desk, catalogue: Mapping[str, BackendEntry]) -> Iterator[str]:
    """What is wrong with the rows of backends and calibrations, by the stored snapshots.

    A backend that is no longer in `catalogue` (by id) is not believed by any job.
    """
    snapshots: dict[str, CalibrationSnapshot] = {}
    digests: dict[str, str] = {}
    for row in desk.database.select("calibration_snapshots"):
        digest = row["raw_metrics"].get("sha256", "")
        try:
            data = desk.objects.get(public_artefact_key(digest))
            if sha256_hex(data) != digest:
                raise EvidenceError("its snapshot was changed")
            snapshot = CalibrationSnapshot.from_bytes(data)
        except (BadInputError, EvidenceError, NotFoundError) as error:
            yield f"calibration {row['id']}: {error}"
            continue
        snapshots[snapshot.snapshot_id], digests[snapshot.snapshot_id] = snapshot, digest
        if not is_same(row, calibration_row(snapshot, row["backend_id"], digest)):
            yield f"calibration {row['id']} contradicts its snapshot"
    for row in desk.database.select("backends"):
        entry, current = catalogue.get(row["backend_id"]), row["last_calibration_id"]
        if current not in snapshots:
            yield f"backend {row['backend_id']} names a calibration that is not there"
        elif entry is not None and not is_same(row, backend_row(entry, current, digests[current])):
            yield f"backend {row['backend_id']} contradicts the catalogue"
