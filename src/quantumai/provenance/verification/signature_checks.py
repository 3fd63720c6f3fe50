"""The part of verification that rests on signatures: whose they are, and whether they suffice."""

from __future__ import annotations

from quantumai.crypto_mode import CryptoMode
from quantumai.keys.algorithms import verify_signature
from quantumai.provenance.statements.dsse import Envelope
from quantumai.provenance.verification.mode_signatures import unmet_demand
from quantumai.provenance.verification.report import Check, ExitCode, failed, not_checked, passed
from quantumai.provenance.verification.trust import StatementKey, TrustFile

NO_TRUST = "no trust file was given"


def check_signatures(
    envelope: Envelope, trust: TrustFile | None
) -> tuple[list[StatementKey], list[Check]]:
    """The trusted keys whose signatures hold, and the checks of trust and signature.

    One signature by a trusted key that does not hold spoils all: somebody changed something.
    """
    if trust is None:
        return [], [not_checked("key-trusted", NO_TRUST), not_checked("signature", NO_TRUST)]
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


def strictest_mode(mode: CryptoMode, trust: TrustFile | None, tenant: str) -> CryptoMode:
    """What has to be met: the stricter of what the statement says and what the auditor accepts."""
    least = trust.least_mode_for(tenant) if trust else mode
    return max(mode, least, key=lambda each: each.strength)


def check_crypto_mode(
    mode: CryptoMode, trust: TrustFile | None, tenant: str, holding: list[StatementKey]
) -> Check:
    """Whether the statement's own `mode` is accepted, and met by the signatures that hold.

    A forger who writes a weaker mode, or another tenant's name, gains nothing: the mode of the
    trust file is the least for everybody.
    """
    if trust is None:
        return not_checked("crypto-mode", NO_TRUST)
    least = trust.least_mode_for(tenant)
    if mode.strength < least.strength:
        detail = f"the manifest says {mode}, the trust file accepts {least} or more"
        return failed("crypto-mode", detail, ExitCode.CRYPTO_MODE)
    if not holding:
        return not_checked("crypto-mode", "no signature was found to hold")
    strictest = strictest_mode(mode, trust, tenant)
    if lacking := unmet_demand(strictest, (key.algorithm for key in holding)):
        return failed("crypto-mode", f"{strictest} needs {lacking}", ExitCode.CRYPTO_MODE)
    signed_by = ", ".join(key.algorithm for key in holding)
    return passed("crypto-mode", f"{strictest}, signed with {signed_by}")
