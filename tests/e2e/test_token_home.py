"""A home that signs with a token: made, used, checked and replayed by separate processes."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.e2e.qai_command import TFIM, Ended, qai_process
from tests.tokens import TOKENS, token_library

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("token-home") / "qai"


def _qai(home: Path, *arguments: object) -> Ended:
    environment = {"QAI_HOME": str(home), "HOME": os.environ["HOME"]}
    return qai_process(*arguments, environment=environment)


def test_a_job_signed_by_the_token_verifies_and_replays(home: Path, tmp_path: Path) -> None:
    said = []

    def ok(*arguments: object) -> Ended:
        done = _qai(home, *arguments)
        assert done.code == 0, done.err
        said.append(done.out + done.err)
        return done

    ok("kms", "token", "init", "--library", token_library("kryoptic"))
    run = ok("run", TFIM, "--observable", "ZZIIII", "--shots", 500, "--json")
    assert "in software" not in run.err
    job = run.json["job_id"]
    assert run.json["verified"]
    ok("manifest", "verify", job)
    ok("ledger", "verify")
    assert "bit for bit" in ok("replay", job).out
    (status,) = ok("kms", "token", "status", "--json").json["providers"]
    assert status["token"]["manufacturer"] == "Kryoptic Project"
    assert status["keys"] == 5
    assert "no CMVP certificate" in status["validation"]

    assert not (home / "keys").exists()  # where soft keys would be
    pin_file = home / "token" / "pin"
    pin = pin_file.read_bytes().strip()
    assert len(pin) == 32
    assert pin.decode() not in "".join(said)
    for path in (path for path in home.rglob("*") if path.is_file() and path != pin_file):
        assert pin not in path.read_bytes(), path
    for path in [home / "token", *(home / "token").rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path

    copy = tmp_path / "copy"
    shutil.copytree(home, copy)
    refused = _qai(copy, "run", TFIM, "--observable", "ZZIIII", "--shots", 100)
    assert refused.code == 1
    assert "this token was set up in" in refused.err
    assert _qai(home, "ledger", "verify").code == 0


def test_a_second_token_and_a_home_with_soft_keys_are_refused(home: Path, tmp_path: Path) -> None:
    library = token_library("kryoptic")
    again = _qai(home, "kms", "token", "init", "--library", library)
    assert again.code == 1
    assert "has a token already" in again.err
    soft = tmp_path / "soft"
    job = (TFIM, "--observable", "ZZIIII", "--shots", 100)
    assert _qai(soft, "run", *job).code == 0
    refused = _qai(soft, "kms", "token", "init", "--library", library)
    assert refused.code == 2
    assert "keys are not moved" in refused.err
    assert "provider    soft" in _qai(soft, "kms", "token", "status").out
    assert _qai(soft, "ledger", "verify").code == 0


def test_a_classical_token_cannot_sign_for_a_home(tmp_path: Path) -> None:
    """The ledger and the manifests need ML-DSA; a clear sentence, not a fall-back."""
    home = tmp_path / "home"
    library = token_library(TOKENS[1])
    assert _qai(home, "kms", "token", "init", "--library", library).code == 0
    (status,) = _qai(home, "kms", "token", "status", "--json").json["providers"]
    assert status["capabilities"]["ML-DSA-65"] == "no"
    refused = _qai(home, "run", TFIM, "--observable", "ZZIIII", "--shots", 100)
    assert refused.code == 2
    assert "provider pkcs11 makes no ML-DSA" in refused.err


def test_an_interrupted_initialisation_is_begun_anew(tmp_path: Path) -> None:
    home = tmp_path / "home"
    library = token_library("kryoptic")
    assert _qai(home, "kms", "token", "init", "--library", library).code == 0
    former = (home / "token" / "pin").read_bytes()
    (home / "token" / "token.toml").unlink()  # it is written last
    assert _qai(home, "kms", "token", "init", "--library", library).code == 0
    assert (home / "token" / "pin").read_bytes() != former
    assert _qai(home, "kms", "token", "status").code == 0


def test_a_missing_library_is_said(tmp_path: Path) -> None:
    done = _qai(tmp_path, "kms", "token", "init", "--library", tmp_path / "kryoptic.so")
    assert (done.code, done.err.count("\n")) == (2, 2)
    wrong = _qai(tmp_path, "kms", "token", "init", "--library", sys.executable)
    assert wrong.code == 2
