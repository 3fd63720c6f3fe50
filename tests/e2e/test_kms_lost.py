"""A home whose database was rolled back, or whose token is away: it refuses, and can be read."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.e2e.qai_command import TFIM, Ended, qai, qai_process
from tests.tokens import token_library

_JOB = ("run", TFIM, "--observable", "ZZIIII", "--shots", 100, "--json")


@pytest.mark.slow
def test_a_database_that_was_rolled_back_is_not_vouched_for(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert qai(*_JOB, home=home).code == 0
    shutil.copy(home / "quantumai.db", tmp_path / "older.db")
    create = ("kms", "keys", "create", "later", "--algorithm", "Ed25519", "--purpose", "raw")
    assert qai(*create, home=home).code == 0
    assert qai(*_JOB, home=home).code == 0
    for leftover in home.glob("quantumai.db-*"):
        leftover.unlink()
    newer = (home / "quantumai.db").read_bytes()
    shutil.copy(tmp_path / "older.db", home / "quantumai.db")
    before = sorted((home / "objects").rglob("*"))
    refused = qai(*_JOB, home=home)
    assert refused.code == 6, refused.err
    assert "were vouched for" in refused.err
    assert sorted((home / "objects").rglob("*")) == before
    assert qai("kms", "audit", "verify", home=home).code == 6
    (home / "quantumai.db").write_bytes(newer)
    for leftover in home.glob("quantumai.db-*"):
        leftover.unlink()
    assert qai("kms", "audit", "verify", home=home).code == 0
    assert qai(*_JOB, home=home).code == 0

    (home / "quantumai.db").write_bytes(b"")
    for leftover in home.glob("quantumai.db-*"):
        leftover.unlink()
    empty = qai("kms", "keys", "list", home=home)
    assert (empty.code, "its database quantumai.db is gone" in empty.err) == (1, True)


@pytest.mark.integration
@pytest.mark.slow
def test_a_token_that_is_away_is_not_replaced_and_all_can_be_looked_at(tmp_path: Path) -> None:
    home, moved = tmp_path / "home", tmp_path / "moved"

    def run(where: Path, *arguments: object) -> Ended:
        environment = {"QAI_HOME": str(where), "HOME": os.environ["HOME"]}
        return qai_process(*arguments, environment=environment)

    assert run(home, "kms", "token", "init", "--library", token_library("kryoptic")).code == 0
    job = run(home, *_JOB).json["job_id"]
    create = ("kms", "keys", "create", "k", "--algorithm", "Ed25519", "--purpose", "raw")
    shutil.copytree(home, moved)
    (home / "token").rename(tmp_path / "token.off")
    for where, why in ((home, "this home's token is gone"), (moved, "this token was set up in")):
        for refused in (create, _JOB):
            done = run(where, *refused)
            assert (done.code, why in done.err) == (1, True), done.err
        assert not (where / "keys").exists()  # where soft keys would be
        for look in (("manifest", "verify", job), ("ledger", "verify"), ("trust", "export"),
                     ("kms", "audit", "verify"), ("kms", "keys", "list")):  # fmt: skip
            assert run(where, *look).code == 0, look
    (tmp_path / "token.off").rename(home / "token")
    assert run(home, *create).code == 0
    assert run(home, "kms", "doctor").code == 0
