"""Each way to forge or to lose evidence, and the exit code that it gives."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quantumai.canonical import canonical_json, sha256_hex
from quantumai.crypto_mode import CryptoMode
from quantumai.errors import BadInputError, LedgerError
from quantumai.keys.algorithms import PublicKey
from quantumai.keys.dsse_encoding import IN_TOTO_PAYLOAD_TYPE
from quantumai.keys.management.internal_keys import InternalKeys
from quantumai.keys.management.kms import Kms
from quantumai.provenance.ledger.checkpoint import TreeHead
from quantumai.provenance.ledger.note import Note
from quantumai.provenance.ledger.proof import LedgerProof
from quantumai.provenance.ledger.run_ledger import Ledger
from quantumai.provenance.manifest.run_manifest import RunManifest
from quantumai.provenance.manifest.verification import verify_manifest
from quantumai.provenance.manifest.views import flat_view
from quantumai.provenance.sealing.checkpoint_signer import KmsCheckpointSigner
from quantumai.provenance.sealing.sealer import Sealer
from quantumai.provenance.statements.dsse import Envelope, Signature, parse_envelope
from quantumai.provenance.statements.statement import RUN_MANIFEST, artifact_hash, build_statement
from quantumai.provenance.verification.mode_signatures import unmet_demand
from quantumai.provenance.verification.report import ExitCode, Outcome
from quantumai.provenance.verification.sealed_statement import CHECK_NAMES
from quantumai.provenance.verification.trust import StatementKey, TrustFile
from quantumai.storage.local_objects import LocalObjects
from tests.key_management import ALICE, standing_clock

ARTEFACTS = {"result": b'{"z":0.5}', "decision": b"{}"}
DIGESTS = {name: sha256_hex(content) for name, content in ARTEFACTS.items()}


@dataclass(frozen=True)
class Evidence:
    """What an auditor holds."""

    envelope: bytes
    proof: bytes | None
    trust: TrustFile | None
    artefacts: dict[str, bytes]

    def code(self, *allowed: str) -> ExitCode:
        """Exit code of verifying it."""
        report = verify_manifest(
            self.envelope,
            self.artefacts.get,
            self.proof,
            self.trust,
            allow_unchecked=frozenset(allowed),
        )
        assert report.verified == (report.exit_code == 0)
        return report.exit_code

    @property
    def parsed_proof(self) -> LedgerProof:
        """The proof, taken apart."""
        assert self.proof is not None
        return LedgerProof.parse(self.proof)


def _predicate(**changes: object) -> dict[str, object]:
    return {
        "job_id": "j",
        "tenant": "t",
        "backend_id": "b",
        "pqc_suite": "ML-DSA-65:Ed25519",
        "crypto_mode": "pqc-required",
        "calibration_snapshot_id": "c",
        "em_method": "zne",
        "em_version": "1",
        "seed": "sha256:" + "0" * 64,
        "created_at": "2026-01-01T00:00:00Z",
        "artifact_hash": artifact_hash(ARTEFACTS),
        "sdk_version": "1",
        "library_versions": {},
        "policy_digest": "",
        "request_sha256": "",
        "evidence": {},
        "plugin_digests": {},
        "origin": "scheduled",
        "schema_version": 2,
    } | changes


def _seal(
    sealer: Sealer,
    kind: str = "run-manifest",
    mode: CryptoMode = CryptoMode.PQC_REQUIRED,
    **changes: object,
) -> Evidence:
    """A manifest sealed by the house itself, with whatever fields."""
    statement = build_statement(DIGESTS, RUN_MANIFEST, _predicate(**changes))
    envelope, index = sealer.seal(kind, statement, mode=mode)
    held = {DIGESTS[name]: content for name, content in ARTEFACTS.items()}
    return Evidence(envelope, sealer.proof(index, envelope), sealer.export_trust(), held)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def evidence(home: Path, new_sealer: Callable[[Path], Sealer]) -> Evidence:
    return _seal(new_sealer(home))


def test_untouched_evidence_verifies(evidence: Evidence) -> None:
    report = verify_manifest(
        evidence.envelope, evidence.artefacts.get, evidence.proof, evidence.trust
    )
    assert report.verified
    assert tuple(check.name for check in report.checks) == CHECK_NAMES
    found = {check.name: check.status for check in report.checks}
    assert found.pop("freshness") is Outcome.NOT_CHECKED
    assert set(found.values()) == {Outcome.OK}
    assert report.unchecked == ("freshness",)
    assert report.as_json()["exit_code"] == 0


# -- signature and fields (3), bad input (2)


def _resigned(envelope: bytes, **members: object) -> bytes:
    return canonical_json(json.loads(envelope) | members)


def test_a_changed_payload_or_signature(evidence: Evidence) -> None:
    parsed = parse_envelope(evidence.envelope)
    payload = parsed.payload.replace(b'"backend_id":"b"', b'"backend_id":"x"')
    changed = base64.b64encode(payload).decode()
    assert replace(evidence, envelope=_resigned(evidence.envelope, payload=changed)).code() == 3
    (signature,) = parsed.signatures
    broken = bytes([signature.signature[0] ^ 1]) + signature.signature[1:]
    forged = {"keyid": signature.key_id, "sig": base64.b64encode(broken).decode()}
    assert replace(evidence, envelope=_resigned(evidence.envelope, signatures=[forged])).code() == 3


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[:-1],
        lambda data: data + b"\n",
        lambda data: b"",
        lambda data: data.replace(b'{"payload":', b'{"payload":"e30=","payload":', 1),
        lambda data: _resigned(data, publicKey="trust me"),
    ],
)
def test_what_is_no_envelope_is_bad_input(
    evidence: Evidence, spoil: Callable[[bytes], bytes]
) -> None:
    assert replace(evidence, envelope=spoil(evidence.envelope)).code() == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"pqc_suite": "ML-KEM-768"},  # names another algorithm than the one that signed
        {"pqc_suite": "ROT13"},
        {"crypto_mode": "unheard-of"},
        {"seed": "7"},
        {"surprise": 1},
    ],
)
def test_fields_are_checked_though_properly_signed(
    home: Path, new_sealer: Callable[[Path], Sealer], changes: dict[str, object]
) -> None:
    assert _seal(new_sealer(home), **changes).code() == 3


def test_another_statement_by_the_same_key_is_no_manifest(
    home: Path, new_sealer: Callable[[Path], Sealer], evidence: Evidence
) -> None:
    sealer = new_sealer(home)
    decision = sealer.sign(build_statement(DIGESTS, "urn:quantumai:scheduler-decision:v1", {}))
    proof = sealer.proof(sealer.log("run-manifest", decision), decision)
    assert replace(evidence, envelope=decision, proof=proof).code() == 3


# -- artefacts (4)


def test_artefacts(home: Path, new_sealer: Callable[[Path], Sealer], evidence: Evidence) -> None:
    swapped = evidence.artefacts | {DIGESTS["result"]: b'{"z":0.9}'}
    assert replace(evidence, artefacts=swapped).code() == 4
    assert replace(evidence, artefacts={}).code() == 8
    assert replace(evidence, artefacts={}).code("artefacts") == 0
    # What is known to be wrong outweighs what is missing.
    assert replace(evidence, artefacts=swapped, proof=None).code() == 4
    wrong_index = artifact_hash({"result": b"other"})
    assert _seal(new_sealer(home), artifact_hash=wrong_index).code() == 4


# -- untrusted keys (5)


def test_a_strangers_whole_evidence_is_untrusted(
    tmp_path: Path, new_sealer: Callable[[Path], Sealer], evidence: Evidence
) -> None:
    stranger = _seal(new_sealer(tmp_path / "stranger"))
    assert stranger.code() == 0
    # Consistent in itself, and with its own keys in its proof: but the auditor decides.
    assert replace(stranger, trust=evidence.trust).code() == 5
    assert replace(evidence, trust=stranger.trust).code() == 5


def test_a_strangers_signature_under_a_trusted_id(
    tmp_path: Path, new_sealer: Callable[[Path], Sealer], evidence: Evidence
) -> None:
    stranger = parse_envelope(_seal(new_sealer(tmp_path / "stranger")).envelope)
    trusted_id = parse_envelope(evidence.envelope).signatures[0].key_id
    claimed = replace(stranger.signatures[0], key_id=trusted_id)
    forged = replace(stranger, signatures=(claimed,)).data
    assert replace(evidence, envelope=forged).code() == 3


# -- proof and ledger (6)


def test_proofs_that_belong_elsewhere(
    home: Path, new_sealer: Callable[[Path], Sealer], evidence: Evidence
) -> None:
    sealer = new_sealer(home)
    other = _seal(sealer, job_id="other")
    assert replace(evidence, proof=other.proof).code() == 6  # another leaf
    assert _seal(sealer, kind="scheduler-decision").code() == 6  # a leaf of another type
    shifted = replace(evidence.parsed_proof, index=evidence.parsed_proof.index - 1)
    assert replace(evidence, proof=shifted.data).code() == 6
    # The key status of another head.
    mixed = replace(evidence.parsed_proof, key_status=other.parsed_proof.key_status)
    assert replace(evidence, proof=mixed.data).code() == 6
    for junk in (b"", b"junk", (evidence.proof or b"")[:-1], (evidence.proof or b"")[:200]):
        assert replace(evidence, proof=junk).code() == 6


def test_a_ledger_of_another_origin_with_the_same_keys(
    tmp_path: Path,
    home: Path,
    internal_keys: Callable[[Path], InternalKeys],
    evidence: Evidence,
) -> None:
    keys, objects = internal_keys(home), LocalObjects(tmp_path / "objects")
    origin = "quantumai/ledger/other"
    signer = KmsCheckpointSigner(keys, origin)
    other = Sealer(keys, Ledger(objects, origin, signer, standing_clock), objects, standing_clock)
    other.ensure_ready()
    proof = other.proof(other.log("run-manifest", evidence.envelope), evidence.envelope)
    assert replace(evidence, proof=proof).code() == 6
    # Renaming its checkpoint does not help: both signatures bind the origin.
    assert evidence.trust is not None
    renamed = proof.replace(origin.encode(), evidence.trust.ledger.origin.encode())
    assert replace(evidence, proof=renamed).code() == 6


def test_a_head_of_another_ledger_under_the_trusted_keys_and_name(
    tmp_path: Path,
    home: Path,
    internal_keys: Callable[[Path], InternalKeys],
    evidence: Evidence,
) -> None:
    assert evidence.trust is not None
    keys, objects = internal_keys(home), LocalObjects(tmp_path / "objects")
    signer = KmsCheckpointSigner(keys, evidence.trust.ledger.origin)
    ledger = Ledger(objects, "quantumai/ledger/other", signer, standing_clock)
    other = Sealer(keys, ledger, objects, standing_clock)
    other.ensure_ready()
    proof = other.proof(other.log("run-manifest", evidence.envelope), evidence.envelope)
    assert replace(evidence, proof=proof).code() == 6


def test_forged_checkpoints(evidence: Evidence) -> None:
    proof = evidence.parsed_proof
    note = Note.parse(proof.checkpoint)
    head = TreeHead.parse(note.text)
    for forged in (replace(head, root=bytes(32)), replace(head, size=head.size + 1)):
        checkpoint = replace(note, text=forged.text).data
        assert replace(evidence, proof=replace(proof, checkpoint=checkpoint).data).code() == 6


def _checkpoint_signed_by(evidence: Evidence, *positions: int) -> Evidence:
    proof = evidence.parsed_proof
    note = Note.parse(proof.checkpoint)
    kept = tuple(note.signatures[position] for position in positions)
    stripped = replace(proof, checkpoint=replace(note, signatures=kept).data)
    return replace(evidence, proof=stripped.data)


def _least(evidence: Evidence, mode: CryptoMode) -> Evidence:
    assert evidence.trust is not None
    return replace(evidence, trust=msgspec.structs.replace(evidence.trust, least_crypto_mode=mode))


def test_only_the_post_quantum_checkpoint_signature_counts(
    home: Path, new_sealer: Callable[[Path], Sealer], evidence: Evidence
) -> None:
    assert _checkpoint_signed_by(evidence, 1).code() == 0
    assert _checkpoint_signed_by(evidence, 0).code() == 6
    # The manifest says pqc-required: the stricter of the two holds.
    assert _checkpoint_signed_by(_least(evidence, CryptoMode.CLASSICAL), 0).code() == 6
    classical = _least(_seal(new_sealer(home), crypto_mode="classical"), CryptoMode.CLASSICAL)
    assert classical.code() == 0
    assert _checkpoint_signed_by(classical, 0).code() == 0


def test_a_key_status_by_a_stranger(
    tmp_path: Path, new_sealer: Callable[[Path], Sealer], evidence: Evidence
) -> None:
    stranger = new_sealer(tmp_path / "stranger")
    (status,) = evidence.parsed_proof.key_status
    forged = stranger.signer.sign(("authority",), status.payload)
    proof = replace(evidence.parsed_proof, key_status=(forged,))
    assert replace(evidence, proof=proof.data).code() == 6


# -- key not valid at that time (7)


def test_a_retired_key_in_the_hands_of_a_thief(
    tmp_path: Path,
    internal_keys: Callable[[Path], InternalKeys],
    new_sealer: Callable[[Path], Sealer],
    rotate: Callable[[Sealer], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sealer = new_sealer(tmp_path / "home")
    before = _seal(sealer)
    shutil.copytree(tmp_path / "home", tmp_path / "stolen")
    rotate(sealer)
    assert replace(before, trust=sealer.export_trust()).code() == 0
    stolen = internal_keys(tmp_path / "stolen")
    # Asked by the rules, the stolen database is older than what the ledger vouched for.
    with pytest.raises(LedgerError, match="were vouched for"):
        stolen.audit_head(sealer.audit_anchor.newest())
    own_head = stolen.audit_head
    monkeypatch.setattr(stolen, "audit_head", lambda least=None: own_head())
    thief = Sealer(
        stolen,
        sealer.ledger,
        LocalObjects(tmp_path / "home" / "objects"),
        standing_clock,
    )
    late = _seal(thief)
    honest = replace(late, proof=sealer.proof(late.parsed_proof.index, late.envelope))
    assert replace(honest, trust=before.trust).code() == 7  # from the signed key status
    assert replace(honest, trust=sealer.export_trust()).code() == 7  # from the auditor's window
    assert _seal(sealer).code() == 0


def test_a_compromised_key(
    tmp_path: Path,
    new_sealer: Callable[[Path], Sealer],
    mark_compromised: Callable[..., None],
) -> None:
    sealer = new_sealer(tmp_path)
    early, late = _seal(sealer, job_id="early"), _seal(sealer, job_id="late")
    mark_compromised(sealer, 1, from_index=late.parsed_proof.index)
    for evidence, code in ((early, 0), (late, 7)):
        fresh = sealer.proof(evidence.parsed_proof.index, evidence.envelope)
        assert replace(evidence, proof=fresh).code() == code
        # With the proof from before the compromise the auditor's newer trust file decides.
        assert replace(evidence, trust=sealer.export_trust()).code() == code


def test_a_rotation_between_signing_and_logging(
    tmp_path: Path,
    new_sealer: Callable[[Path], Sealer],
    rotate: Callable[[Sealer], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The manifest is signed anew by the key that counts where it is logged."""
    sealer, other = new_sealer(tmp_path), new_sealer(tmp_path)
    former = sealer.keys.ensure("statement").key_id
    append, rotated = sealer.ledger.append, []

    def rotating(*arguments: Any, **options: Any) -> list[int]:
        if not rotated:
            rotated.append(rotate(other))
        return append(*arguments, **options)

    monkeypatch.setattr(sealer.ledger, "append", rotating)
    evidence = _seal(sealer)
    (signature,) = parse_envelope(evidence.envelope).signatures
    assert (signature.key_id, former != rotated[0]) == (rotated[0], True)
    assert evidence.code() == 0


