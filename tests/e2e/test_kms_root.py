"""The root on a token of its own: made, taken away, brought back in an emergency."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.e2e.qai_command import TFIM, Ended, qai_process
from tests.tokens import token_library

pytestmark = [pytest.mark.integration, pytest.mark.slow]
_JOB = ("run", TFIM, "--observable", "ZZIIII", "--shots", 100, "--json")
_APPROVAL_NEEDED = 11


def test_an_emergency_with_the_root_and_two_principals(tmp_path: Path) -> None:
    home, disk, gone = tmp_path / "home", tmp_path / "disk", tmp_path / "gone"

    def qai(*arguments: object, code: int = 0) -> Ended:
        environment = {"QAI_HOME": str(home), "HOME": os.environ["HOME"]}
        done = qai_process(*arguments, environment=environment)
        assert done.code == code, done.out + done.err
        return done

    library = token_library("kryoptic")
    qai("kms", "token", "init", "--library", library)
    job = qai(*_JOB).json["job_id"]
    assert "no root" in qai("kms", "root", "show", code=2).err
    inside = qai("kms", "root", "init", home / "root", "--library", library, code=2)
    assert "must not lie in the home" in inside.err
    pin = tmp_path / "pin"
    pin.touch(0o600)
    pin.write_text("the-pin-of-the-root\n")
    made = qai(
        "kms", "root", "init", disk, "--library", library, "--pin", f"file:{pin}", "--json"
    ).json
    assert not list(disk.rglob("pin"))
    assert made["algorithm"] == "SLH-DSA-SHA2-256s"
    assert qai("kms", "root", "show", "--json").json["key_id"] == made["key_id"]
    qai("kms", "root", "init", tmp_path / "second", "--library", library, code=1)

    disk.rename(gone)
    emergency = ("kms", "root", "emergency-rotate", "statement", "--root")
    assert "no root token" in qai(*emergency, disk, "--as", "alice", code=2).err
    # It comes back, on another disk and under another name.
    disk = tmp_path / "media" / "usb"
    disk.parent.mkdir()
    gone.rename(disk)
    qai(*emergency, disk, "--as", "alice", code=_APPROVAL_NEEDED)
    qai("manifest", "verify", job)
    assert qai(*emergency, disk, "--as", "bob", "--json").json["version"] == 2

    # Logged before the emergency, the first manifest still counts; the thief's would not.
    qai("manifest", "verify", job)
    states = {key["version"]: key["state"] for key in qai("kms", "keys", "list", "--json").json
              if key["name"] == "statement"}  # fmt: skip
    assert states == {1: "compromised", 2: "active"}
    qai("manifest", "verify", qai(*_JOB).json["job_id"])
    qai("ledger", "verify")
    qai("kms", "audit", "verify")
