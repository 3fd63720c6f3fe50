"""The frame of every offline verification: the questions that a signed, logged statement is asked.

What a statement says differs, and so do the checks of it. Who signed it, in which crypto mode, and
where it stands in the ledger are asked alike of all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from quantumai.canonical import sha256_hex
from quantumai.crypto_mode import CryptoMode
from quantumai.errors import BadInputError
from quantumai.provenance.ledger.commits import Leaf
from quantumai.provenance.statements.dsse import Envelope, parse_envelope
from quantumai.provenance.verification.freshness import FRESHNESS, Remembered, asks_for_freshness
from quantumai.provenance.verification.ledger_evidence import check_ledger
from quantumai.provenance.verification.report import (
    Check,
    ExitCode,
    VerificationReport,
    failed,
)
from quantumai.provenance.verification.signature_checks import (
    check_crypto_mode,
    check_signatures,
    strictest_mode,
)
from quantumai.provenance.verification.trust import StatementKey, TrustFile

_Content = TypeVar("_Content")

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
"""All checks, in the order of the report; any may be named in `allow_unchecked`."""


@dataclass(frozen=True)
class SealedStatement:
    """What an auditor holds: the envelope's and the proof file's bytes, and whom to believe."""

    envelope: bytes
    proof: bytes | None
    trust: TrustFile | None
    remembered: Remembered | None = None

    @property
    def sha256(self) -> str:
        """SHA-256 (hex) of the envelope, by which the ledger names it."""
        return sha256_hex(self.envelope)

    def seal_checks(
        self, leaf_type: str, mode: CryptoMode, tenant: str, holding: list[StatementKey]
    ) -> list[Check]:
        """Crypto mode, ledger, validity of keys and freshness; `mode` is the statement's own.

        `holding` are the trusted keys whose signatures were found to hold.
        """
        strictest = strictest_mode(mode, self.trust, tenant)
        leaf = Leaf(leaf_type, 1, self.sha256)
        return [
            check_crypto_mode(mode, self.trust, tenant, holding),
            *check_ledger(leaf, self.proof, self.trust, strictest, holding, self.remembered),
        ]


def verify_sealed(
    sealed: SealedStatement,
    parse: Callable[[Envelope], _Content],
    check: Callable[[_Content, list[StatementKey], list[Check]], Iterable[Check]],
    *,
    allow_unchecked: frozenset[str],
) -> VerificationReport:
    """The report of one statement, complete even where something failed.

    `parse` reads what was signed; where it raises `BadInputError` the check of fields fails and
    nothing further is asked. `check` gets that content, the trusted keys whose signatures hold,
    and the checks of the signatures; it returns those and all further ones, in any order. A check
    without evidence fails unless `allow_unchecked` names it; freshness is also excused where the
    auditor gave nothing to check it against. Raises `BadInputError` only for a name unknown in
    `allow_unchecked`.
    """
    if unknown := allow_unchecked - set(CHECK_NAMES):
        raise BadInputError(
            f"unknown check {min(unknown)!r}", hint=f"use one of: {', '.join(CHECK_NAMES)}"
        )
    if not asks_for_freshness(sealed.trust, sealed.remembered):
        allow_unchecked |= {FRESHNESS}
    try:
        envelope = parse_envelope(sealed.envelope)
    except BadInputError as error:
        unreadable = failed("envelope", str(error), ExitCode.BAD_INPUT)
        return VerificationReport.of([unreadable], frozenset())
    holding, signed = check_signatures(envelope, sealed.trust)
    try:
        content = parse(envelope)
    except BadInputError as error:
        no_content = failed("fields", str(error), ExitCode.SIGNATURE)
        return VerificationReport.of([*signed, no_content], allow_unchecked)
    order = {name: place for place, name in enumerate(CHECK_NAMES)}
    checks = sorted(check(content, holding, signed), key=lambda each: order.get(each.name, -1))
    return VerificationReport.of(checks, allow_unchecked)