def test_in_an_overlap_a_void_key_does_not_spoil_the_good_one(
    tmp_path: Path, new_sealer: Callable[[Path], Sealer], mark_compromised: Callable[..., None]
) -> None:
    sealer = new_sealer(tmp_path)
    Kms(sealer.keys._parts).of(ALICE).rotate("statement", overlap=True)
    sealer.ensure_ready()
    both = _seal(sealer)
    assert len(parse_envelope(both.envelope).signatures) == 2
    assert both.code() == 0
    for version, code in ((2, 0), (1, 7)):
        mark_compromised(sealer, version, from_index=0)
        fresh = sealer.proof(both.parsed_proof.index, both.envelope)
        assert replace(both, proof=fresh).code() == code


def test_the_auditors_window_can_only_narrow(evidence: Evidence) -> None:
    assert evidence.trust is not None
    index = evidence.parsed_proof.index
    (key,) = evidence.trust.statement_keys
    for window, code in (((index, index + 1), 0), ((index + 1, None), 7), ((0, index), 7)):
        narrowed = msgspec.structs.replace(
            key, valid_from_index=window[0], valid_until_index=window[1]
        )
        trust = msgspec.structs.replace(evidence.trust, statement_keys=(narrowed,))
        assert replace(evidence, trust=trust).code() == code


