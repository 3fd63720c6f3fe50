"""`qai kms audit`: what it prints and how it exits, on a good log and on bad ones."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from quantumai.cli import kms_audit
from quantumai.errors import BadInputError, LedgerError
from quantumai.keys.audit.log import AuditLog
from quantumai.keys.management.records import KeyPurpose
from quantumai.provenance.sealing.sealer import Sealer
from quantumai.services import wiring
from tests.key_management import ALICE, new_database, standing_clock

pytestmark = pytest.mark.filterwarnings("ignore::quantumai.keys.providers.soft.InsecureKeysWarning")


class Home:
    """A home whose KMS has done something, and the command on it, which opens it anew."""

    def __init__(self, root: Path) -> None:
        self.root = root
        new_database(root / "quantumai.db").close()
        self.opened = wiring.open_home(root, {})
        self.kms = self.opened.open_kms()

    def seal(self) -> None:
        self.kms.of(ALICE).create("mine", "ML-DSA-44", KeyPurpose.RAW)
        self.sealer.ensure_ready()
        for number in range(3):
            self.kms.of(ALICE).sign("mine", b"%d" % number)

    @property
    def sealer(self) -> Sealer:
        return self.opened.open_sealer()

    @property
    def log(self) -> AuditLog:
        return self.kms.parts.audit

    def qai(self, *arguments: object) -> Result:
        return CliRunner().invoke(kms_audit.app, [str(each) for each in arguments])

    def rewrite(self, sql: str, *values: object) -> None:
        with sqlite3.connect(self.root / "quantumai.db") as connection:
            connection.execute(sql, values)

    def stored(self) -> tuple[dict[Path, bytes], list[str]]:
        """Every file, and every row as SQLite itself dumps it."""
        files = [path for path in self.root.rglob("*") if path.is_file()]
        kept = {path: path.read_bytes() for path in files if "quantumai.db" not in path.name}
        with sqlite3.connect(self.root / "quantumai.db") as connection:
            return kept, list(connection.iterdump())


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """A home that has sealed nothing."""
    monkeypatch.setattr(wiring, "utc_now", standing_clock)
    monkeypatch.setenv("QAI_HOME", str(tmp_path / "home"))
    home = Home(tmp_path / "home")
    with home.opened:
        yield home


@pytest.fixture
def home(fresh: Home) -> Home:
    fresh.seal()
    return fresh


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


@pytest.mark.parametrize("at", [0, 2, -1])
def test_a_row_that_is_no_text_is_named(home: Home, at: int) -> None:
    at %= home.log.size()
    home.rewrite("UPDATE kms_audit SET entry = CAST(x'ff' AS TEXT) WHERE sequence = ?", at)
    result = home.qai("verify")
    assert result.exit_code == kms_audit.LOG_WRONG, result.exception
    assert f"FAILED  changed: the first bad entry is entry {at}:" in result.output


def test_to_look_changes_nothing(home: Home, remembered: Path) -> None:
    # A key event that the ledger does not have yet: whoever seals next appends it.
    home.kms.of(ALICE).rotate("statement")
    home.rewrite("UPDATE kms_audit SET entry = replace(entry, 'local', 'other') WHERE sequence = 3")
    before = home.stored()
    assert home.qai("show").exit_code == 0
    for arguments in ([], ["--remembered", remembered]):
        assert home.qai("verify", *arguments).exit_code == kms_audit.LOG_WRONG
    assert isinstance(home.qai("checkpoint", "--out", home.root / "c").exception, LedgerError)
    assert home.stored() == before
    home.rewrite("UPDATE kms_audit SET entry = replace(entry, 'other', 'local') WHERE sequence = 3")
    assert home.qai("verify", "--remembered", remembered).exit_code == 0
    size = home.sealer.ledger.size()
    assert home.qai("checkpoint", "--out", remembered).exit_code == 0
    assert home.sealer.ledger.size() > size


def test_a_home_that_never_sealed_has_a_log_and_no_checkpoints(fresh: Home, tmp_path: Path) -> None:
    fresh.kms.of(ALICE).list()
    before = fresh.stored()
    found = json.loads(fresh.qai("verify", "--json").stdout)
    assert (found["ok"], found["size"], found["anchored"]) == (True, 1, 0)
    (tmp_path / "c").write_bytes(b"{}")
    assert fresh.qai("verify", "--remembered", tmp_path / "c").exit_code == kms_audit.LOG_WRONG
    assert fresh.qai("show").exit_code == 0
    assert fresh.stored() == before
    assert fresh.qai("checkpoint", "--out", tmp_path / "c").exit_code == 0
    assert fresh.qai("verify", "--remembered", tmp_path / "c").exit_code == 0


def test_a_database_that_was_put_back_to_before_all_keys_is_found(home: Home) -> None:
    for table in ("kms_audit", "kms_keys", "kms_names"):
        home.rewrite(f"DELETE FROM {table}")
    result = home.qai("verify")
    assert result.exit_code == kms_audit.LOG_WRONG
    assert "the run ledger has leaves, but its keys are not in the database" in result.output


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
