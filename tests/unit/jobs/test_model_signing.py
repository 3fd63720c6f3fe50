"""Signed models, checked by the public tool of the format: it is never asked to sign for us."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import model_signing
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from quantumai.canonical import sha256_hex
from quantumai.crypto_mode import CryptoMode
from quantumai.errors import ApprovalNeededError, ArtefactError, BadInputError
from quantumai.harness.plan import MethodWanted, parse_plan
from quantumai.harness.run_folder import RunFolder
from quantumai.jobs.em_sealing import seal_em_run
from quantumai.jobs.evidence import Evidence, verify_job
from quantumai.jobs.model_signing import model_keys, sign_model, sign_models
from quantumai.keys.management.built_in import MODEL as MODEL_KEY
from quantumai.keys.management.records import Caller
from quantumai.keys.spki import pem_of_spki
from quantumai.provenance.verification.model_signature import verify_model
from quantumai.provenance.verification.report import VerificationReport
from quantumai.services.em_models import (
    doubtful_models,
    home_model_keys,
    model_key,
    verify_model_folder,
)
from quantumai.services.verify_all import verify_home
from quantumai.services.wiring import Home, open_home
from tests.e2e.qai_command import qai
from tests.tokens import token_library
from tests.unit.jobs.em_runs import MODEL, MODEL_FILES, PLAN, finished_run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::quantumai.keys.providers.soft.InsecureKeysWarning"),
]
SIGNATURE = "model.sig"
DIGESTS = {name: sha256_hex(data) for name, data in MODEL_FILES.items()}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with open_home(tmp_path / "home", {}) as opened:
        yield opened


@pytest.fixture
def model(home: Home, tmp_path: Path) -> Path:
    """A signed model in a folder of its own."""
    folder = tmp_path / "friendly-rf"
    folder.mkdir()
    for name, data in MODEL_FILES.items():
        (folder / name).write_bytes(data)
    (folder / SIGNATURE).write_bytes(sign_model(home.desk(), "friendly-rf", DIGESTS))
    return folder


def _pem(home: Home, folder: Path, number: int = 0) -> Path:
    path = folder / f"key-{number}.pem"
    path.write_text(pem_of_spki(home_model_keys(home)[number].spki_der))
    return path


def _public_tool(folder: Path, pem: Path) -> bool:
    """Whether `model_signing verify key` takes the model."""
    arguments = ["verify", "key", str(folder), "--public_key", str(pem)]
    signature = ["--signature", str(folder / SIGNATURE)]
    done = subprocess.run(
        [sys.executable, "-m", "model_signing", *arguments, *signature],
        capture_output=True,
        text=True,
    )
    assert ("Verification succeeded" in done.stdout) == (done.returncode == 0)
    return done.returncode == 0


def _ours(home: Home, folder: Path) -> VerificationReport:
    return verify_model_folder(folder, home_model_keys(home))


def test_the_public_tool_takes_the_signature_as_it_is(
    home: Home, model: Path, tmp_path: Path
) -> None:
    assert _public_tool(model, _pem(home, tmp_path))
    assert _ours(home, model).verified
    # The model goes where it is used, under another name.
    moved = tmp_path / "elsewhere"
    shutil.copytree(model, moved)
    assert _public_tool(moved, _pem(home, tmp_path))
    assert verify_model_folder(moved, (model_key(_pem(home, tmp_path)),)).verified


def _longer(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).write_bytes((folder / name).read_bytes() + b"\n")

    return change


def _gone(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def _one_more(folder: Path) -> None:
    (folder / "extra.onnx").write_bytes(b"")


def _swapped(folder: Path) -> None:
    one, other = folder / "error.onnx", folder / "residual.onnx"
    data = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(data)


def _in_bundle(change: Callable[[Any], None]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        bundle = json.loads((folder / SIGNATURE).read_bytes())
        change(bundle)
        (folder / SIGNATURE).write_text(json.dumps(bundle))

    return apply


def _signature_bit(bundle: Any) -> None:
    signature = bundle["dsseEnvelope"]["signatures"][0]
    data = bytearray(base64.b64decode(signature["sig"]))
    data[-1] ^= 1
    signature["sig"] = base64.b64encode(data).decode()


def _statement(bundle: Any) -> None:
    """The digest of a changed card, and of all files with it, in the place of what was signed."""
    payload = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    resources = payload["predicate"]["resources"]
    resources[0]["digest"] = sha256_hex(MODEL_FILES["card.json"] + b"\n")
    root = sha256_hex(b"".join(bytes.fromhex(each["digest"]) for each in resources))
    payload["subject"][0]["digest"]["sha256"] = root
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(json.dumps(payload).encode()).decode()


def _forged(folder: Path) -> None:
    _longer("card.json")(folder)
    _in_bundle(_statement)(folder)


def _hint(bundle: Any) -> None:
    bundle["verificationMaterial"]["publicKey"]["hint"] = "0" * 64


@pytest.mark.parametrize(
    ("change", "exit_code"),
    [
        *((_longer(name), 4) for name in MODEL_FILES),
        *((_gone(name), 4) for name in MODEL_FILES),
        (_one_more, 4),
        (_swapped, 4),
        (_in_bundle(_signature_bit), 3),
        (_forged, 3),
        (_in_bundle(_hint), 5),
        (_gone(SIGNATURE), 8),
    ],
)
def test_a_change_is_found_by_both(
    home: Home, model: Path, tmp_path: Path, change: Callable[[Path], None], exit_code: int
) -> None:
    change(model)
    assert not _public_tool(model, _pem(home, tmp_path))
    report = _ours(home, model)
    assert (report.verified, int(report.exit_code)) == (False, exit_code), report.checks


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b'{"mediaType": "x", "mediaType": "y"}',
        b'{"mediaType": "x", "verificationMaterial": {}, "dsseEnvelope": {}}',
        b"\xff",
        b"[" * 5000,
    ],
)
def test_what_is_no_signature_is_told(home: Home, model: Path, data: bytes) -> None:
    (model / SIGNATURE).write_bytes(data)
    report = _ours(home, model)
    assert (report.verified, int(report.exit_code)) == (False, 2)


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1()])
def test_what_the_public_tool_signed_verifies_here(tmp_path: Path, curve: ec.EllipticCurve) -> None:
    key = ec.generate_private_key(curve)
    private, public = tmp_path / "private.pem", tmp_path / "public.pem"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    folder = tmp_path / "model"
    (folder / "below").mkdir(parents=True)
    (folder / "card.json").write_bytes(b"{}")
    (folder / "below" / "weights.onnx").write_bytes(b"weights")
    config = model_signing.signing.Config().use_elliptic_key_signer(private_key=private)
    hashing = model_signing.hashing.Config().set_ignored_paths(paths=[SIGNATURE])
    config.set_hashing_config(hashing).sign(folder, folder / SIGNATURE)
    assert verify_model_folder(folder, (model_key(public),)).verified
    (folder / "below" / "weights.onnx").write_bytes(b"Weights")
    assert int(verify_model_folder(folder, (model_key(public),)).exit_code) == 4


def test_a_run_signs_its_models_before_it_is_sealed(home: Home, tmp_path: Path) -> None:
    run = finished_run(home)
    jobs = seal_em_run(home.desk(), run, CryptoMode.PQC_REQUIRED)
    folder = run.path / MODEL
    signature = (folder / SIGNATURE).read_bytes()
    assert _public_tool(folder, _pem(home, tmp_path))
    for job_id in jobs.values():
        # The post-quantum signature of the manifest is over the same files, and over this one.
        evidence = Evidence(home.desk(), job_id)
        assert evidence.digests[f"em/{MODEL}/{SIGNATURE}"] == sha256_hex(signature)
        for name, digest in DIGESTS.items():
            assert evidence.digests[f"em/{MODEL}/{name}"] == digest
        assert evidence.manifest.pqc_suite == "ML-DSA-65"
        assert verify_job(home.desk(), job_id).verified
    seal_em_run(home.desk(), run, CryptoMode.PQC_REQUIRED)
    assert (folder / SIGNATURE).read_bytes() == signature
    # The ledger tells of the key, and no trust file takes it for one that signs manifests.
    events = [e.event for e in home.open_sealer().key_events() if e.event.alias == MODEL_KEY]
    assert [event.algorithm for event in events] == ["ECDSA-P256"]
    trust = home.open_sealer().export_trust(CryptoMode.CLASSICAL)
    assert events[0].key_id not in {key.key_id for key in trust.statement_keys}
    assert [problem for part in verify_home(home.root) for problem in part.problems] == []


@pytest.mark.parametrize("name", [*MODEL_FILES, SIGNATURE])
def test_a_model_that_changed_since_it_was_signed_is_not_sealed(home: Home, name: str) -> None:
    run = finished_run(home)
    sign_models(home.desk(), run)
    run.write(f"{MODEL}/{name}", b"something else")
    with pytest.raises(ArtefactError, match="friendly-rf of the run does not verify"):
        seal_em_run(home.desk(), run, CryptoMode.PQC_REQUIRED)
    assert home.database.select("jobs") == []


def test_a_run_without_models_makes_no_key_for_them(home: Home) -> None:
    run = finished_run(home)
    shutil.rmtree(run.path / MODEL)
    seal_em_run(home.desk(), RunFolder(run.path), CryptoMode.PQC_REQUIRED)
    assert home_model_keys(home) == ()


def test_a_rotated_key_still_counts_and_a_compromised_one_does_not(
    home: Home, model: Path, tmp_path: Path
) -> None:
    sealer = home.open_sealer()
    former = (model / SIGNATURE).read_bytes()
    sealer.keys.rotate(MODEL_KEY, overlap=True)
    # Two keys are active now; the format has room for one signature.
    newer = sign_model(home.desk(), "friendly-rf", DIGESTS)
    assert len(json.loads(newer)["dsseEnvelope"]["signatures"]) == 1
    for number, signature in enumerate((former, newer)):
        (model / SIGNATURE).write_bytes(signature)
        assert _ours(home, model).verified
        assert _public_tool(model, _pem(home, tmp_path, number))
        assert not _public_tool(model, _pem(home, tmp_path, 1 - number))
    sealer.keys.retire(MODEL_KEY, 1)
    assert len(model_keys(sealer.keys)) == 2
    sealer.keys.disable(MODEL_KEY, 1)
    assert [key.key_id for key in model_keys(sealer.keys)] == [_signer(newer)]
    sealer.keys.enable(MODEL_KEY, 1)
    assert len(model_keys(sealer.keys)) == 2
    for principal in ("alice", "bob"):
        with suppress(ApprovalNeededError):
            manager = home.open_kms().of(Caller("local", principal))
            manager.mark_compromised(MODEL_KEY, 1, from_index=0)
    report = verify_model(former, DIGESTS, model_keys(sealer.keys))
    assert (report.verified, int(report.exit_code)) == (False, 5)
    assert verify_model(newer, DIGESTS, model_keys(sealer.keys)).verified


def _signer(bundle: bytes) -> str:
    key_id: str = json.loads(bundle)["dsseEnvelope"]["signatures"][0]["keyid"]
    return key_id


@pytest.mark.integration
def test_a_token_signs_without_giving_its_key_away(tmp_path: Path) -> None:
    root, folder = tmp_path / "home", tmp_path / "model"
    made = qai("kms", "token", "init", "--library", token_library("kryoptic"), home=root)
    assert made.code == 0, made.err
    folder.mkdir()
    for name, data in MODEL_FILES.items():
        (folder / name).write_bytes(data)
    with open_home(root, {}) as home:
        (folder / SIGNATURE).write_bytes(sign_model(home.desk(), "model", DIGESTS))
        (key,) = [k for k in home.open_sealer().keys.every_version() if k.name == MODEL_KEY]
        assert key.provider == "pkcs11"
        assert _public_tool(folder, _pem(home, tmp_path))
    assert not (root / "keys").exists()  # where soft keys would be


def test_a_link_is_no_file_of_a_model(home: Home, model: Path) -> None:
    (model / "card.json").rename(model.parent / "card.json")
    (model / "card.json").symlink_to(model.parent / "card.json")
    with pytest.raises(BadInputError, match="is a link"):
        _ours(home, model)
    uses = MethodWanted("ml-qem", {"model": str(model)})
    plan = msgspec.structs.replace(parse_plan(PLAN, "the plan"), methods=(uses, uses))
    (doubt,) = doubtful_models(home, plan)  # told, and no reason to stop a run
    assert "is a link" in doubt
    with pytest.raises(BadInputError, match="is no folder"):
        _ours(home, model / "nothing")
