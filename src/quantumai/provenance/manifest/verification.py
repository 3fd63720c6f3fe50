"""Offline verification of a run-manifest: from the evidence and a trust file, nothing else.

Keys found inside the evidence are never trusted: whatever verifies does so under a key of the
trust file. Everything runs in full even when something failed, so that the report is complete.
"""

from __future__ import annotations

from collections.abc import Callable

from quantumai.canonical import sha256_hex
from quantumai.crypto_mode import CryptoMode
from quantumai.errors import LedgerError
from quantumai.provenance.ledger.proof import LedgerProof
from quantumai.provenance.manifest.counter_signature import (
    CounterEvidence,
    CounterSigned,
    verify_counter_signature,
)
from quantumai.provenance.manifest.run_manifest import (
    Origin,
    RunManifest,
    parse_run_manifest,
    suite_allows,
)
from quantumai.provenance.statements.dsse import Envelope
from quantumai.provenance.statements.statement import Statement, artifact_hash
from quantumai.provenance.verification.freshness import Remembered
from quantumai.provenance.verification.report import (
    Check,
    ExitCode,
    Outcome,
    VerificationReport,
    failed,
    not_checked,
    passed,
)
from quantumai.provenance.verification.sealed_statement import SealedStatement, verify_sealed
from quantumai.provenance.verification.trust import StatementKey, TrustFile

LEAF_TYPE = "run-manifest"


def verify_manifest(
    envelope: bytes,
    find_artefact: Callable[[str], bytes | None],
    proof: bytes | None,
    trust: TrustFile | None,
    *,
    allow_unchecked: frozenset[str] = frozenset(),
    remembered: Remembered | None = None,
    counter: CounterEvidence | None = None,
) -> VerificationReport:
    """Verify a run-manifest's envelope against its artefacts, its proof and the trust file.

    `find_artefact` returns the bytes stored for a SHA-256 (hex) or None; what it returns is
    hashed again. A check without evidence is `not-checked` and fails unless `allow_unchecked`
    names it; freshness is also excused where the auditor gave nothing to check it against. With
    `counter` the envelope may be vouched for by a counter-signature. Never raises for bad evidence,
    only for a name unknown in `allow_unchecked`.
    """
    sealed = SealedStatement(envelope, proof, trust, remembered)

    def checks(
        content: tuple[Statement, RunManifest], holding: list[StatementKey], signed: list[Check]
    ) -> list[Check]:
        statement, manifest = content
        mode = CryptoMode.parse(manifest.crypto_mode)
        own = [*signed, *sealed.seal_checks(LEAF_TYPE, mode, manifest.tenant, holding)]
        if counter is not None and proof is not None:
            place = CounterSigned(sealed.sha256, LEAF_TYPE, _index_in(proof), manifest.tenant, mode)
            own = _vouched(own, verify_counter_signature(counter, place, trust, remembered))
        return [
            *own,
            _check_fields(manifest, holding),
            _check_artefacts(statement, manifest, find_artefact),
        ]

    def parse(parsed: Envelope) -> tuple[Statement, RunManifest]:
        return parse_run_manifest(parsed.payload)

    return verify_sealed(sealed, parse, checks, allow_unchecked=allow_unchecked)


def _vouched(own: list[Check], counter: list[Check]) -> list[Check]:
    """The seal's checks where a counter-signature was given: it takes the place of the signatures.

    What rests on hashes stays the manifest's own: its place in the ledger. And a signature of a
    trusted key that is wrong stays wrong, whoever vouches for it.
    """
    kept = [
        check
        for check in own
        if check.exit_code is ExitCode.SIGNATURE
        or (check.name == "ledger" and check.status is not Outcome.OK)
    ]
    named = {check.name for check in kept}
    standing_in = [
        Check(c.name, c.status, f"counter-signature: {c.detail}", c.exit_code)
        for c in counter
        if c.name not in named
    ]
    return [*kept, *standing_in]


def _index_in(proof: bytes) -> int:
    try:
        return LedgerProof.parse(proof).index
    except LedgerError:
        return -1  # told by the check of the ledger


def _check_fields(manifest: RunManifest, holding: list[StatementKey]) -> Check:
    for key in holding:
        if not suite_allows(manifest.pqc_suite, key.algorithm):
            detail = f"pqc_suite {manifest.pqc_suite} does not name {key.algorithm}, which signed"
            return failed("fields", detail, ExitCode.SIGNATURE)
    who = "; recorded: QuantumAI did not schedule it" if manifest.origin is Origin.RECORDED else ""
    return passed("fields", f"job {manifest.job_id}: all fields are well formed{who}")


def _check_artefacts(
    statement: Statement, manifest: RunManifest, find: Callable[[str], bytes | None]
) -> Check:
    if artifact_hash(statement.digests) != manifest.artifact_hash:
        return failed("artefacts", "artifact_hash is not that of the subjects", ExitCode.ARTEFACT)
    missing = []
    for name, digest in statement.digests.items():
        content = find(digest)
        if content is None:
            missing.append(name)
        elif sha256_hex(content) != digest:
            return failed("artefacts", f"artefact {name} was changed", ExitCode.ARTEFACT)
    if missing:
        return not_checked("artefacts", f"not at hand: {', '.join(missing)}")
    return passed("artefacts", f"{len(statement.digests)} artefacts have the signed SHA-256")
