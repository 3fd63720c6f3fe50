"""`qai kms approvers` and --approval: each approver signs with a key in a home of their own."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from quantumai.services.wiring import open_home
from tests.e2e.kms_desk import Desk
from tests.e2e.qai_command import Ended

pytestmark = pytest.mark.slow

BAD_INPUT, APPROVAL_NEEDED, DENIED = 2, 11, 12
APPROVERS = ("alice", "bob", "carol")


class Table(Desk):
    """A home that is managed together, and one for each approver with a raw key `mine`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        super().__init__(folder)
        self.own: dict[str, Desk] = {}

    def approver(self, name: str) -> Path:
        """Make the home of an approver; its public key."""
        (self.folder / name).mkdir()
        self.own[name] = Desk(self.folder / name)
        self.own[name].create("mine", "ML-DSA-44" if name != "bob" else "SLH-DSA-SHA2-128f")
        self.own[name].pem("mine")
        return self.folder / name / "pem"

    def approved(self, name: str, *command: object) -> Ended:
        """Let an approver see what to sign, sign it at home, and run the command."""
        asked, own = self.folder / name / "asked", self.own[name]
        self.ok(*command, "--as", name, "--approval-request", asked)
        own.ok("sign", "mine", asked, "--out", self.folder / name / "approval")
        return self.kms(*command, "--as", name, "--approval", self.folder / name / "approval")

    def by_both(self, *command: object) -> None:
        assert self.approved("alice", *command).code == APPROVAL_NEEDED
        done = self.approved("bob", *command)
        assert done.code == 0, done.err


@pytest.fixture
def table(tmp_path: Path) -> Table:
    made = Table(tmp_path / "table")
    made.create("release")
    for name in ("alice", "bob"):
        made.ok("approvers", "add", name, "--public-key", made.approver(name))
    return made


def test_keys_end_by_two_signatures_and_not_by_two_names(table: Table) -> None:
    listed = table.ok("approvers", "list", "--json").json
    assert listed["signatures_needed"] is True
    assert [a["principal"] for a in listed["approvers"]] == ["alice", "bob"]

    destroy = ("keys", "destroy", "release", "--version", 1)
    for name in APPROVERS:
        refused = table.kms(*destroy, "--as", name)
        assert refused.code == DENIED
    assert "--approval-request" in table.kms(*destroy, "--as", "bob").err

    first = table.approved("alice", *destroy)
    assert first.code == APPROVAL_NEEDED
    assert "--as OTHER --approval SIG" in first.err
    stolen = table.folder / "alice" / "approval"
    assert table.kms(*destroy, "--as", "bob", "--approval", stolen).code == DENIED
    assert table.state("release") == "active"
    assert table.approved("bob", *destroy).code == 0
    assert table.state("release") == "destroy-scheduled"
    table.by_both("keys", "compromised", "release", "--version", 1)
    assert table.state("release") == "compromised"
    assert table.kms("audit", "verify").code == 0


def test_policy_and_approvers_are_changed_by_signatures(table: Table) -> None:
    policy = table.folder / "policy.json"
    policy.write_text('{"uses_per_minute": 9}')
    table.by_both("keys", "policy", "release", "--set", policy)
    assert table.ok("keys", "policy", "release").json["uses_per_minute"] == 9

    add = ("approvers", "add", "carol", "--public-key", table.approver("carol"))
    assert table.kms(*add, "--as", "alice").code == DENIED
    table.by_both(*add)
    found = table.ok("approvers", "list", "--json").json["approvers"]
    carol = found[2]["public_key"]["key_id"]
    assert carol in table.ok("approvers", "list").out
    table.by_both("approvers", "remove", "carol", "--key-id", carol)
    assert len(table.ok("approvers", "list", "--json").json["approvers"]) == 2


def test_orphans_are_destroyed_by_signatures(table: Table) -> None:
    with warnings.catch_warnings(), open_home(table.home, {}) as home:
        warnings.simplefilter("ignore")
        (provider,) = home.open_kms().parts.providers.values()
        for handle in ("stray/1", "stray/2"):
            provider.generate(handle, "Ed25519")
    clear = ("doctor", "--repair", "--destroy-orphans")
    asked = table.folder / "asked"
    unclear = table.kms(*clear, "--as", "alice", "--approval-request", asked)
    assert (unclear.code, "say which" in unclear.err) == (BAD_INPUT, True)
    assert "noted for alice" in table.approved("alice", *clear, "--orphan", "stray/1").out
    assert "1 left" in table.approved("bob", *clear, "--orphan", "stray/1").out
    assert "not approved" in table.kms(*clear, "--as", "bob").out
    assert "stray/2" in table.kms("doctor").out


def test_a_request_does_nothing_and_says_what_is_signed(table: Table) -> None:
    entries = table.ok("audit", "show", "--json").out
    asked = table.folder / "asked"
    destroy = ("keys", "destroy", "release", "--as", "alice")
    said = table.ok(*destroy, "--approval-request", asked)
    for words in ("destroy of release/1", '{"waiting_days": 7}', "alice, on "):
        assert words in said.out
    assert asked.read_bytes().startswith(b"DSSEv1 28 application/vnd.in-toto+json ")
    written = table.ok(*destroy, "--approval-request", asked, "--json").json
    assert written["statement"]["predicate"]["principal"] == "alice"
    assert table.ok("audit", "show", "--json").out == entries
    assert table.state("release") == "active"


def test_what_cannot_be_used_is_said_in_one_line(table: Table) -> None:
    classical = ed25519.Ed25519PrivateKey.generate().public_key()
    pem, empty = table.folder / "classical.pem", table.folder / "empty"
    pem.write_bytes(classical.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    empty.touch()
    destroy = ("keys", "destroy", "release", "--as", "alice")
    for command in (
        ("approvers", "add", "carol", "--public-key", pem),
        ("approvers", "add", "carol", "--public-key", empty),
        ("approvers", "add", "not a name", "--public-key", table.folder / "alice" / "pem"),
        (*destroy, "--approval", table.folder / "none"),
        (*destroy, "--approval", empty),
        (*destroy, "--approval", empty, "--approval-request", table.folder / "asked"),
        (*destroy, "--approval-request", table.folder / "none" / "asked"),
        ("keys", "destroy", "none", "--as", "alice", "--approval-request", table.folder / "asked"),
        ("keys", "policy", "release", "--approval", pem),
        ("doctor", "--repair", "--approval", pem),
        ("approvers", "remove", "carol", "--key-id", "ab" * 32),
    ):
        ended = table.kms(*command)
        assert ended.code == BAD_INPUT, command
        assert ended.out == ""
        lines = [line for line in ended.err.splitlines() if not line.startswith("warning: ")]
        assert [line.partition(":")[0] for line in lines] == ["error", "hint"], ended.err