# -- crypto mode (9)


# Which signatures (classical c, post-quantum p, both) an auditor believes in each mode.
ACCEPTED = {
    "classical": {"c", "p", "cp"},
    "hybrid": {"cp"},
    "pqc-preferred": {"p", "cp"},
    "pqc-required": {"p", "cp"},
}
SIGNED_IN = {"c": CryptoMode.CLASSICAL, "p": CryptoMode.PQC_REQUIRED, "cp": CryptoMode.HYBRID}


def test_what_each_mode_wants_and_that_a_manifest_cannot_lower_it(
    home: Path, new_sealer: Callable[[Path], Sealer]
) -> None:
    """Every mode written, with every set of signatures, under every least mode."""
    sealer = new_sealer(home)
    modes = list(CryptoMode)
    for signed, by in SIGNED_IN.items():
        for written in modes:
            evidence = _seal(sealer, mode=by, crypto_mode=str(written))
            for least in modes:
                trust = sealer.export_trust(least)
                code = replace(evidence, trust=trust).code()
                believed = signed
                if least is CryptoMode.PQC_REQUIRED:
                    believed = signed.replace("c", "")  # such a trust file names no classical key
                strictest = max(written, least, key=modes.index)
                if not believed:
                    assert code == ExitCode.UNTRUSTED_KEY
                elif modes.index(written) < modes.index(least):
                    assert code == ExitCode.CRYPTO_MODE
                else:
                    wanted = believed in ACCEPTED[str(strictest)]
                    assert code == (ExitCode.OK if wanted else ExitCode.CRYPTO_MODE)


