"""What every key provider must do, and what the soft one promises beside it."""

from __future__ import annotations

import base64
import importlib
import json
import os
import subprocess
import sys
import warnings
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256

from quantumai.errors import (
    BadInputError,
    ConflictError,
    InsecureRefusedError,
    KeyUnavailableError,
    NotFoundError,
)
from quantumai.keys import algorithms
from quantumai.keys.environment import Environment, parse_environment
from quantumai.keys.port import KeyProvider, KeyRecord, KeyState
from quantumai.keys.providers.sealing_key import FILE_NAME
from quantumai.keys.providers.soft import InsecureKeysWarning, InsecureSoftKeys
from tests.tokens import TOKENS, new_token, token_keys

pytestmark = pytest.mark.filterwarnings("ignore::quantumai.keys.providers.soft.InsecureKeysWarning")


def _soft(folder: Path, passphrase: bytes | None = None) -> InsecureSoftKeys:
    return InsecureSoftKeys(folder, lambda: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), passphrase)


_REAL_TOKENS = [pytest.param(kind, marks=pytest.mark.integration) for kind in TOKENS]


@pytest.fixture(params=["soft", "soft-passphrase", *_REAL_TOKENS])
def keys(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> KeyProvider:
    if request.param in TOKENS:
        folder = tmp_path / "token"
        return token_keys(new_token(request.param, folder), folder)
    # The cheapest scrypt that is accepted: the suite is about keys, not about waiting.
    monkeypatch.setattr("quantumai.keys.providers.sealing_key._SCRYPT_LOG2_N", 14)
    return _soft(tmp_path / "keys", b"a phrase" if "passphrase" in request.param else None)


@pytest.fixture
def algorithm(keys: KeyProvider) -> str:
    """What the provider can do: SoftHSM2 has no post-quantum keys."""
    return "Ed25519" if "ML-DSA-44" not in _makes(keys) else "ML-DSA-44"


def _makes(keys: KeyProvider) -> tuple[str, ...]:
    return getattr(keys, "supported", algorithms.ALGORITHMS)


def _raw(record: KeyRecord) -> bytes:
    return algorithms.raw_public_bytes(record.public_key.spki_der)


def _verifies_elsewhere(algorithm: str, public: bytes, message: bytes, signature: bytes) -> bool:
    """Verification by a library that did not sign: pqcrypto for ML-DSA, else cryptography."""
    if algorithm == "Ed25519":
        ed25519.Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
        return True
    if algorithm == "ECDSA-P256":
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public)
        key.verify(signature, message, ec.ECDSA(SHA256()))
        return True
    module = importlib.import_module("pqcrypto.sign." + algorithm.lower().replace("-", "_"))
    module.verify(public, message, signature)  # raises if it does not hold
    return True


@pytest.mark.parametrize("name", algorithms.ALGORITHMS)
def test_signatures_verify_in_another_library(keys: KeyProvider, name: str) -> None:
    algorithm = name
    if algorithm not in _makes(keys):
        with pytest.raises(BadInputError, match="this token makes no ML-DSA"):
            keys.create("some-key", algorithm)
        assert keys.list() == ()
        return
    record = keys.create("some-key", algorithm)
    signature = keys.sign(record.key_id, b"message")
    assert _verifies_elsewhere(algorithm, _raw(record), b"message", signature)
    spki = record.public_key.spki_der
    assert algorithms.verify_signature(algorithm, spki, b"message", signature)
    assert not algorithms.verify_signature(algorithm, spki, b"massage", signature)
    assert not algorithms.verify_signature(algorithm, spki, b"message", signature[:-1])
    assert not algorithms.verify_signature(algorithm, spki, b"message", b"")


def test_create_is_idempotent_and_typed(keys: KeyProvider) -> None:
    record = keys.create("a", "Ed25519")
    assert keys.create("a", "Ed25519") == record
    assert (record.alias, record.version, record.state) == ("a", 1, KeyState.ACTIVE)
    assert record.created_at == "2026-01-02T03:04:05Z"
    assert record.public_key.check() == keys.public_key(record.key_id)
    with pytest.raises(ConflictError):
        keys.create("a", "ECDSA-P256")
    for alias in ("", "../a", "A", "a/b", "a" * 64, "a\n"):
        with pytest.raises(BadInputError):
            keys.create(alias, "Ed25519")
    with pytest.raises(BadInputError):
        keys.create("b", "RSA")
    assert [r.alias for r in keys.list()] == ["a"]


