"""What the soft provider promises beside the contract: sealed files, a warning, no production."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import warnings
from datetime import UTC, datetime
from pathlib import Path

import pytest

from quantumai.errors import (
    BadInputError,
    ConflictError,
    InsecureRefusedError,
    KeyUnavailableError,
    NotFoundError,
)
from quantumai.keys.environment import Environment, parse_environment
from quantumai.keys.parameters import PARAMETER_SETS
from quantumai.keys.providers.sealing_key import FILE_NAME
from quantumai.keys.providers.soft import InsecureKeysWarning, InsecureSoftKeys
from quantumai.keys.software_keys import SoftwareKey, generate

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::quantumai.keys.providers.soft.InsecureKeysWarning"),
]


def _soft(folder: Path, passphrase: bytes | None = None) -> InsecureSoftKeys:
    return InsecureSoftKeys(folder, lambda: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), passphrase)


@pytest.fixture
def cheap_scrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quantumai.keys.providers.sealing_key._SCRYPT_LOG2_N", 14)


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


@pytest.mark.usefixtures("cheap_scrypt")
@pytest.mark.parametrize("passphrase", [None, b"a phrase"])
def test_a_lost_key_encryption_file_is_never_made_anew(
    tmp_path: Path, passphrase: bytes | None
) -> None:
    key = _soft(tmp_path, passphrase).generate("a/1", "Ed25519")
    saved = (tmp_path / FILE_NAME).read_bytes()
    (tmp_path / FILE_NAME).unlink()
    keys = _soft(tmp_path, passphrase)
    for call in (
        lambda: keys.sign("a/1", b"m"),
        lambda: keys.generate("a/1", "Ed25519"),
        lambda: keys.generate("b/1", "Ed25519"),
        keys.check,
    ):
        with pytest.raises(KeyUnavailableError, match=f"{FILE_NAME} is missing") as caught:
            call()
        assert "restore" in caught.value.hint
        assert not (tmp_path / FILE_NAME).exists()
    assert keys.keys() == (key,)
    (tmp_path / FILE_NAME).write_bytes(saved)
    (tmp_path / FILE_NAME).chmod(0o600)
    assert keys.sign("a/1", b"m")


@pytest.mark.usefixtures("cheap_scrypt")
@pytest.mark.parametrize("passphrase", [None, b"a phrase"])
def test_no_private_key_is_in_any_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, passphrase: bytes | None
) -> None:
    made: list[SoftwareKey] = []

    def observed(algorithm: str) -> SoftwareKey:
        made.append(generate(algorithm))
        return made[-1]

    monkeypatch.setattr("quantumai.keys.providers.soft.generate", observed)
    keys = _soft(tmp_path, passphrase)
    for algorithm in PARAMETER_SETS:
        keys.generate(f"{algorithm.lower()}/1", algorithm)
    assert len(made) == len(PARAMETER_SETS)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == len(made) + 1
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in files)
    everything = b"".join(path.read_bytes() for path in files)
    for private in made:
        # A secret that holds its public half has its private part first (SLH-DSA, ML-KEM-512).
        part = private.secret[:32]
        spelled = (part, part.hex().encode(), part.hex().upper().encode())
        # base64 at all three alignments, without the ends that depend on neighbours
        shifted = [base64.b64encode(bytes(n) + part)[4:-4] for n in range(3)]
        assert not any(form in everything for form in (*spelled, *shifted))
        assert part.hex() not in repr(private)
        assert str(part) not in repr(private)


def test_wrong_or_missing_passphrase(tmp_path: Path) -> None:
    key = _soft(tmp_path, b"right").generate("a/1", "Ed25519")
    assert _soft(tmp_path, b"right").sign("a/1", b"m")
    for passphrase in (b"wrong", None):
        keys = _soft(tmp_path, passphrase)
        assert keys.keys() == (key,)
        for call in (
            lambda keys=keys: keys.sign("a/1", b"m"),
            lambda keys=keys: keys.generate("b/1", "Ed25519"),
            keys.check,
        ):
            with pytest.raises(KeyUnavailableError) as caught:
                call()
            assert "right" not in str(caught.value)
    stored = json.loads((tmp_path / FILE_NAME).read_bytes())
    assert (stored["n"], stored["r"], stored["p"]) == (2**17, 8, 1)


def test_a_passphrase_on_unprotected_keys_is_refused(tmp_path: Path) -> None:
    _soft(tmp_path).generate("a/1", "Ed25519")
    with pytest.raises(KeyUnavailableError):
        _soft(tmp_path, b"phrase").sign("a/1", b"m")


@pytest.mark.parametrize("field", ["algorithm", "created_at", "spki", "nonce", "sealed"])
def test_a_tampered_key_file_does_not_sign(tmp_path: Path, field: str) -> None:
    keys = _soft(tmp_path)
    keys.generate("a/1", "ML-DSA-65")
    keys.generate("b/1", "ML-DSA-87")
    assert keys.sign("a/1", b"m")  # from now on it holds the key opened
    path = tmp_path / "a" / "0001.json"
    value = json.loads(path.read_bytes())
    donor = json.loads((tmp_path / "b" / "0001.json").read_bytes())
    donor["created_at"] = "2020-01-01T00:00:00Z"
    path.write_text(json.dumps(value | {field: donor[field]}))
    for provider in (keys, _soft(tmp_path)):
        with pytest.raises(KeyUnavailableError):
            provider.sign("a/1", b"m")
        assert provider.sign("b/1", b"m")


@pytest.mark.parametrize("text", ["", "{}", "null", '{"schema": 1}'])
def test_a_damaged_key_file_is_named(tmp_path: Path, text: str) -> None:
    keys = _soft(tmp_path)
    keys.generate("a/1", "Ed25519")
    (tmp_path / "a" / "0001.json").write_text(text)
    with pytest.raises(KeyUnavailableError, match="key a/1 is damaged"):
        keys.find("a/1")


def test_a_key_file_under_another_name_is_refused(tmp_path: Path) -> None:
    keys = _soft(tmp_path)
    keys.generate("a/1", "Ed25519")
    keys.generate("b/1", "Ed25519")
    (tmp_path / "a" / "0001.json").replace(tmp_path / "b" / "0001.json")
    with pytest.raises(KeyUnavailableError, match="belongs to another key"):
        keys.find("b/1")


def test_files_open_to_others_are_refused(tmp_path: Path) -> None:
    _soft(tmp_path).generate("a/1", "Ed25519")
    for path in (tmp_path / FILE_NAME, tmp_path / "a" / "0001.json"):
        path.chmod(0o640)
        with pytest.raises(KeyUnavailableError, match="open to other users"):
            _soft(tmp_path).sign("a/1", b"m")
        path.chmod(0o600)
    assert _soft(tmp_path).sign("a/1", b"m")


def test_foreign_files_in_the_folder_are_no_keys(tmp_path: Path) -> None:
    keys = _soft(tmp_path)
    keys.generate("a/1", "Ed25519")
    for name in ("a/0000.json", "a/01.json", "a/000002.json", "Not A Name/0001.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    [key] = keys.keys()
    assert key.handle == "a/1"


def test_destruction_leaves_no_name_of_the_file(tmp_path: Path) -> None:
    """A maker who is killed between link and unlink leaves a second name of the sealed key."""
    keys = _soft(tmp_path)
    keys.generate("a/1", "Ed25519")
    os.link(tmp_path / "a" / "0001.json", tmp_path / "a" / ".tmp-17-0a1b2c")
    (tmp_path / "a" / ".tmp-18-ffffff").write_text("another maker's, at work")
    keys.destroy("a/1")
    assert [path.name for path in (tmp_path / "a").iterdir()] == [".tmp-18-ffffff"]


def test_a_handle_that_another_key_took_is_not_served_from_memory(tmp_path: Path) -> None:
    keys, elsewhere = _soft(tmp_path), _soft(tmp_path)
    keys.generate("a/1", "Ed25519")
    assert elsewhere.sign("a/1", b"m")
    keys.destroy("a/1")
    with pytest.raises(NotFoundError):
        elsewhere.sign("a/1", b"m")
    keys.generate("a/1", "ECDSA-P256")
    assert len(elsewhere.sign("a/1", b"m")) != 64
    with pytest.raises(ConflictError):
        elsewhere.generate("a/1", "Ed25519")


_RACE = """
import sys, warnings
from datetime import UTC, datetime
from pathlib import Path
warnings.simplefilter("ignore")
from quantumai.keys.providers.soft import InsecureSoftKeys
keys = InsecureSoftKeys(Path(sys.argv[1]), lambda: datetime.now(UTC))
made = [keys.generate(f"k{n}/1", "Ed25519").public_key.key_id for n in range(20)]
for n in range(20):
    keys.sign(f"k{n}/1", b"m")
print(*made)
"""


def test_two_processes_agree_on_one_key(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _RACE, str(tmp_path)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    first, second = (process.communicate()[0].split() for process in both)
    assert len(first) == 20
    assert first == second