def test_two_classical_signatures_are_no_hybrid() -> None:
    for mode in (CryptoMode.HYBRID, CryptoMode.PQC_PREFERRED, CryptoMode.PQC_REQUIRED):
        assert unmet_demand(mode, ["Ed25519", "ECDSA-P256"])
    assert unmet_demand(CryptoMode.HYBRID, ["ML-DSA-65", "SLH-DSA-SHA2-128s"])
    assert not unmet_demand(CryptoMode.HYBRID, ["ML-DSA-65", "Ed25519"])


def test_in_hybrid_a_wrong_signature_of_either_class_spoils_it(
    home: Path, new_sealer: Callable[[Path], Sealer]
) -> None:
    sealer = new_sealer(home)
    evidence = _seal(sealer, mode=CryptoMode.HYBRID, crypto_mode="hybrid")
    evidence = replace(evidence, trust=sealer.export_trust(CryptoMode.HYBRID))
    assert evidence.code() == 0
    envelope = parse_envelope(evidence.envelope)
    for place in (0, 1):
        signatures = list(envelope.signatures)
        wrong = bytes([signatures[place].signature[0] ^ 1]) + signatures[place].signature[1:]
        signatures[place] = replace(signatures[place], signature=wrong)
        forged = replace(envelope, signatures=tuple(signatures)).data
        assert replace(evidence, envelope=forged).code() == ExitCode.SIGNATURE
        left_out = replace(envelope, signatures=(envelope.signatures[1 - place],)).data
        assert replace(evidence, envelope=left_out).code() == ExitCode.CRYPTO_MODE


