"""Offline verification of a run-manifest: from the evidence and a trust file, nothing else.

Keys found inside the evidence are never trusted: whatever verifies does so under a key of the
trust file. Everything runs in full even when something failed, so that the report is complete.
"""

from __future__ import annotations

from collections.abc import Callable

from quantumai.canonical import sha256_hex
from quantumai.crypto_mode import CryptoMode
from quantumai.errors import BadInputError, EvidenceError
from quantumai.keys.algorithms import AlgorithmClass, algorithm_class, verify_signature
from quantumai.provenance.commits import Leaf
from quantumai.provenance.dsse import Envelope, parse_envelope
from quantumai.provenance.ledger_evidence import check_key_valid, check_ledger_proof
from quantumai.provenance.proof import LedgerProof
from quantumai.provenance.report import (
    Check,
    ExitCode,
    VerificationReport,
    failed,
    not_checked,
    passed,
)
from quantumai.provenance.run_manifest import RunManifest, parse_run_manifest, suite_allows
from quantumai.provenance.statement import Statement, artifact_hash
from quantumai.provenance.trust import StatementKey, TrustFile

CHECK_NAMES = (
    "key-trusted",
    "signature",
    "fields",
    "crypto-mode",
    "artefacts",
    "ledger",
    "key-valid",
)
_NO_TRUST = "no trust file was given"


def verify_manifest(
    envelope: bytes,
    find_artefact: Callable[[str], bytes | None],
    proof: bytes | None,
    trust: TrustFile | None,
    *,
    allow_unchecked: frozenset[str] = frozenset(),
) -> VerificationReport:
    """Verify a run-manifest's envelope against its artefacts, its proof and the trust file.

    `find_artefact` returns the bytes stored for a SHA-256 (hex) or None; what it returns is
    hashed again. A check without evidence is `not-checked` and fails unless `allow_unchecked`
    names it. Never raises for bad evidence, only for a name unknown in `allow_unchecked`.
    """
    if unknown := allow_unchecked - set(CHECK_NAMES):
        raise BadInputError(
            f"unknown check {min(unknown)!r}", hint=f"use one of: {', '.join(CHECK_NAMES)}"
        )
    try:
        parsed = parse_envelope(envelope)
    except BadInputError as error:
        return VerificationReport.of(
            [failed("envelope", str(error), ExitCode.BAD_INPUT)], frozenset()
        )
    holding, signed = _check_signatures(parsed, trust)
    try:
        statement, manifest = parse_run_manifest(parsed.payload)
    except BadInputError as error:
        signed.append(failed("fields", str(error), ExitCode.SIGNATURE))
        return VerificationReport.of(signed, allow_unchecked)
    mode = CryptoMode.parse(manifest.crypto_mode)
    strictest = max((trust.least_crypto_mode, mode), key=_strength) if trust else mode
    checks = [
        *signed,
        _check_fields(manifest, holding),
        _check_crypto_mode(mode, strictest, trust, holding),
        _check_artefacts(statement, manifest, find_artefact),
        *_check_ledger(envelope, proof, trust, strictest, holding),
    ]
    return VerificationReport.of(checks, allow_unchecked)


def _check_signatures(
    envelope: Envelope, trust: TrustFile | None
) -> tuple[list[StatementKey], list[Check]]:
    """The trusted keys whose signatures hold, and the checks of trust and signature."""
    if trust is None:
        return [], [not_checked("key-trusted", _NO_TRUST), not_checked("signature", _NO_TRUST)]
    by_id = {key.key_id: key for key in trust.statement_keys}
    known = [(by_id[s.key_id], s.signature) for s in envelope.signatures if s.key_id in by_id]
    if not known:
        asked = ", ".join(s.key_id[:16] for s in envelope.signatures)
        return [], [
            failed("key-trusted", f"no trusted key signed this: {asked}", ExitCode.UNTRUSTED_KEY),
            not_checked("signature", "there is no trusted key to check it with"),
        ]
    names = ", ".join(f"{key.algorithm} key {key.key_id[:16]}" for key, _ in known)
    trusted = passed("key-trusted", f"the trust file names {names}")
    holding = [
        key
        for key, signature in known
        if verify_signature(
            key.algorithm, key.public_key.spki_der, envelope.signed_bytes, signature
        )
    ]
    if len(holding) != len(known):
        wrong = "the signature does not hold: manifest or signature was changed"
        return [], [trusted, failed("signature", wrong, ExitCode.SIGNATURE)]
    return holding, [trusted, passed("signature", f"holds under {names}")]


def _check_fields(manifest: RunManifest, holding: list[StatementKey]) -> Check:
    for key in holding:
        if not suite_allows(manifest.pqc_suite, key.algorithm):
            detail = f"pqc_suite {manifest.pqc_suite} does not name {key.algorithm}, which signed"
            return failed("fields", detail, ExitCode.SIGNATURE)
    return passed("fields", f"job {manifest.job_id}: all fields are well formed")


def _check_crypto_mode(
    mode: CryptoMode, strictest: CryptoMode, trust: TrustFile | None, holding: list[StatementKey]
) -> Check:
    if trust is None:
        return not_checked("crypto-mode", _NO_TRUST)
    if mode.strength < trust.least_crypto_mode.strength:
        detail = (
            f"the manifest says {mode}, the trust file accepts {trust.least_crypto_mode} or more"
        )
        return failed("crypto-mode", detail, ExitCode.CRYPTO_MODE)
    if not holding:
        return not_checked("crypto-mode", "no signature was found to hold")
    classes = {algorithm_class(key.algorithm) for key in holding}
    if strictest is not CryptoMode.CLASSICAL and AlgorithmClass.POST_QUANTUM not in classes:
        detail = f"{strictest} needs a post-quantum signature"
        return failed("crypto-mode", detail, ExitCode.CRYPTO_MODE)
    signed_by = ", ".join(key.algorithm for key in holding)
    return passed("crypto-mode", f"{strictest}, signed with {signed_by}")


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


def _check_ledger(
    envelope: bytes,
    proof: bytes | None,
    trust: TrustFile | None,
    mode: CryptoMode,
    holding: list[StatementKey],
) -> list[Check]:
    if trust is None or proof is None:
        lacking = _NO_TRUST if trust is None else "no proof was given"
        return [not_checked("ledger", lacking), not_checked("key-valid", lacking)]
    leaf = Leaf("run-manifest", 1, sha256_hex(envelope))
    try:
        parsed = LedgerProof.parse(proof)
        head = check_ledger_proof(parsed, leaf, trust, mode)
    except EvidenceError as error:
        return [
            failed("ledger", str(error), ExitCode.LEDGER),
            not_checked("key-valid", "it is only known at a proved place in the ledger"),
        ]
    where = f"leaf {parsed.index} of {head.size} in {head.origin}"
    return [passed("ledger", where), check_key_valid(parsed, head, trust, mode, holding)]


def _strength(mode: CryptoMode) -> int:
    return mode.strength
