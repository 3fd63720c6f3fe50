"""A home's token: initialised once, shown by several slots, its PIN from wherever it is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from quantumai.errors import BadInputError, ConflictError, KeyUnavailableError
from quantumai.keys.providers.pkcs11 import Pkcs11Keys
from quantumai.keys.providers.pkcs11_library import finalize_library
from quantumai.keys.providers.token_settings import TokenSettings, read_settings
from quantumai.keys.providers.token_setup import initialise_token
from quantumai.services import home_token
from quantumai.services.home_token import FOLDER, default_library, has_token, init_home_token
from tests.tokens import TOKENS, new_token, token_keys, token_library

pytestmark = pytest.mark.integration


def _keys(root: Path) -> Pkcs11Keys:
    return token_keys(read_settings(root / FOLDER), root / FOLDER)


@pytest.mark.parametrize("kind", TOKENS)
def test_a_home_gets_a_token_of_its_own(tmp_path: Path, kind: str) -> None:
    settings = init_home_token(tmp_path, token_library(kind))
    assert has_token(tmp_path)
    assert read_settings(tmp_path / FOLDER) == settings
    keys = _keys(tmp_path)
    keys.generate("a/1", "Ed25519")
    name = "kryoptic" if kind == "kryoptic" else "SoftHSM2"
    assert keys.validation.startswith(f"none certified: {name}, a software token")
    assert keys.validation.endswith("no CMVP certificate is claimed")
    assert ("with vectors" in keys.validation) == (kind == "kryoptic")
    # SoftHSM2 has one slot for a token.
    expected = 2 if kind == "kryoptic" else 1
    status = keys.status()
    assert (status.slots, status.sessions, status.keys) == (expected, expected, 1)
    signatures = [keys.sign("a/1", b"m") for _ in range(2)]
    assert signatures[0] == signatures[1]
    pin = (tmp_path / FOLDER / "pin").read_bytes().strip()
    assert len(pin) == 32
    for path in (tmp_path / FOLDER).rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
        assert path.name == "pin" or not path.is_file() or pin not in path.read_bytes(), path
    with pytest.raises(ConflictError, match="has a token already"):
        init_home_token(tmp_path, token_library(kind))
    assert keys.sign("a/1", b"m") == signatures[0]


@pytest.mark.parametrize("slots", [1, 4])
def test_as_many_slots_show_the_token_as_were_asked_for(tmp_path: Path, slots: int) -> None:
    init_home_token(tmp_path, token_library("kryoptic"), slots=slots)
    keys = _keys(tmp_path)
    assert keys.status().slots == slots
    key = keys.generate("a/1", "ECDSA-P384")
    with keys._token.in_every_slot() as sessions:
        assert len({session.token.slot.slot_id for session in sessions}) == slots
    assert keys.find("a/1") == key


@pytest.mark.parametrize("source", ["file", "command", "fd"])
def test_the_pin_can_come_from_elsewhere(tmp_path: Path, source: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("a-pin-from-elsewhere\n")
    elsewhere.chmod(0o600)
    descriptors = [os.open(elsewhere, os.O_RDONLY) for _ in range(2)]
    pin = {"file": f"file:{elsewhere}", "command": f"command:cat '{elsewhere}'"}
    home = tmp_path / "home"
    settings = init_home_token(
        home, token_library("kryoptic"), pin=pin.get(source, f"fd:{descriptors[0]}")
    )
    assert not (home / FOLDER / "pin").exists()
    if source == "fd":
        # Another process is handed a descriptor of its own.
        (home / FOLDER / "token.toml").write_text(
            (home / FOLDER / "token.toml").read_text().replace(settings.pin, f"fd:{descriptors[1]}")
        )
    finalize_library(settings.library)
    assert _keys(home).generate("a/1", "Ed25519")
    for path in home.rglob("*"):
        assert not path.is_file() or b"a-pin-from-elsewhere" not in path.read_bytes()


def test_what_cannot_be_is_refused_and_leaves_no_token(tmp_path: Path) -> None:
    library = token_library("kryoptic")
    for wrong in ({"slots": 0}, {"slots": 65}, {"pin": "env:PIN"}, {"pin": "file:missing"}):
        with pytest.raises((BadInputError, KeyUnavailableError)):
            init_home_token(tmp_path / "home", library, **wrong)  # type: ignore[arg-type]
    assert not has_token(tmp_path / "home")
    (tmp_path / "home" / "keys").mkdir()
    with pytest.raises(BadInputError, match="keys are not moved"):
        init_home_token(tmp_path / "home", library)
    assert not has_token(tmp_path / "home")


def test_a_token_in_use_is_never_initialised_again(tmp_path: Path) -> None:
    settings = new_token("kryoptic", tmp_path / "token", slots=2)
    key = token_keys(settings, tmp_path / "token").generate("a/1", "Ed25519")
    finalize_library(settings.library)
    with pytest.raises(KeyUnavailableError, match="still to be initialised"):
        initialise_token(Path(settings.library), settings.environment, "other", "another-pin")
    assert token_keys(settings, tmp_path / "token").find("a/1") == key


def test_a_label_that_no_slot_shows_is_said(tmp_path: Path) -> None:
    made = new_token("kryoptic", tmp_path / "token")
    other = TokenSettings(made.library, "another", made.pin, made.environment)
    with pytest.raises(KeyUnavailableError, match="no slot shows a token named another"):
        token_keys(other, tmp_path / "token").check()


def test_the_library_is_the_built_one_or_the_packaged_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(home_token, "packaged_library", lambda: None)
    with pytest.raises(BadInputError, match="no token library was built or installed"):
        default_library()
    monkeypatch.setattr(home_token, "packaged_library", lambda: tmp_path / "packaged.so")
    assert default_library() == tmp_path / "packaged.so"
    built = tmp_path / "quantumai" / "token" / "current" / "libkryoptic_pkcs11.so"
    built.parent.mkdir(parents=True)
    built.touch()
    assert default_library() == built.resolve()