def test_a_tenants_mode_is_raised_and_never_lowered(
    home: Path, new_sealer: Callable[[Path], Sealer]
) -> None:
    sealer = new_sealer(home)
    evidence = _seal(sealer, mode=CryptoMode.HYBRID, crypto_mode="hybrid")  # of tenant "t"
    for least, tenants, code in (
        (CryptoMode.CLASSICAL, {}, ExitCode.OK),
        (CryptoMode.CLASSICAL, {"t": CryptoMode.PQC_PREFERRED}, ExitCode.CRYPTO_MODE),
        (CryptoMode.CLASSICAL, {"other": CryptoMode.PQC_REQUIRED}, ExitCode.OK),
        (CryptoMode.PQC_PREFERRED, {"t": CryptoMode.CLASSICAL}, ExitCode.CRYPTO_MODE),
    ):
        trust = sealer.export_trust(least, tenants=tenants)
        assert replace(evidence, trust=trust).code() == code


# -- evidence that is missing (8)


def test_missing_evidence_is_not_checked(evidence: Evidence) -> None:
    unproved = replace(evidence, proof=None)
    assert unproved.code() == 8
    assert unproved.code("ledger") == 8
    assert unproved.code("ledger", "key-valid", "freshness") == 0
    assert replace(evidence, trust=None).code() == 8
    without = replace(evidence.parsed_proof, key_status=())
    assert replace(evidence, proof=without.data).code() == 8
    with pytest.raises(BadInputError):
        evidence.code("everything")


