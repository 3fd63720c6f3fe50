"""Attestations: what verifies, and each way to forge one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import pytest

from quantumai.canonical import parse_canonical_json, sha256_hex
from quantumai.crypto_mode import CryptoMode
from quantumai.errors import BadInputError
from quantumai.provenance.ledger.commits import LEAF_TYPES
from quantumai.provenance.ledger.proof import LedgerProof
from quantumai.provenance.manifest.attestation import (
    KINDS,
    Attestation,
    build_attestation,
    parse_attestation,
    verify_attestation,
)
from quantumai.provenance.sealing.sealer import Sealer
from quantumai.provenance.statements.dsse import parse_envelope
from quantumai.provenance.statements.statement import ATTESTATION, RUN_MANIFEST, build_statement
from quantumai.provenance.verification.report import ExitCode
from quantumai.provenance.verification.trust import TrustFile
from tests.other_verifiers import verifiers

pytestmark = pytest.mark.slow

FILES = {
    "model.onnx": hashlib.sha256(b"weights").hexdigest(),
    "card.md": hashlib.sha256(b"words").hexdigest(),
}


def attestation(**changes: Any) -> Attestation:
    values = {
        "kind": "model",
        "created_at": "2026-11-26T00:00:00Z",
        "sdk_version": "0.1.0",
        "crypto_mode": CryptoMode.PQC_REQUIRED,
    }
    return Attestation(**(values | changes))


@dataclass(frozen=True)
class Held:
    """What an auditor holds."""

    envelope: bytes
    proof: bytes | None
    trust: TrustFile | None
    files: dict[str, str]

    def code(self, *allowed: str) -> ExitCode:
        report = verify_attestation(
            self.envelope, self.files, self.proof, self.trust, allow_unchecked=frozenset(allowed)
        )
        assert report.verified == (report.exit_code == 0)
        return report.exit_code


def held(sealer: Sealer, statement: bytes, leaf_type: str, mode: CryptoMode) -> Held:
    envelope, index = sealer.seal(leaf_type, statement, mode=mode)
    trust = sealer.export_trust(mode)
    return Held(envelope, sealer.proof(index, envelope), trust, dict(FILES))


@pytest.fixture
def good(sealer: Sealer) -> Held:
    statement = build_attestation(attestation(), FILES)
    return held(sealer, statement, "model", CryptoMode.PQC_REQUIRED)


def test_every_kind_is_a_leaf_type() -> None:
    assert set(KINDS) <= set(LEAF_TYPES)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", [CryptoMode.HYBRID, CryptoMode.PQC_REQUIRED])
def test_what_was_attested_verifies(sealer: Sealer, kind: str, mode: CryptoMode) -> None:
    statement = build_attestation(attestation(kind=kind, crypto_mode=mode), FILES)
    made = held(sealer, statement, kind, mode)
    assert made.code() == ExitCode.OK
    read, predicate = parse_attestation(parse_envelope(made.envelope))
    assert dict(read.digests) == FILES
    assert predicate.kind == kind


def test_the_leaf_is_of_the_kinds_own_type(sealer: Sealer, good: Held) -> None:
    assert good.proof is not None
    leaf = sealer.ledger.entry(LedgerProof.parse(good.proof).index)
    assert (leaf.type, leaf.sha256) == ("model", sha256_hex(good.envelope))


def test_a_proof_of_another_type_of_leaf_is_none(sealer: Sealer) -> None:
    statement = build_attestation(attestation(), FILES)
    made = held(sealer, statement, "release", CryptoMode.PQC_REQUIRED)
    assert made.code() == ExitCode.LEDGER


def test_a_changed_a_strange_and_an_absent_file(good: Held) -> None:
    changed = good.files | {"card.md": hashlib.sha256(b"other words").hexdigest()}
    assert replace(good, files=changed).code() == ExitCode.ARTEFACT
    strange = good.files | {"more.txt": FILES["card.md"]}
    assert replace(good, files=strange).code() == ExitCode.ARTEFACT
    swapped = {"card.md": FILES["model.onnx"], "model.onnx": FILES["card.md"]}
    assert replace(good, files=swapped).code() == ExitCode.ARTEFACT
    absent = replace(good, files={"card.md": FILES["card.md"]})
    assert absent.code() == ExitCode.NOT_CHECKED
    assert absent.code("artefacts") == ExitCode.OK


def test_without_trust_or_proof_nothing_is_claimed(good: Held) -> None:
    assert replace(good, trust=None).code() == ExitCode.NOT_CHECKED
    assert replace(good, proof=None).code() == ExitCode.NOT_CHECKED


def test_one_changed_bit_of_any_byte_of_the_payload_is_found(good: Held) -> None:
    envelope = parse_envelope(good.envelope)
    for at in range(0, len(envelope.payload), 7):
        payload = bytearray(envelope.payload)
        payload[at] ^= 1
        forged = replace(envelope, payload=bytes(payload)).data
        assert replace(good, envelope=forged).code() == ExitCode.SIGNATURE


def test_a_weaker_mode_than_the_auditors_gains_nothing(sealer: Sealer) -> None:
    statement = build_attestation(attestation(crypto_mode=CryptoMode.CLASSICAL), FILES)
    made = held(sealer, statement, "model", CryptoMode.CLASSICAL)
    assert made.code() == ExitCode.OK
    strict = sealer.export_trust(CryptoMode.PQC_PREFERRED)
    assert replace(made, trust=strict).code() == ExitCode.CRYPTO_MODE


def test_a_statement_of_another_type_is_no_attestation(sealer: Sealer) -> None:
    statement = build_statement(FILES, RUN_MANIFEST, msgspec.to_builtins(attestation()))
    made = held(sealer, statement, "model", CryptoMode.PQC_REQUIRED)
    assert made.code() == ExitCode.SIGNATURE


@pytest.mark.parametrize(
    "changes", [{"kind": "run-manifest"}, {"schema_version": 2}, {"extra": 1}, {"kind": 3}]
)
def test_what_only_looks_like_an_attestation_is_refused(
    sealer: Sealer, changes: dict[str, Any]
) -> None:
    predicate = msgspec.to_builtins(attestation()) | changes
    statement = build_statement(FILES, ATTESTATION, predicate)
    made = held(sealer, statement, "model", CryptoMode.PQC_REQUIRED)
    assert made.code() == ExitCode.SIGNATURE


def test_it_cannot_be_made_of_an_unknown_kind_or_of_no_file() -> None:
    with pytest.raises(BadInputError, match="unknown kind of attestation"):
        build_attestation(attestation(kind="key-event"), FILES)
    with pytest.raises(BadInputError, match="needs subjects"):
        build_attestation(attestation(), {})


def test_an_unknown_check_cannot_be_excused(good: Held) -> None:
    with pytest.raises(BadInputError, match="unknown check 'everything'"):
        good.code("everything")


def test_other_libraries_verify_the_signature_and_read_the_statement(good: Held) -> None:
    envelope = parse_envelope(good.envelope)
    assert good.trust is not None
    key = good.trust.statement_keys[0].public_key
    payload = envelope.payload
    # DSSE's encoding, written out here once more.
    kind = b"application/vnd.in-toto+json"
    encoded = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
    for name, verify in verifiers(key.algorithm, key.spki_der).items():
        assert verify(encoded, envelope.signatures[0].signature), name
        assert not verify(encoded + b".", envelope.signatures[0].signature), name
    assert parse_canonical_json(payload)["predicate"]["kind"] == "model"