def test_unknown_keys(keys: KeyProvider) -> None:
    for call in (keys.public_key, keys.current, keys.rotate, lambda k: keys.sign(k, b"")):
        with pytest.raises(NotFoundError):
            call("nobody")
    assert keys.list() == ()


def test_rotation_makes_the_former_key_verify_only(keys: KeyProvider, algorithm: str) -> None:
    first = keys.create("a", algorithm)
    signature = keys.sign(first.key_id, b"m")
    second = keys.rotate("a")
    assert (second.version, second.algorithm) == (2, algorithm)
    assert second.key_id != first.key_id
    assert keys.current("a") == second
    assert [r.state for r in keys.list()] == [KeyState.VERIFY_ONLY, KeyState.ACTIVE]
    with pytest.raises(KeyUnavailableError):
        keys.sign(first.key_id, b"m")
    spki = keys.public_key(first.key_id).spki_der
    assert algorithms.verify_signature(algorithm, spki, b"m", signature)
    assert keys.sign(second.key_id, b"m")


def test_another_algorithms_key_is_refused(keys: KeyProvider, algorithm: str) -> None:
    spki = keys.create("a", algorithm).public_key.spki_der
    with pytest.raises(BadInputError):
        algorithms.verify_signature("ML-DSA-87", spki, b"", b"")
    with pytest.raises(BadInputError):
        algorithms.verify_signature(algorithm, b"junk", b"", b"")


# From here on: the soft provider alone.


def test_production_is_refused_and_development_warned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def clock() -> datetime:
        return datetime.now(UTC)

    with pytest.raises(InsecureRefusedError):
        InsecureSoftKeys(tmp_path, clock, environment="production")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        provider = InsecureSoftKeys(tmp_path, clock, b"phrase", environment="development")
    assert [w.category for w in caught] == [InsecureKeysWarning]
    assert capsys.readouterr().out == ""
    assert provider.validation == "none"
    assert "phrase" not in repr(provider)


@pytest.mark.parametrize("text", ["Production", "PRODUCTION", "prod", "production ", "dev", " "])
def test_a_mistyped_environment_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadInputError, match="unknown environment") as caught:
        InsecureSoftKeys(tmp_path, lambda: datetime.now(UTC), environment=text)
    assert "development or production" in caught.value.hint
    assert parse_environment("") is parse_environment("development") is Environment.DEVELOPMENT
    assert parse_environment("production") is Environment.PRODUCTION


@pytest.mark.parametrize("passphrase", [None, b"a phrase"])
def test_a_lost_key_encryption_file_is_never_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, passphrase: bytes | None
) -> None:
    monkeypatch.setattr("quantumai.keys.providers.sealing_key._SCRYPT_LOG2_N", 14)
    record = _soft(tmp_path, passphrase).create("a", "Ed25519")
    saved = (tmp_path / FILE_NAME).read_bytes()
    (tmp_path / FILE_NAME).unlink()
    keys = _soft(tmp_path, passphrase)
    for call in (
        lambda: keys.sign(record.key_id, b"m"),
        lambda: keys.create("a", "Ed25519"),
        lambda: keys.create("b", "Ed25519"),
        lambda: keys.rotate("a"),
    ):
        with pytest.raises(KeyUnavailableError, match=f"{FILE_NAME} is missing") as caught:
            call()
        assert "restore" in caught.value.hint
        assert not (tmp_path / FILE_NAME).exists()
    assert keys.list() == (record,)
    (tmp_path / FILE_NAME).write_bytes(saved)
    (tmp_path / FILE_NAME).chmod(0o600)
    assert keys.sign(record.key_id, b"m")


