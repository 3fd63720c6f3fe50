"""Offline verification of a run-manifest: from the evidence and a trust file, nothing else.

Keys found inside the evidence are never trusted: whatever verifies does so under a key of the
trust file. Everything runs in full even when something failed, so that the report is complete.
"""

from __future__ import annotations

from collections.abc import Callable

from quantumai.canonical import sha256_hex
from quantumai.crypto_mode import CryptoMode
from quantumai.errors import BadInputError, LedgerError
from quantumai.provenance.ledger.commits import Leaf
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
from quantumai.provenance.statements.dsse import parse_envelope
from quantumai.provenance.statements.statement import Statement, artifact_hash
from quantumai.provenance.verification.freshness import FRESHNESS, Remembered, asks_for_freshness
from quantumai.provenance.verification.ledger_evidence import check_ledger
from quantumai.provenance.verification.report import (
    Check,
    ExitCode,
    Outcome,
    VerificationReport,
    failed,
    not_checked,
    passed,
)
from quantumai.provenance.verification.signature_checks import (
    check_crypto_mode,
    check_signatures,
    strictest_mode,
)
from quantumai.provenance.verification.trust import StatementKey, TrustFile

CHECK_NAMES = (
    "key-trusted",
    "signature",
    "fields",
    "crypto-mode",
    "artefacts",
    "ledger",
    "key-valid",
    FRESHNESS,
)
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
    if unknown := allow_unchecked - set(CHECK_NAMES):
        raise BadInputError(
            f"unknown check {min(unknown)!r}", hint=f"use one of: {', '.join(CHECK_NAMES)}"
        )
    if not asks_for_freshness(trust, remembered):
        allow_unchecked |= {FRESHNESS}
    try:
        parsed = parse_envelope(envelope)
    except BadInputError as error:
        return VerificationReport.of(
            [failed("envelope", str(error), ExitCode.BAD_INPUT)], frozenset()
        )
    holding, signed = check_signatures(parsed, trust)
    try:
        statement, manifest = parse_run_manifest(parsed.payload)
    except BadInputError as error:
        signed.append(failed("fields", str(error), ExitCode.SIGNATURE))
        return VerificationReport.of(signed, allow_unchecked)
    mode = CryptoMode.parse(manifest.crypto_mode)
    strictest = strictest_mode(mode, trust, manifest.tenant)
    leaf = Leaf(LEAF_TYPE, 1, sha256_hex(envelope))
    about = [
        _check_fields(manifest, holding),
        _check_artefacts(statement, manifest, find_artefact),
    ]
    sealed = [
        *signed,
        check_crypto_mode(mode, trust, manifest.tenant, holding),
        *check_ledger(leaf, proof, trust, strictest, holding, remembered),
    ]
    if counter is not None and proof is not None:
        place = CounterSigned(leaf.sha256, leaf.type, _index_in(proof), manifest.tenant, mode)
        sealed = _vouched(sealed, verify_counter_signature(counter, place, trust, remembered))
    order = {name: place for place, name in enumerate(CHECK_NAMES)}
    checks = sorted([*sealed, *about], key=lambda check: order.get(check.name, -1))
    return VerificationReport.of(checks, allow_unchecked)


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
    who = "; recorded: QuantumAI did not run it" if manifest.origin is Origin.RECORDED else ""
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
