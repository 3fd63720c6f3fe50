"""Whether a model's files are those that were signed in the format of OpenSSF model signing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from quantumai.errors import BadInputError
from quantumai.keys.algorithms import PublicKey, verify_signature
from quantumai.provenance.statements.model_signature import (
    SIGNATURE_FILE,
    ModelSignature,
    key_hint,
    read_model_signature,
)
from quantumai.provenance.verification.report import (
    Check,
    ExitCode,
    VerificationReport,
    failed,
    not_checked,
    passed,
)


def verify_model(
    bundle: bytes | None, files: Mapping[str, str], keys: Iterable[PublicKey]
) -> VerificationReport:
    """Verify a model's `files` (name -> SHA-256 hex, without the signature's own) offline.

    `keys` are those to believe. A model without a `bundle` is not signed: nothing is checked then,
    which is no success.
    """
    if bundle is None:
        checks = [not_checked("signature", f"there is no {SIGNATURE_FILE}: it is not signed")]
        return VerificationReport.of(checks, frozenset())
    try:
        signature = read_model_signature(bundle)
    except BadInputError as error:
        checks = [failed("signature", str(error), ExitCode.BAD_INPUT)]
        return VerificationReport.of(checks, frozenset())
    key = next((key for key in keys if key_hint(key) == signature.hint), None)
    checks = [_check_key(key), _check_signature(signature, key), _check_files(signature, files)]
    return VerificationReport.of(checks, frozenset())


def _check_key(key: PublicKey | None) -> Check:
    if key is None:
        return failed("key-trusted", "signed by no key that counts here", ExitCode.UNTRUSTED_KEY)
    return passed("key-trusted", f"{key.algorithm} key {key.key_id[:16]}")


def _check_signature(signature: ModelSignature, key: PublicKey | None) -> Check:
    if key is None:
        return not_checked("signature", "without the key nothing can be said of it")
    envelope = signature.envelope
    # The public tool looks at the first one only, and the format has no others.
    holds = len(envelope.signatures) == 1 and verify_signature(
        key.algorithm, key.spki_der, envelope.signed_bytes, envelope.signatures[0].signature
    )
    if not holds:
        return failed("signature", "it does not hold under that key", ExitCode.SIGNATURE)
    return passed("signature", "it holds; classical, so no proof against a quantum computer")


def _check_files(signature: ModelSignature, files: Mapping[str, str]) -> Check:
    signed = signature.files
    differing = {
        "was changed": {n for n in files.keys() & signed.keys() if files[n] != signed[n]},
        "is missing": signed.keys() - files.keys(),
        "is not signed": files.keys() - signed.keys(),
    }
    found = [f"{name[:80]!r} {what}" for what, names in differing.items() for name in sorted(names)]
    if found:
        return failed("artefacts", "; ".join(found[:5]), ExitCode.ARTEFACT)
    return passed("artefacts", f"{len(files)} files have the signed SHA-256")
