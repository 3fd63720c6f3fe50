"""Counter-signatures: an old envelope believed for a new key's sake, and never a forged one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from quantumai.canonical import sha256_hex
from quantumai.crypto_mode import CryptoMode
from quantumai.provenance.ledger.proof import LedgerProof
from quantumai.provenance.manifest.counter_signature import (
    LEAF_TYPE,
    CounterEvidence,
    CounterSignature,
    build_counter_signature,
)
from quantumai.provenance.manifest.run_manifest import RunManifest, build_run_manifest
from quantumai.provenance.manifest.verification import verify_manifest
from quantumai.provenance.sealing.sealer import Sealer
from quantumai.provenance.statements.dsse import parse_envelope
from quantumai.provenance.statements.statement import (
    RUN_MANIFEST,
    artifact_hash,
    build_statement,
)
from quantumai.provenance.verification.report import ExitCode, VerificationReport
from quantumai.provenance.verification.trust import TrustFile

RESULT = b'{"z":0.5}'
SUBJECTS = {"result": sha256_hex(RESULT)}


def _old_manifest(
    sealer: Sealer, written: str = "classical", signed: CryptoMode = CryptoMode.CLASSICAL
) -> tuple[bytes, int, bytes]:
    """A manifest of the time when a classical signature was enough."""
    manifest = RunManifest(
        job_id="j",
        tenant="t",
        backend_id="b",
        pqc_suite="ML-DSA-65:Ed25519",
        crypto_mode=written,
        calibration_snapshot_id="c",
        em_method="zne",
        em_version="1",
        seed="sha256:" + "0" * 64,
        created_at="2026-01-01T00:00:00Z",
        artifact_hash=artifact_hash(SUBJECTS),
        sdk_version="1",
        library_versions={},
        policy_digest="",
        request_sha256="",
        schema_version=1,
    )
    statement = build_run_manifest(manifest, SUBJECTS)
    envelope, index = sealer.seal("run-manifest", statement, mode=signed)
    return envelope, index, sealer.proof(index, envelope)


def _counter(sealer: Sealer, envelope: bytes, index: int, **changes: object) -> CounterEvidence:
    counter = CounterSignature(
        envelope_sha256=sha256_hex(envelope),
        leaf_type="run-manifest",
        leaf_index=index,
        origin=sealer.ledger.origin,
        tenant="t",
        crypto_mode=CryptoMode.PQC_REQUIRED,
        created_at="2030-01-01T00:00:00Z",
    )
    counter = msgspec.structs.replace(counter, **changes)
    signed, place = sealer.seal(
        LEAF_TYPE, build_counter_signature(counter), mode=counter.crypto_mode
    )
    return CounterEvidence(signed, sealer.proof(place, signed))


def _verify(
    envelope: bytes, proof: bytes, trust: TrustFile, counter: CounterEvidence | None
) -> VerificationReport:
    held = {SUBJECTS["result"]: RESULT}
    return verify_manifest(envelope, held.get, proof, trust, counter=counter)


def test_an_old_manifest_is_anchored_again_without_touching_it(sealer: Sealer) -> None:
    envelope, index, proof = _old_manifest(sealer)
    strict = sealer.export_trust()
    assert _verify(envelope, proof, strict, None).exit_code == ExitCode.UNTRUSTED_KEY
    report = _verify(envelope, proof, strict, _counter(sealer, envelope, index))
    assert report.verified, report.as_json()
    details = {check.name: check.detail for check in report.checks}
    assert details["signature"].startswith("counter-signature: holds under ML-DSA-65")
    assert "3 artefacts" not in details["artefacts"]  # they are still those of the manifest


def test_a_counter_signature_vouches_for_nothing_else(sealer: Sealer) -> None:
    envelope, index, proof = _old_manifest(sealer)
    strict = sealer.export_trust()
    good = _counter(sealer, envelope, index)
    other, other_index, other_proof = _old_manifest(sealer)
    # Another manifest, though the same in every field (Ed25519 is deterministic: same envelope).
    assert other == envelope
    assert other_index >= index
    assert other_proof
    changed = replace(
        parse_envelope(envelope), payload=parse_envelope(envelope).payload.replace(b'"b"', b'"x"')
    ).data
    assert _verify(changed, proof, strict, good).exit_code == ExitCode.SIGNATURE
    for wrong in (
        _counter(sealer, envelope, index, envelope_sha256="0" * 64),
        _counter(sealer, envelope, index, tenant="other"),
        _counter(sealer, envelope, index, leaf_index=index + 1),
        _counter(sealer, envelope, index, leaf_type="release"),
        _counter(sealer, envelope, index, origin="somebody/else"),
        replace(good, envelope=good.envelope[:-1]),
        replace(good, envelope=envelope),
    ):
        assert _verify(envelope, proof, strict, wrong).exit_code == ExitCode.SIGNATURE
    weaker = _counter(sealer, envelope, index, crypto_mode=CryptoMode.CLASSICAL)
    assert _verify(envelope, proof, strict, weaker).exit_code == ExitCode.UNTRUSTED_KEY
    for broken in (proof, b"junk"):
        report = _verify(envelope, proof, strict, replace(good, proof=broken))
        assert report.exit_code == ExitCode.LEDGER


def test_it_never_lowers_the_manifests_own_mode(sealer: Sealer) -> None:
    """A thief of the classical key cannot lower what was sealed as pqc-required."""
    envelope, index, proof = _old_manifest(sealer, "pqc-required", CryptoMode.PQC_REQUIRED)
    classical = sealer.export_trust(CryptoMode.CLASSICAL)
    only = tuple(key for key in classical.statement_keys if key.algorithm == "Ed25519")
    lenient = msgspec.structs.replace(classical, statement_keys=only)
    for mode in (CryptoMode.CLASSICAL, CryptoMode.HYBRID):
        counter = _counter(sealer, envelope, index, crypto_mode=mode)
        report = _verify(envelope, proof, lenient, counter)
        assert report.exit_code == ExitCode.SIGNATURE


def test_the_manifests_own_place_in_the_ledger_still_has_to_be_proved(sealer: Sealer) -> None:
    envelope, index, _ = _old_manifest(sealer)
    strict, counter = sealer.export_trust(), _counter(sealer, envelope, index)
    other, other_index = sealer.seal("run-manifest", build_statement(SUBJECTS, RUN_MANIFEST, {}))
    strangers = sealer.proof(other_index, other)
    assert _verify(envelope, strangers, strict, counter).exit_code != ExitCode.OK
    held = {SUBJECTS["result"]: RESULT}
    missing = verify_manifest(envelope, held.get, None, strict, counter=counter)
    assert not missing.verified


def test_a_wrong_signature_is_not_vouched_away(sealer: Sealer) -> None:
    envelope, index, proof = _old_manifest(sealer)
    classical = sealer.export_trust(CryptoMode.CLASSICAL)
    parsed = parse_envelope(envelope)
    (signature,) = parsed.signatures
    flipped = replace(signature, signature=bytes(64))
    forged = replace(parsed, signatures=(flipped,)).data
    counter = _counter(sealer, forged, index)
    assert _verify(forged, proof, classical, counter).exit_code == ExitCode.SIGNATURE


def test_the_counter_signers_key_has_to_count_at_its_own_leaf(
    tmp_path: Path, new_sealer: Callable[[Path], Sealer], mark_compromised: Callable[..., None]
) -> None:
    sealer = new_sealer(tmp_path)
    envelope, index, proof = _old_manifest(sealer)
    trust, counter = sealer.export_trust(), _counter(sealer, envelope, index)
    at = LedgerProof.parse(counter.proof).index
    mark_compromised(sealer, 1, from_index=at)
    fresh = replace(counter, proof=sealer.proof(at, counter.envelope))
    assert _verify(envelope, proof, trust, fresh).exit_code == ExitCode.KEY_NOT_VALID


@pytest.mark.parametrize("change", [b'"schema_version":2', b'"schema_version":"1"'])
def test_an_unknown_version_is_refused(sealer: Sealer, change: bytes) -> None:
    envelope, index, proof = _old_manifest(sealer)
    counter = _counter(sealer, envelope, index)
    payload = parse_envelope(counter.envelope).payload
    assert b'"schema_version":1' in payload
    signed = sealer.sign(payload.replace(b'"schema_version":1', change))
    report = _verify(envelope, proof, sealer.export_trust(), replace(counter, envelope=signed))
    assert report.exit_code == ExitCode.SIGNATURE
