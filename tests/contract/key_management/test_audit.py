"""Every call leaves one entry that says what became of it; what cannot be audited is not done."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from quantumai.errors import (
    ApprovalNeededError,
    KeyUnavailableError,
    QuantumAIError,
    StorageError,
)
from quantumai.keys.audit.entry import AuditEntry
from quantumai.keys.management.records import Caller, Grant, KeyPolicy, KeyPurpose
from quantumai.storage.sql_database import SqlDatabase
from tests.kms_world import World

MESSAGE = b"the message"
IN_TOTO = "application/vnd.in-toto+json"
STATEMENT = b'{"_type":"https://in-toto.io/Statement/v1","predicateType":"urn:test:v1"}'

Call = Callable[[], Any]


def seen(entry: AuditEntry) -> tuple[Any, ...]:
    return (entry.operation, entry.version, str(entry.outcome), entry.error)


def after(world: World, *calls: Call) -> list[AuditEntry]:
    """The entries that the calls leave, whatever they raise; exactly one for each of ours."""
    before = len(world.entries())
    for call in calls:
        try:
            call()
        except QuantumAIError:
            continue
    return world.entries()[before:]


def test_every_call_leaves_one_entry(world: World) -> None:
    name = world.name("k")
    policy = KeyPolicy(grants=(Grant(("alice", "bob")),), uses_per_minute=2)
    alice, bob, carol = world.alice, world.bob, world.carol
    expected: list[tuple[Call, str, int | None, str, str]] = [
        (lambda: alice.show(name), "show", None, "failed", "not-found"),
        (
            lambda: alice.create(name, world.signer, KeyPurpose.RAW, policy=policy),
            "create",
            1,
            "ok",
            "",
        ),
        (
            lambda: bob.create(name, world.signer, KeyPurpose.RAW),
            "create",
            None,
            "failed",
            "conflict",
        ),
        (lambda: alice.list(), "list", None, "ok", ""),
        (lambda: alice.show(name), "show", 1, "ok", ""),
        (lambda: alice.usage(name), "usage", 1, "ok", ""),
        (lambda: alice.policy(name), "policy", 1, "ok", ""),
        (lambda: carol.policy(name), "policy", 1, "denied", "denied"),
        (lambda: alice.sign(name, MESSAGE), "sign", 1, "ok", ""),
        (lambda: alice.verify(name, MESSAGE, b""), "verify", 1, "ok", ""),
        (lambda: carol.sign(name, MESSAGE), "sign", 1, "denied", "denied"),
        (lambda: alice.wrap(name, bytes(32)), "wrap", 1, "denied", "denied"),
        (lambda: alice.unwrap(name, b"QAIW1\0\0\0\1"), "unwrap", 1, "denied", "denied"),
        (lambda: alice.unwrap(name, b"?"), "unwrap", None, "failed", "bad-input"),
        (lambda: alice.sign_mu(name, b"short"), "sign", None, "failed", "bad-input"),
        (
            lambda: alice.sign_statement(name, IN_TOTO, "urn:test:v1", STATEMENT),
            "sign",
            1,
            "denied",
            "denied",
        ),
        (lambda: bob.sign(name, MESSAGE), "sign", 1, "ok", ""),
        (lambda: bob.sign(name, MESSAGE), "sign", 1, "denied", "rate-limited"),
        (lambda: alice.rotate(name, idempotency_key="i"), "rotate", 2, "ok", ""),
        (lambda: alice.rotate(name, idempotency_key="i"), "rotate", 2, "replayed", ""),
        (
            lambda: alice.rotate(name, overlap=True, idempotency_key="i"),
            "rotate",
            None,
            "failed",
            "conflict",
        ),
        (lambda: alice.rotate(name, provider="none"), "rotate", 2, "failed", "bad-input"),
        (lambda: carol.rotate(name), "rotate", 2, "denied", "denied"),
        (lambda: alice.disable(name, 1), "disable", 1, "ok", ""),
        (lambda: alice.disable(name, 1), "disable", 1, "denied", "denied"),
        (lambda: alice.enable(name), "enable", 1, "ok", ""),
        (lambda: alice.retire(name, 2), "retire", 2, "denied", "denied"),
        (
            lambda: alice.schedule_destruction(name, 1),
            "destroy",
            1,
            "approval-needed",
            "approval-needed",
        ),
        (lambda: bob.schedule_destruction(name, 1), "destroy", 1, "ok", ""),
        (lambda: bob.cancel_destruction(name), "cancel-destroy", 1, "ok", ""),
        (
            lambda: alice.mark_compromised(name, 1),
            "compromised",
            1,
            "approval-needed",
            "approval-needed",
        ),
        (lambda: bob.mark_compromised(name, 1), "compromised", 1, "ok", ""),
        (
            lambda: alice.set_policy(name, KeyPolicy()),
            "set-policy",
            2,
            "approval-needed",
            "approval-needed",
        ),
        (lambda: bob.set_policy(name, KeyPolicy()), "set-policy", 2, "ok", ""),
        (
            lambda: alice.mark_compromised(name, from_index=-1),
            "compromised",
            None,
            "failed",
            "bad-input",
        ),
        (
            lambda: alice.schedule_destruction(name, waiting_days=0),
            "destroy",
            None,
            "failed",
            "bad-input",
        ),
        (
            lambda: alice.set_policy(name, KeyPolicy(uses_per_minute=0)),
            "set-policy",
            None,
            "failed",
            "bad-input",
        ),
    ]
    for call, *entry in expected:
        (written,) = after(world, call)
        assert list(seen(written)) == entry
        assert written.tenant == "local"
        assert written.key == (name if entry[0] != "list" else "")
        assert (written.key_id != "") == (written.version is not None)
    assert world.kms.parts.audit.verify([]).bad is None


def test_an_entry_says_who_asked_for_what(world: World) -> None:
    name = world.make("statement")
    caller = Caller("local", "bob", request_id="request-17", tls_group="X25519MLKEM768")
    key = world.alice.show(name)
    world.clock.advance(seconds=1.5)
    (entry,) = after(
        world,
        lambda: world.kms.of(caller).sign_statement(name, IN_TOTO, "urn:test:v1", STATEMENT),
    )
    assert (entry.principal, entry.request_id, entry.tls_group) == (
        "bob",
        "request-17",
        "X25519MLKEM768",
    )
    assert (entry.key, entry.version, entry.key_id) == (name, 1, key.key_id)
    assert entry.payload_sha256 == hashlib.sha256(STATEMENT).hexdigest()
    assert entry.at == "2026-03-04T05:06:08.500000Z"


def test_an_overlap_leaves_an_entry_for_each_version(world: World) -> None:
    name = world.make("statement")
    world.alice.rotate(name, overlap=True)
    entries = after(
        world, lambda: world.alice.sign_statement(name, IN_TOTO, "urn:test:v1", STATEMENT)
    )
    assert sorted(map(seen, entries)) == [("sign", 1, "ok", ""), ("sign", 2, "ok", "")]
    assert [u.uses for u in world.alice.usage(name)] == [1, 1]


def test_a_failure_in_the_token_is_audited_too(world: World) -> None:
    name = world.make()
    world.provider.sign = lambda *a: b""
    world.provider.renew = lambda: None
    world.provider.generate = world.provider.destroy = _raise(KeyUnavailableError("device error"))
    entries = after(
        world,
        lambda: world.alice.sign(name, MESSAGE),
        lambda: world.alice.rotate(name),
        lambda: world.alice.create(world.name("x"), world.signer, KeyPurpose.RAW),
    )
    assert [(e.operation, e.outcome, e.error) for e in entries] == [
        ("sign", "failed", "key-unavailable"),
        ("rotate", "failed", "key-unavailable"),
        ("create", "failed", "key-unavailable"),
    ]


def test_wrapping_is_audited_by_what_comes_out(world: World) -> None:
    if not world.makes("ML-KEM-768"):
        return
    name, wrapped = world.make("wrap"), []
    entries = after(
        world,
        lambda: wrapped.append(world.alice.wrap(name, bytes(32))),
        lambda: world.alice.unwrap(name, wrapped[0]),
        lambda: world.alice.unwrap(name, wrapped[0], b"other"),
    )
    assert [seen(e) for e in entries] == [
        ("wrap", 1, "ok", ""),
        ("unwrap", 1, "ok", ""),
        ("unwrap", 1, "failed", "bad-input"),
    ]
    # A hash of the data key itself would help whoever guesses it.
    expected = hashlib.sha256(wrapped[0]).hexdigest()
    assert {e.payload_sha256 for e in entries} == {expected}


def test_what_cannot_be_audited_is_not_done(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    name, other = world.make(), world.make("statement")
    with pytest.raises(ApprovalNeededError):
        world.bob.schedule_destruction(name)
    database = world.kms.parts.database
    rows = {table: database.select(table) for table in ("kms_keys", "kms_names", "kms_proposals")}
    insert, signed = SqlDatabase.insert, []
    sign = world.provider.sign

    def broken(database: SqlDatabase, table: str, row: Any) -> None:
        if table == "kms_audit":
            raise StorageError("the disk is full")
        insert(database, table, row)

    world.provider.sign = lambda *a: signed.append(a) or sign(*a)
    with monkeypatch.context() as patch:
        patch.setattr(SqlDatabase, "insert", broken)
        for call in (
            lambda: world.alice.sign(name, MESSAGE),
            lambda: world.alice.sign_statement(other, IN_TOTO, "urn:test:v1", STATEMENT),
            lambda: world.alice.verify(name, MESSAGE, b""),
            lambda: world.alice.show(name),
            lambda: world.alice.list(),
            lambda: world.alice.show("none"),
            lambda: world.alice.disable(name),
            lambda: world.alice.schedule_destruction(name),
            lambda: world.carol.schedule_destruction(name, waiting_days=9),
        ):
            with pytest.raises(StorageError):
                call()
        with pytest.raises(StorageError):
            world.alice.rotate(name, idempotency_key="r")
    assert len(signed) >= 2, "the token did sign, and nobody saw it"
    assert [row for row in database.select("kms_keys") if row["state"] != "pre-active"] == rows[
        "kms_keys"
    ]
    for table in ("kms_names", "kms_proposals"):
        assert database.select(table) == rows[table]
    assert [u.uses for u in world.alice.usage(name)] == [0, 0]
    # And the rotation is completed by whoever comes again.
    assert world.alice.rotate(name, idempotency_key="r").version == 2
    assert world.states(name) == ["verify-only", "active"]
    assert world.held() == {f"{name}/1", f"{name}/2", f"{other}/1"}
    assert world.disagreements() == []


def test_names_that_are_none_are_audited_all_the_same(world: World) -> None:
    keys = world.kms.of(Caller("local", "alice"))
    odd = ("", "\ud800", "\x00", "a\nb", "ä" * 500, "x/1", "../x")
    for name in odd:
        for call in (
            lambda name=name: keys.show(name),
            lambda name=name: keys.sign(name, b""),
            lambda name=name: keys.rotate(name),
            lambda name=name: keys.create(name, world.signer, KeyPurpose.RAW),
            lambda name=name: keys.disable(name, -1),
            lambda name=name: keys.mark_compromised(name, from_index=2**70),
        ):
            (entry,) = after(world, call)
            assert entry.outcome == "failed"
            assert entry.error in ("not-found", "bad-input")
            assert entry.key.isascii()
    assert world.kms.parts.audit.verify([]).bad is None


def _raise(error: Exception) -> Callable[..., Any]:
    def fail(*arguments: object) -> None:
        raise error

    return fail
