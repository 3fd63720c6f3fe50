"""The signed decision on a job that may never have finished: found by its leaf, read back."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from quantumai.canonical import sha256_hex
from quantumai.errors import ArtefactError, BadInputError
from quantumai.jobs.job_objects import JobObjects
from quantumai.provenance.statements.dsse import parse_envelope
from quantumai.provenance.statements.statement import SCHEDULER_DECISION, parse_predicate
from quantumai.scheduler.decision import Decision


@dataclass(frozen=True)
class KeptDecision:
    """The decision, and the digests (SHA-256 hex) of the artefacts that went into it, by name."""

    decision: Decision
    digests: dict[str, str]


def kept_decision(objects: JobObjects, sha256: str) -> KeptDecision | None:
    """The decision whose envelope has this SHA-256, or None where it is not there or is none.

    It is stored before it is logged, so that a leaf is never without it. Raises `ErasedError` where
    the tenant's data were erased.
    """
    try:
        envelope = objects.artefact(sha256)
        if envelope is None or sha256_hex(envelope) != sha256:
            return None
        payload = parse_envelope(envelope).payload
        statement, plain = parse_predicate(payload, SCHEDULER_DECISION, dict, "a decision")
        return KeptDecision(msgspec.convert(plain, Decision), statement.digests)
    except (ArtefactError, BadInputError, msgspec.ValidationError):
        return None
