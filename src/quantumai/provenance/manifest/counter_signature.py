"""Counter-signatures: a later, logged statement about an envelope, under today's keys.

Years on, the algorithm that signed a manifest may be broken or its key retired from trust. A
counter-signature that was logged before that day says: this very envelope existed then, and it
verified. The old manifest is not touched.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from quantumai.canonical import sha256_hex
from quantumai.crypto_mode import CryptoMode
from quantumai.errors import BadInputError
from quantumai.provenance.ledger.commits import Leaf
from quantumai.provenance.statements.dsse import Envelope, parse_envelope
from quantumai.provenance.statements.statement import (
    COUNTER_SIGNATURE,
    build_statement,
    parse_predicate,
)
from quantumai.provenance.verification.freshness import Remembered
from quantumai.provenance.verification.ledger_evidence import check_ledger
from quantumai.provenance.verification.report import Check, ExitCode, failed
from quantumai.provenance.verification.signature_checks import (
    check_crypto_mode,
    check_signatures,
    strictest_mode,
)
from quantumai.provenance.verification.trust import StatementKey, TrustFile

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


def verify_counter_signature(
    evidence: CounterEvidence,
    envelope: bytes,
    tenant: str,
    trust: TrustFile | None,
    remembered: Remembered | None = None,
) -> tuple[list[StatementKey], list[Check]]:
    """The keys that counter-signed `envelope` of `tenant`, and the checks of that.

    The checks have the names of a manifest's own: they stand in for them.
    """
    try:
        parsed = parse_envelope(evidence.envelope)
        counter = parse_counter_signature(parsed)
    except BadInputError as error:
        return [], [failed(NAME, str(error), ExitCode.SIGNATURE)]
    if counter.envelope_sha256 != sha256_hex(envelope) or counter.tenant != tenant:
        return [], [failed(NAME, "it is about another envelope", ExitCode.SIGNATURE)]
    holding, checks = check_signatures(parsed, trust)
    mode = strictest_mode(counter.crypto_mode, trust, tenant)
    leaf = Leaf(LEAF_TYPE, 1, sha256_hex(evidence.envelope))
    return holding, [
        *checks,
        check_crypto_mode(counter.crypto_mode, trust, tenant, holding),
        *check_ledger(leaf, evidence.proof, trust, mode, holding, remembered),
    ]