@pytest.mark.parametrize("passphrase", [None, b"a phrase"])
def test_no_private_key_is_in_any_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, passphrase: bytes | None
) -> None:
    seeds = []

    def generate(algorithm: str) -> algorithms.PrivateKey:
        private = algorithms.from_seed(algorithm, os.urandom(32))
        seeds.append(private.private_bytes_raw())
        return private

    monkeypatch.setattr("quantumai.keys.providers.soft.generate", generate)
    keys = _soft(tmp_path, passphrase)
    for algorithm in algorithms.ALGORITHMS:
        alias = algorithm.lower()
        keys.create(alias, algorithm)
        keys.sign(keys.rotate(alias).key_id, b"m")
    assert len(seeds) == 2 * len(algorithms.ALGORITHMS)
    for path in (path for path in tmp_path.rglob("*") if path.is_file()):
        assert path.stat().st_mode & 0o777 == 0o600
        data = path.read_bytes()
        for seed in seeds:
            spelled = (seed, seed.hex().encode(), seed.hex().upper().encode())
            # base64 at all three alignments, without the ends that depend on neighbours
            shifted = [base64.b64encode(bytes(n) + seed)[4:-4] for n in range(3)]
            assert not any(form in data for form in (*spelled, *shifted))


def test_wrong_or_missing_passphrase(tmp_path: Path) -> None:
    record = _soft(tmp_path, b"right").create("a", "Ed25519")
    assert _soft(tmp_path, b"right").sign(record.key_id, b"m")
    for passphrase in (b"wrong", None):
        keys = _soft(tmp_path, passphrase)
        assert keys.list()[0].key_id == record.key_id
        with pytest.raises(KeyUnavailableError) as caught:
            keys.sign(record.key_id, b"m")
        assert "right" not in str(caught.value)
        with pytest.raises(KeyUnavailableError):
            keys.create("b", "Ed25519")
    stored = json.loads((tmp_path / FILE_NAME).read_bytes())
    assert (stored["n"], stored["r"], stored["p"]) == (2**17, 8, 1)


def test_a_passphrase_on_unprotected_keys_is_refused(tmp_path: Path) -> None:
    record = _soft(tmp_path).create("a", "Ed25519")
    with pytest.raises(KeyUnavailableError):
        _soft(tmp_path, b"phrase").sign(record.key_id, b"m")


@pytest.mark.parametrize("field", ["algorithm", "created_at", "spki", "nonce", "sealed"])
def test_a_tampered_key_file_does_not_sign(tmp_path: Path, field: str) -> None:
    _soft(tmp_path).create("a", "ML-DSA-65")
    other = _soft(tmp_path).create("b", "ML-DSA-87")
    path = tmp_path / "a" / "0001.json"
    value = json.loads(path.read_bytes())
    donor = json.loads((tmp_path / "b" / "0001.json").read_bytes())
    donor["created_at"] = "2020-01-01T00:00:00Z"
    path.write_text(json.dumps(value | {field: donor[field]}))
    keys = _soft(tmp_path)
    with pytest.raises(KeyUnavailableError):
        keys.sign(keys.current("a").key_id, b"m")
    if field != "spki":  # with b's public key in both files, the id is ambiguous
        assert keys.sign(other.key_id, b"m")


def test_a_key_file_under_another_name_is_refused(tmp_path: Path) -> None:
    keys = _soft(tmp_path)
    keys.create("a", "Ed25519")
    keys.create("b", "Ed25519")
    (tmp_path / "a" / "0001.json").replace(tmp_path / "b" / "0001.json")
    with pytest.raises(KeyUnavailableError):
        keys.current("b")


def test_files_open_to_others_are_refused(tmp_path: Path) -> None:
    record = _soft(tmp_path).create("a", "Ed25519")
    for path in (tmp_path / FILE_NAME, tmp_path / "a" / "0001.json"):
        path.chmod(0o640)
        with pytest.raises(KeyUnavailableError, match="open to other users"):
            _soft(tmp_path).sign(record.key_id, b"m")
        path.chmod(0o600)
    assert _soft(tmp_path).sign(record.key_id, b"m")


_RACE = """
import sys, warnings
from datetime import UTC, datetime
from pathlib import Path
warnings.simplefilter("ignore")
from quantumai.keys.providers.soft import InsecureSoftKeys
keys = InsecureSoftKeys(Path(sys.argv[1]), lambda: datetime.now(UTC))
made = [keys.create(f"k{n}", "Ed25519").key_id for n in range(20)]
for key_id in made:
    keys.sign(key_id, b"m")
print(*made)
"""


def test_two_processes_agree_on_one_key(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _RACE, str(tmp_path)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    first, second = (process.communicate()[0].split() for process in both)
    assert len(first) == 20
    assert first == second
