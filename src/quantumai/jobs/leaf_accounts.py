"""Which leaves the jobs of a home stand for, and which a job may leave with nothing behind it.

A process that dies between a leaf and what it stands for leaves a leaf alone; so does erasure. Such
leaves are counted against jobs that can have left them, and told: a home alone cannot tell a crash
from somebody who deleted a job and made it look like one.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from quantumai.errors import BadInputError, ErasedError, NotFoundError, QuantumAIError
from quantumai.jobs.desk import Desk
from quantumai.jobs.evidence import Evidence
from quantumai.jobs.object_names import artefact_key
from quantumai.jobs.states import JobState
from quantumai.provenance.ledger.commits import Leaf
from quantumai.provenance.manifest.run_manifest import Origin
from quantumai.provenance.statements.dsse import parse_envelope
from quantumai.provenance.statements.statement import parse_statement
from quantumai.storage.database import Row

MANIFEST, DECISION = "run-manifest", "scheduler-decision"


@dataclass
class LeafAccounts:
    """By type of leaf: SHA-256 (hex) of what is there, and how many leaves may stand alone."""

    there: dict[str, set[str]] = field(default_factory=lambda: {MANIFEST: set(), DECISION: set()})
    alone: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


def leaf_accounts(desk: Desk) -> LeafAccounts:
    """Look at all jobs. What is wrong with a finished one is told by others."""
    accounts = LeafAccounts()
    for row in desk.database.select("jobs"):
        try:
            evidence = Evidence(desk, row["job_id"])
        except ErasedError:
            accounts.alone.update((MANIFEST,) if _is_recorded(row) else (MANIFEST, DECISION))
        except NotFoundError:
            if row["state"] != JobState.DONE:
                _unfinished(desk, row, accounts)
        except QuantumAIError:
            continue
        else:
            accounts.there[MANIFEST].add(evidence.digest)
            accounts.there[DECISION].add(evidence.digests.get("signed-decision", ""))
    return accounts


def _unfinished(desk: Desk, row: Row, accounts: LeafAccounts) -> None:
    if _is_recorded(row):
        accounts.alone[MANIFEST] += 1
    elif row["decision_index"] is None:
        accounts.alone[DECISION] += 1
    else:
        # Its decision was logged and noted; it may have died once its manifest was logged too.
        accounts.alone[MANIFEST] += 1
        leaf = _decision_leaf(desk, row)
        if leaf is None:
            accounts.problems.append(f"job {row['job_id']} names a leaf that is not its decision")
        else:
            accounts.there[DECISION].add(leaf.sha256)


def _is_recorded(row: Row) -> bool:
    return bool(row["request"].get("origin") == Origin.RECORDED)


def _decision_leaf(desk: Desk, row: Row) -> Leaf | None:
    """The leaf that a row names, if it is the decision on this very job.

    What is encrypted cannot be read without the manifest that lists it; then its type has to do.
    """
    try:
        leaf = desk.open_sealer().ledger.entry(row["decision_index"])
        if leaf.type != DECISION or desk.encrypts:
            return leaf if leaf.type == DECISION else None
        envelope = desk.objects.get(artefact_key(row["tenant"], leaf.sha256))
        told = parse_statement(parse_envelope(envelope).payload).predicate["job_id"]
    except (NotFoundError, BadInputError, KeyError, TypeError):
        return None
    return leaf if told == row["job_id"] else None