def test_asking_for_less_never_hides_a_failure(evidence: Evidence) -> None:
    forged = replace(evidence, artefacts={DIGESTS["result"]: b"x"}, proof=b"junk")
    assert forged.code(*CHECK_NAMES) == 6


# -- views


def test_the_flat_view_has_the_specifications_fields(evidence: Evidence) -> None:
    envelope = parse_envelope(evidence.envelope)
    view = flat_view(envelope)
    specified = (
        "job_id tenant backend_id pqc_suite crypto_mode calibration_snapshot_id em_method "
        "em_version seed created_at signature artifact_hash"
    )
    assert set(specified.split()) <= set(view)
    assert base64.b64decode(view["signature"]) == envelope.signatures[0].signature
    assert "signature" not in RunManifest.__struct_fields__


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_no_changed_byte_verifies(evidence: Evidence, data: st.DataObject) -> None:
    assert evidence.proof is not None
    part = data.draw(st.sampled_from(["envelope", "proof", "artefact"]))
    original = {
        "envelope": evidence.envelope,
        "proof": evidence.proof,
        "artefact": ARTEFACTS["result"],
    }[part]
    at = data.draw(st.integers(0, len(original) - 1))
    changed = bytearray(original)
    changed[at] ^= data.draw(st.integers(1, 255))
    if part == "envelope":
        forged = replace(evidence, envelope=bytes(changed))
    elif part == "artefact":
        artefacts = evidence.artefacts | {DIGESTS["result"]: bytes(changed)}
        forged = replace(evidence, artefacts=artefacts)
    else:
        forged = replace(evidence, proof=bytes(changed))
        # The name and key id in the Ed25519 line are not signed, and in this mode nobody needs
        # that line: signed-note has verifiers ignore signatures by unknown keys.
        line = Note.parse(evidence.parsed_proof.checkpoint).signatures[0].line.encode()
        start = original.index(line)
        if start <= at < start + len(line):
            return
    assert forged.code() != 0


def test_the_report_names_what_was_allowed_to_go_unchecked(evidence: Evidence) -> None:
    held = verify_manifest(
        evidence.envelope,
        evidence.artefacts.get,
        None,
        evidence.trust,
        allow_unchecked=frozenset({"ledger", "key-valid", "artefacts"}),
    ).as_json()
    # `artefacts` was allowed too but was checked.
    assert (held["verified"], held["unchecked"]) == (True, ["ledger", "key-valid", "freshness"])
    strict = verify_manifest(evidence.envelope, evidence.artefacts.get, None, evidence.trust)
    assert (strict.verified, strict.as_json()["unchecked"]) == (False, ["freshness"])


def test_ecdsa_is_as_good_a_classical_signature_as_ed25519(
    home: Path, new_sealer: Callable[[Path], Sealer]
) -> None:
    """A signer elsewhere whose device knows no Ed25519: its key stands in the trust file."""
    private = ec.generate_private_key(ec.SECP256R1())
    spki = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    public = PublicKey.of("ECDSA-P256", spki)
    sealer = new_sealer(home)
    fields = {"crypto_mode": "classical", "pqc_suite": "ECDSA-P256"}
    payload = build_statement(DIGESTS, RUN_MANIFEST, _predicate(**fields))
    bare = Envelope(IN_TOTO_PAYLOAD_TYPE, payload, ())
    signature = private.sign(bare.signed_bytes, ec.ECDSA(SHA256()))
    envelope = replace(bare, signatures=(Signature(public.key_id, signature),)).data
    key = StatementKey(public.key_id, public.algorithm, public.spki, 0, None)
    for least, code in ((CryptoMode.CLASSICAL, 0), (CryptoMode.HYBRID, 9)):
        trust = msgspec.structs.replace(sealer.export_trust(least), statement_keys=(key,)).check()
        held = {DIGESTS[name]: content for name, content in ARTEFACTS.items()}
        unproved = Evidence(envelope, None, trust, held)
        assert unproved.code("ledger", "key-valid") == code
    strict = msgspec.structs.replace(sealer.export_trust(), statement_keys=(key,))
    with pytest.raises(BadInputError, match="classical key"):
        strict.check()
