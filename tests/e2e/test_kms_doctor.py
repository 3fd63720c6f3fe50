"""`qai kms doctor` on a home: what it says, what it mends, and how it exits."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

from quantumai.errors import KeyUnavailableError
from quantumai.keys.management.records import Caller, KeyPurpose
from quantumai.services.wiring import open_home
from tests.e2e.qai_command import qai


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a key whose creation was broken off, and a key that nobody knows of."""
    root = tmp_path / "home"
    with warnings.catch_warnings(), open_home(root, {}) as opened:
        warnings.simplefilter("ignore")
        kms = opened.open_kms()
        (provider,) = kms.parts.providers.values()
        generate = provider.generate

        def dies(handle: str, algorithm: str) -> Any:
            generate(handle, algorithm)
            raise KeyUnavailableError("died here")

        provider.generate = dies  # type: ignore[method-assign]
        with pytest.raises(KeyUnavailableError):
            kms.of(Caller("local", "alice")).create("release", "Ed25519", KeyPurpose.RAW)
        generate("stray/1", "Ed25519")
    return root


def test_it_looks_mends_and_destroys_only_what_it_is_told_to(home: Path) -> None:
    seen = qai("kms", "doctor", "--json", home=home)
    assert (seen.code, seen.json["ok"], seen.json["tried"]) == (1, False, [])
    unfinished, orphan = seen.json["findings"]
    assert (unfinished["kind"], orphan["kind"]) == ("unfinished", "orphan")
    assert "key release/1" in unfinished["detail"]
    assert orphan["handle"] == "stray/1"

    mended = qai("kms", "doctor", "--repair", home=home)
    assert mended.code == 1
    assert f"soft {unfinished['handle']}, unfinished: mended" in mended.out
    assert "stray/1" in mended.out
    assert "1 left" in mended.out

    clear = ("kms", "doctor", "--repair", "--destroy-orphans", "--as")
    assert "noted for alice" in qai(*clear, "alice", home=home).out
    cleared = qai(*clear, "bob", home=home)
    assert (cleared.code, cleared.out.splitlines()[-1]) == (0, "register and providers agree")
    again = qai("kms", "doctor", "--json", home=home)
    assert (again.code, again.json) == (0, {"ok": True, "tried": [], "findings": []})
    listed = qai("kms", "keys", "list", "--json", home=home)
    assert '"release"' in listed.out
    assert "stray" not in listed.out
    assert qai("kms", "audit", "verify", home=home).code == 0


def test_orphans_are_not_destroyed_by_a_mere_look(home: Path) -> None:
    refused = qai("kms", "doctor", "--destroy-orphans", home=home)
    assert refused.code == 2
    assert "needs --repair" in refused.err


def test_looking_makes_no_home(tmp_path: Path) -> None:
    assert qai("kms", "doctor", home=tmp_path / "none").code == 2
    assert not (tmp_path / "none").exists()
