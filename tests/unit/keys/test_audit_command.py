"""`qai kms audit`: what it prints and how it exits, on a good log and on bad ones."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from quantumai.cli import kms_audit
from quantumai.errors import BadInputError, LedgerError
from quantumai.keys.audit.log import AuditLog
from quantumai.keys.management.records import KeyPurpose
from quantumai.provenance.sealing import Sealer, open_sealer
from quantumai.storage.local_objects import LocalObjects
from tests.key_management import ALICE, soft_kms, standing_clock


class Home:
    """A home whose KMS has done something, and the command on it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.kms = soft_kms(root)
        self.sealer: Sealer = open_sealer(
            self.kms.internal(), LocalObjects(root / "objects"), standing_clock
        )
        self.kms.of(ALICE).create("mine", "ML-DSA-44", KeyPurpose.RAW)
        for number in range(3):
            self.kms.of(ALICE).sign("mine", b"%d" % number)

    @property
    def log(self) -> AuditLog:
        return self.kms.parts.audit

    @contextmanager
    def open(self) -> Iterator[tuple[Any, Any]]:
        # What was once in the memory of a process says nothing of what another one finds.
        yield AuditLog(self.kms.parts.database, standing_clock), self.sealer.audit_anchor

    def qai(self, *arguments: object) -> Result:
        return CliRunner().invoke(kms_audit.app, [str(each) for each in arguments])

    def rewrite(self, sql: str, *values: object) -> None:
        with sqlite3.connect(self.root / "kms.db") as connection:
            connection.execute(sql, values)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    home = Home(tmp_path / "home")
    monkeypatch.setattr(kms_audit, "_open", home.open)
    return home


@pytest.fixture
def remembered(home: Home) -> Path:
    path = home.root / "checkpoint"
    assert home.qai("checkpoint", "--out", path).exit_code == 0
    return path


def test_show_lists_the_newest_calls(home: Home) -> None:
    text = home.qai("show", "--limit", 3).output
    assert text.count("mine/1") == 3
    assert f"3 of {home.log.size()} entries" in text
    entries = json.loads(home.qai("show", "--limit", 1000, "--json").stdout)
    assert [entry["sequence"] for entry in entries] == list(range(home.log.size()))
    assert entries[-1]["principal"] == "alice"
    home.rewrite("UPDATE kms_audit SET entry = '\x1b[2J' WHERE sequence = 1")
    shown = home.qai("show", "--limit", 1000)
    assert (shown.exit_code, "\x1b" in shown.output) == (0, False)
    assert "damaged" in shown.output


def test_a_good_log_is_ok_and_its_freshness_is_not_checked(home: Home) -> None:
    home.sealer.ledger.append([home.sealer.audit_leaf()])
    result = home.qai("verify")
    assert result.exit_code == 0
    assert "freshness: not checked" in result.output.splitlines()
    assert result.output.splitlines()[-1].startswith("ok")
    found = json.loads(home.qai("verify", "--json").stdout)
    assert (found["ok"], found["freshness"], found["first_bad"]) == (True, "not checked", None)
    assert found["anchored"] >= 1
    assert 0 < found["proven"] < found["size"] == home.log.size()


def test_a_remembered_checkpoint_proves_freshness(home: Home, remembered: Path) -> None:
    size = home.log.size()
    home.kms.of(ALICE).sign("mine", b"more")
    result = home.qai("verify", "--remembered", remembered)
    assert result.exit_code == 0
    assert f"freshness: holds the {size} entries of 2026-03-04T05:06:07Z" in result.output
    assert f"proven by checkpoints: the first {size} entries" in result.output


@pytest.mark.parametrize("at", [0, 3, -2])
def test_a_changed_entry_is_named(home: Home, remembered: Path, at: int) -> None:
    at %= home.log.size()
    home.rewrite(
        "UPDATE kms_audit SET entry = replace(entry, 'local', 'other') WHERE sequence = ?", at
    )
    for arguments in ([], ["--remembered", remembered]):
        result = home.qai("verify", *arguments)
        assert result.exit_code == kms_audit.LOG_WRONG == LedgerError.exit_code
        if arguments or at < home.log.size() - 2:
            assert f"FAILED  changed: the first bad entry is entry {at}:" in result.output
        assert result.output.splitlines()[-1] == "NOT ok"


def test_a_log_that_was_put_back_needs_a_remembered_checkpoint(
    home: Home, remembered: Path
) -> None:
    size = home.log.size()
    home.rewrite("DELETE FROM kms_audit WHERE sequence >= ?", size - 2)
    result = home.qai("verify")
    assert (result.exit_code, "freshness: not checked" in result.output) == (0, True)
    result = home.qai("verify", "--remembered", remembered)
    assert result.exit_code == kms_audit.LOG_WRONG
    assert f"entry {size - 2} is gone" in result.output
    assert "freshness: not given" in result.output
    found = json.loads(home.qai("verify", "--remembered", remembered, "--json").stdout)
    assert found["first_bad"]["fault"] == "truncated"
    assert found["first_bad"]["last"] == size - 2


@pytest.mark.parametrize("sql", ["sequence > 2", "sequence = 2"])
def test_an_anchored_checkpoint_finds_it_and_nobody_vouches_for_it(home: Home, sql: str) -> None:
    home.sealer.ledger.append([home.sealer.audit_leaf()])
    home.rewrite(f"DELETE FROM kms_audit WHERE {sql}")
    assert home.qai("verify").exit_code == kms_audit.LOG_WRONG
    result = home.qai("checkpoint", "--out", home.root / "c")
    assert isinstance(result.exception, LedgerError)
    assert not (home.root / "c").exists()


def test_damage_that_hides_the_log_is_a_finding(home: Home, remembered: Path) -> None:
    home.rewrite("INSERT INTO kms_audit VALUES ('x', '')")
    result = home.qai("verify", "--json")
    assert result.exit_code == kms_audit.LOG_WRONG
    assert json.loads(result.stdout)["size"] is None
    home.rewrite("DELETE FROM kms_audit WHERE sequence = 'x'")
    for path in (home.root / "objects" / "audit-checkpoints").iterdir():
        path.unlink()
    result = home.qai("verify", "--remembered", remembered)
    assert result.exit_code == kms_audit.LOG_WRONG
    assert "is in the ledger but missing" in result.output
    assert "freshness: holds" in result.output


def test_a_file_that_is_no_checkpoint_is_bad_input(home: Home, remembered: Path) -> None:
    for data, error in (
        (b"{}", BadInputError),
        (b"x" * 2**18, BadInputError),
        (remembered.read_bytes().replace(b'"sig":"', b'"sig":"AAAA'), LedgerError),
    ):
        path = home.root / "other"
        path.write_bytes(data)
        assert isinstance(home.qai("verify", "--remembered", path).exception, error)
    gone = home.root / "no" / "such"
    assert isinstance(home.qai("verify", "--remembered", gone).exception, BadInputError)
    assert isinstance(home.qai("checkpoint", "--out", gone).exception, BadInputError)
