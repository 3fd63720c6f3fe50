"""Whether the stored manifest of a finished job verifies, as an auditor would do it."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from quantumai.errors import ErasedError, QuantumAIError
from quantumai.jobs.desk import Desk
from quantumai.jobs.evidence import manifest_bytes, proof_bytes, verify_job
from quantumai.provenance.ledger.checkpoint import verify_checkpoint
from quantumai.provenance.ledger.proof import LedgerProof
from quantumai.provenance.verification.report import Outcome
from quantumai.provenance.verification.trust import TrustFile, WitnessTrust


def manifest_problems(desk: Desk, job_id: str, trust: TrustFile | None) -> Iterator[str]:
    """What is wrong with the manifest and proof of a finished job; nothing if it was erased."""
    try:
        # The stored proof is looked at, and not one that would be made at what was cosigned since.
        stored = trust and msgspec.structs.replace(trust, witnesses=WitnessTrust())
        report = verify_job(desk, job_id, stored)
        for check in report.checks:
            allowed = check.name in report.unchecked
            if check.status is not Outcome.OK and not allowed:
                yield f"job {job_id}: {check.name}: {check.detail}"
        yield from _unsigned_parts(desk, job_id)
    except ErasedError:
        return  # counted apart
    except QuantumAIError as error:
        yield f"job {job_id}: {error}"


def is_erased(desk: Desk, job_id: str) -> bool:
    """Whether a finished job's data were erased."""
    try:
        manifest_bytes(desk, job_id)
    except ErasedError:
        return True
    except QuantumAIError:
        return False
    return False


def _unsigned_parts(desk: Desk, job_id: str) -> Iterator[str]:
    """A signature line that a verifier may skip, since it knows no such key, is still ours."""
    keys = desk.open_sealer().ledger.signer.verifier_keys()
    proof = LedgerProof.parse(proof_bytes(desk, job_id))
    if len(verify_checkpoint(proof.checkpoint, keys)[1]) != len(keys):
        yield f"job {job_id}: the proof's checkpoint is not signed by all of the ledger's keys"
