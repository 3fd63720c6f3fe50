"""Counter-signatures: a later, logged statement about an envelope, under today's keys.

Years on, the algorithm that signed a manifest may be broken or its key retired from trust. A
counter-signature that was logged before that day says: this very envelope existed then, and it
verified. The old manifest is not touched.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from quantumai.crypto_mode import CryptoMode
from quantumai.errors import BadInputError, LedgerError
from quantumai.provenance.ledger.proof import LedgerProof
from quantumai.provenance.statements.dsse import Envelope, parse_envelope
from quantumai.provenance.statements.statement import (
    COUNTER_SIGNATURE,
    build_statement,
    parse_predicate,
)
from quantumai.provenance.verification.freshness import Remembered
from quantumai.provenance.verification.report import Check, ExitCode, failed
from quantumai.provenance.verification.sealed_statement import SealedStatement
from quantumai.provenance.verification.signature_checks import check_signatures
from quantumai.provenance.verification.trust import TrustFile

LEAF_TYPE = "counter-signature"
_SUBJECT = "envelope"
NAME = "counter-signature"


class CounterSignature(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The predicate: what was counter-signed, where it was logged, and when that was checked.

    `envelope_sha256`: SHA-256 hex of the envelope's bytes; `leaf_type` and `leaf_index`: its leaf
    in the ledger `origin`; `created_at`: ISO 8601 UTC.
    """

    envelope_sha256: str
    leaf_type: str
    leaf_index: int
    origin: str
    tenant: str
    crypto_mode: CryptoMode
    created_at: str
    schema_version: int = 1


@dataclass(frozen=True)
class CounterEvidence:
    """A counter-signature's envelope and its proof file."""

    envelope: bytes
    proof: bytes


def build_counter_signature(counter: CounterSignature) -> bytes:
    """Statement bytes; the subject is the envelope that is counter-signed."""
    subjects = {_SUBJECT: counter.envelope_sha256}
    return build_statement(subjects, COUNTER_SIGNATURE, msgspec.to_builtins(counter))


def parse_counter_signature(envelope: Envelope) -> CounterSignature:
    """Read a counter-signature; its signatures are not checked here. Raises `BadInputError`."""
    statement, counter = parse_predicate(
        envelope.payload, COUNTER_SIGNATURE, CounterSignature, "a counter-signature"
    )
    if counter.schema_version != 1:
        raise BadInputError(f"counter-signature version {counter.schema_version} is unknown")
    if statement.digests != {_SUBJECT: counter.envelope_sha256}:
        raise BadInputError("the counter-signature is about another envelope than its subject")
    return counter


@dataclass(frozen=True)
class CounterSigned:
    """What a counter-signature has to be about: an envelope and where its own proof says it is."""

    envelope_sha256: str
    leaf_type: str
    leaf_index: int
    tenant: str
    crypto_mode: CryptoMode


def verify_counter_signature(
    evidence: CounterEvidence,
    about: CounterSigned,
    trust: TrustFile | None,
    remembered: Remembered | None = None,
) -> list[Check]:
    """The checks of a counter-signature, by the names of a manifest's own: they stand in for them.

    It may be stricter than the envelope's own crypto mode and never weaker.
    """
    try:
        parsed = parse_envelope(evidence.envelope)
        counter = parse_counter_signature(parsed)
        _require_about(counter, about, evidence.proof, trust)
    except BadInputError as error:
        return [failed(NAME, str(error), ExitCode.SIGNATURE)]
    except LedgerError as error:
        return [failed(NAME, str(error), ExitCode.LEDGER)]
    holding, checks = check_signatures(parsed, trust)
    sealed = SealedStatement(evidence.envelope, evidence.proof, trust, remembered)
    return [*checks, *sealed.seal_checks(LEAF_TYPE, counter.crypto_mode, about.tenant, holding)]


def _require_about(
    counter: CounterSignature, about: CounterSigned, proof: bytes, trust: TrustFile | None
) -> None:
    said = (counter.envelope_sha256, counter.leaf_type, counter.leaf_index, counter.tenant)
    if said != (about.envelope_sha256, about.leaf_type, about.leaf_index, about.tenant):
        raise BadInputError("the counter-signature is about another envelope")
    if trust is not None and counter.origin != trust.ledger.origin:
        raise BadInputError("the counter-signature is about another ledger")
    if counter.crypto_mode.strength < about.crypto_mode.strength:
        modes = f"{counter.crypto_mode} cannot stand for {about.crypto_mode}"
        raise BadInputError(f"a counter-signature in mode {modes}")
    if counter.leaf_index >= LedgerProof.parse(proof).index:
        raise LedgerError("the counter-signature comes before what it is about")
