"""Counter-signing a job's manifest, so that it outlives the algorithm or the key that signed it."""

from __future__ import annotations

from quantumai.canonical import sha256_hex
from quantumai.crypto_mode import CryptoMode
from quantumai.errors import UnverifiedError
from quantumai.jobs.desk import Desk
from quantumai.jobs.evidence import Evidence, proof_bytes, verify_job
from quantumai.provenance.ledger.proof import LedgerProof
from quantumai.provenance.manifest.counter_signature import (
    LEAF_TYPE,
    CounterEvidence,
    CounterSignature,
    build_counter_signature,
)
from quantumai.provenance.verification.report import Outcome

_FOLDER = "counter-signatures"


def counter_sign_job(desk: Desk, job_id: str, mode: CryptoMode) -> CounterEvidence:
    """Sign and log that the job's envelope verified now, in crypto mode `mode`.

    Raises `UnverifiedError` for a manifest that does not verify in its own home.
    """
    evidence = Evidence(desk, job_id)
    report = verify_job(desk, job_id)
    if not report.verified:
        wrong = next(check for check in report.checks if check.status is not Outcome.OK)
        raise UnverifiedError(
            f"job {job_id} does not verify, so it is not counter-signed: "
            f"{wrong.name}: {wrong.detail}",
            int(report.exit_code),
            hint=f"qai manifest verify {job_id}",
        )
    sealer = desk.open_sealer()
    counter = CounterSignature(
        envelope_sha256=sha256_hex(evidence.envelope),
        leaf_type="run-manifest",
        leaf_index=LedgerProof.parse(proof_bytes(desk, job_id)).index,
        origin=sealer.ledger.origin,
        tenant=evidence.manifest.tenant,
        crypto_mode=mode,
        created_at=desk.now(),
    )
    statement = build_counter_signature(counter)
    envelope, index = sealer.seal(LEAF_TYPE, statement, mode=mode, folder=_FOLDER)
    return CounterEvidence(envelope, sealer.proof(index, envelope))
