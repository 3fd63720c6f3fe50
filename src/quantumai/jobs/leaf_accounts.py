"""Which job each leaf of a manifest or decision belongs to, by what is stored of that job.

Nothing is counted against anything: a leaf is a job's because the envelope that it names tells of
that job. A leaf that is nobody's may be of a job that died between logging and storing its manifest
or of one that was taken away; a home alone cannot tell these apart, so it is told as not checked.
Of an erased job the envelopes cannot be read: there the indices in its row have to do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from quantumai.canonical import sha256_hex
from quantumai.errors import (
    ArtefactError,
    ErasedError,
    LedgerError,
    NotFoundError,
    QuantumAIError,
)
from quantumai.jobs.desk import Desk
from quantumai.jobs.evidence import Evidence
from quantumai.jobs.job_objects import JobObjects
from quantumai.jobs.kept_decision import kept_decision
from quantumai.jobs.states import JobState
from quantumai.provenance.ledger.proof import LedgerProof
from quantumai.storage.database import Row

MANIFEST, DECISION = "run-manifest", "scheduler-decision"


@dataclass
class LeafAccounts:
    """`leaves`: type of leaf -> index -> SHA-256 (hex). `owners`: index -> job id.

    `erased` are the indices of leaves of jobs that were erased.
    """

    leaves: dict[str, dict[int, str]]
    owners: dict[int, str] = field(default_factory=dict)
    erased: set[int] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)

    def own(self, job_id: str, kind: str, index: int | None) -> bool:
        """Give a leaf to a job; False if there is no such leaf, or it is another job's."""
        if index is None or index not in self.leaves[kind]:
            return False
        return self.owners.setdefault(index, job_id) == job_id

    def index_of(self, kind: str, digest: str) -> int | None:
        """Where a leaf is."""
        return self._indices[kind].get(digest)

    def alone(self) -> dict[str, list[int]]:
        """Indices, by type, of the leaves that are nobody's."""
        return {kind: sorted(at.keys() - self.owners.keys()) for kind, at in self.leaves.items()}

    @cached_property
    def _indices(self) -> dict[str, dict[str, int]]:
        return {kind: {d: i for i, d in at.items()} for kind, at in self.leaves.items()}


def leaf_accounts(desk: Desk) -> LeafAccounts:
    """Look at all jobs. What else is wrong with a finished one is told by others."""
    ledger = desk.open_sealer().ledger
    accounts = LeafAccounts(
        {k: {at: leaf.sha256 for at, leaf in ledger.leaves(k)} for k in (MANIFEST, DECISION)}
    )
    undecided: list[tuple[Row, JobObjects]] = []
    erased: list[Row] = []
    for row in desk.database.select("jobs"):
        try:
            if row["state"] == JobState.DONE:
                _finished(accounts, Evidence(desk, row["job_id"]))
                continue
            objects = desk.job_objects(row["tenant"], row["job_id"])
            _sealed_and_unfinished(accounts, row, objects)
            if row["decision_index"] is None:
                undecided.append((row, objects))
            else:
                _decided(accounts, row, objects)
        except ErasedError:
            erased.append(row)
        except QuantumAIError:
            continue  # of a damaged job; its leaves are then nobody's
    for row, objects in undecided:
        _decided_just_before(accounts, row, objects)
    for row in erased:  # last: a leaf that can be read is that of whom it tells of
        _erased(desk, accounts, row)
    return accounts


def _finished(accounts: LeafAccounts, evidence: Evidence) -> None:
    decision = evidence.digests.get("signed-decision", "")
    for kind, digest in ((MANIFEST, evidence.digest), (DECISION, decision)):
        accounts.own(evidence.manifest.job_id, kind, accounts.index_of(kind, digest))


def _sealed_and_unfinished(accounts: LeafAccounts, row: Row, objects: JobObjects) -> None:
    """A job may die once its manifest is stored; its row may also have been changed since."""
    try:
        digest = sha256_hex(objects.manifest())
    except (NotFoundError, ArtefactError):
        return
    index = accounts.index_of(MANIFEST, digest)
    if index is None:
        return  # it never came into the ledger
    job_id = row["job_id"]
    accounts.own(job_id, MANIFEST, index)
    accounts.problems.append(
        f"job {job_id} is noted as {row['state']}, and leaf {index} is its sealed manifest: not "
        "checked whether it died right then or its row was changed"
    )


def _decided(accounts: LeafAccounts, row: Row, objects: JobObjects) -> None:
    """The leaf that a row names has to be the decision on this very job."""
    job_id, index = row["job_id"], row["decision_index"]
    found = kept_decision(objects, accounts.leaves[DECISION].get(index, ""))
    told = found is not None and found.decision.job_id == job_id
    if not told or not accounts.own(job_id, DECISION, index):
        accounts.problems.append(f"job {job_id} names a leaf that is not its decision")


def _decided_just_before(accounts: LeafAccounts, row: Row, objects: JobObjects) -> None:
    """A job that died between the leaf of its decision and the row that names it."""
    for index in accounts.alone()[DECISION]:
        try:
            found = kept_decision(objects, accounts.leaves[DECISION][index])
        except ErasedError:
            return
        if found is not None and found.decision.job_id == row["job_id"]:
            accounts.own(row["job_id"], DECISION, index)


def _erased(desk: Desk, accounts: LeafAccounts, row: Row) -> None:
    """Its proof, which lies in clear, and its row have to name the same leaf."""
    job_id = row["job_id"]
    named = [(MANIFEST, row["manifest_index"]), (DECISION, row["decision_index"])]
    for kind, index in named:
        if index is None:
            continue
        if accounts.own(job_id, kind, index):
            accounts.erased.add(index)
        else:
            accounts.problems.append(f"erased job {job_id} names a leaf that is no {kind} of its")
    try:
        proved = LedgerProof.parse(desk.job_objects(row["tenant"], job_id).proof()).index
    except NotFoundError:
        proved = None
    except LedgerError as error:
        accounts.problems.append(f"erased job {job_id}: its proof: {error}")
        return
    if proved != row["manifest_index"] and row["state"] == JobState.DONE:
        accounts.problems.append(f"erased job {job_id}: its proof is of another leaf")
