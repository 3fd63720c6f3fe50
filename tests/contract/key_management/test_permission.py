"""Who may do what, how often, with which payloads; and tenants that do not see each other."""

from __future__ import annotations

from typing import Any

import pytest

from quantumai.errors import ApprovalNeededError, DeniedError, NotFoundError, RateLimitedError
from quantumai.keys.management.port import KeyManagement
from quantumai.keys.management.records import Caller, Grant, KeyPolicy, KeyPurpose
from tests.kms_world import World

MESSAGE = b"the message"
IN_TOTO = "application/vnd.in-toto+json"


def sign_statement(keys: KeyManagement, name: str, predicate_type: str) -> Any:
    fields = f'"_type":"https://in-toto.io/Statement/v1","predicateType":"{predicate_type}"'
    return keys.sign_statement(name, IN_TOTO, predicate_type, f"{{{fields}}}".encode())


USES: dict[str, dict[str, Any]] = {
    "sign": {"sign": lambda k, n: k.sign(n, MESSAGE)},
    "verify": {"verify": lambda k, n: k.verify(n, MESSAGE, b"")},
    "read": {
        "show": lambda k, n: k.show(n),
        "usage": lambda k, n: k.usage(n),
        "policy": lambda k, n: k.policy(n),
    },
    "manage": {
        "rotate": lambda k, n: k.rotate(n),
        "disable": lambda k, n: k.disable(n),
        "enable": lambda k, n: k.enable(n),
        "destroy": lambda k, n: k.schedule_destruction(n),
        "cancel": lambda k, n: k.cancel_destruction(n),
        "retire": lambda k, n: k.retire(n, 1),
        "compromised": lambda k, n: k.mark_compromised(n),
        "set_policy": lambda k, n: k.set_policy(n, KeyPolicy()),
    },
}


@pytest.mark.parametrize("granted", USES)
def test_a_grant_covers_its_operations_and_its_principals(world: World, granted: str) -> None:
    policy = KeyPolicy(grants=(Grant(("bob", "carol"), (granted,)),))
    name = world.make(policy=policy)
    for operation, calls in USES.items():
        for call in calls.values():
            with pytest.raises(DeniedError, match="alice may not"):
                call(world.alice, name)
            if operation != granted:
                with pytest.raises(DeniedError, match="bob may not"):
                    call(world.bob, name)
    assert world.states(name) == ["active"]
    if granted == "manage":
        with pytest.raises(ApprovalNeededError):
            world.bob.schedule_destruction(name)
    else:
        for call in USES[granted].values():
            call(world.bob, name)


def test_wrapping_and_unwrapping_are_granted_apart(world: World) -> None:
    if not world.makes("ML-KEM-768"):
        return
    grants = (Grant(("alice",), ("wrap",)), Grant(("bob",), ("unwrap",)))
    name = world.make("wrap", policy=KeyPolicy(grants=grants))
    wrapped = world.alice.wrap(name, bytes(32))
    assert world.bob.unwrap(name, wrapped) == bytes(32)
    with pytest.raises(DeniedError):
        world.alice.unwrap(name, wrapped)
    with pytest.raises(DeniedError):
        world.bob.wrap(name, bytes(32))


def test_the_list_shows_what_may_be_read(world: World) -> None:
    mine = world.make(policy=KeyPolicy(grants=(Grant(("alice",)),)))
    world.make(text="secret", policy=KeyPolicy(grants=(Grant(("bob",)),)))
    assert [key.name for key in world.alice.list()] == [mine]
    assert len(world.kms.parts.register.all("local")) == 2


def test_no_grant_means_nobody(world: World) -> None:
    name = world.make(policy=KeyPolicy(grants=()))
    for keys in (world.alice, world.bob):
        with pytest.raises(DeniedError):
            keys.sign(name, MESSAGE)


def test_a_policy_limits_what_kind_of_statement_is_signed(world: World) -> None:
    policy = KeyPolicy(predicate_types=("https://example.org/runs/*", "https://example.org/one/v1"))
    name = world.make("statement", policy=policy)
    for allowed in ("https://example.org/runs/v1", "https://example.org/one/v1"):
        assert len(sign_statement(world.alice, name, allowed)) == 1
    for other in ("https://example.org/one/v2", "https://example.org/RUNS/v1", "x", ""):
        with pytest.raises(DeniedError, match="may not sign"):
            sign_statement(world.alice, name, other)
    closed = world.make("statement", "closed", policy=KeyPolicy(payload_types=("text/*",)))
    with pytest.raises(DeniedError, match="may not sign"):
        sign_statement(world.alice, closed, "https://example.org/runs/v1")


def test_a_rate_holds_for_all_callers_and_fills_again(world: World) -> None:
    name = world.make(policy=KeyPolicy(uses_per_minute=3))
    for keys in (world.alice, world.bob, world.alice):
        signature = keys.sign(name, MESSAGE).signature
    with pytest.raises(RateLimitedError) as caught:
        world.carol.sign(name, MESSAGE)
    assert caught.value.retry_after_s == pytest.approx(20)
    world.clock.advance(seconds=19.9)
    with pytest.raises(RateLimitedError):
        world.alice.sign(name, MESSAGE)
    world.clock.advance(seconds=0.2)
    world.alice.sign(name, MESSAGE)
    with pytest.raises(RateLimitedError):
        world.alice.sign(name, MESSAGE)
    # Neither the bucket nor its debt grows without end, and looking costs nothing.
    world.clock.advance(hours=5)
    assert world.alice.verify(name, MESSAGE, signature)
    for _ in range(3):
        world.alice.sign(name, MESSAGE)
    with pytest.raises(RateLimitedError):
        world.alice.sign(name, MESSAGE)
    assert [u.uses for u in world.alice.usage(name)] == [7]


def test_what_is_denied_does_not_count_against_the_rate(world: World) -> None:
    policy = KeyPolicy(grants=(Grant(("alice",)),), uses_per_minute=1)
    name = world.make(policy=policy)
    for _ in range(5):
        with pytest.raises(DeniedError):
            world.bob.sign(name, MESSAGE)
    world.alice.sign(name, MESSAGE)


def test_built_in_keys_sign_for_the_home_alone(world: World) -> None:
    if not world.makes("ML-DSA-65"):
        return
    world.kms.internal().ensure("statement")
    with pytest.raises(DeniedError, match="alice may not sign"):
        sign_statement(world.alice, "statement", "https://example.org/runs/v1")
    with pytest.raises(DeniedError, match="may not sign"):
        world.alice.sign("statement", MESSAGE)
    with pytest.raises(DeniedError, match="key of the home itself"):
        world.alice.set_policy("statement", KeyPolicy())
    assert world.alice.show("statement").state == "active"


def test_the_ledgers_keys_are_not_rotated(world: World) -> None:
    if not world.makes("ML-DSA-44"):
        return
    world.kms.internal().ensure("ledger-ml-dsa-44")
    with pytest.raises(DeniedError, match=r"new ledger|key of the home itself"):
        world.alice.rotate("ledger-ml-dsa-44")


def test_the_homes_own_keys_are_managed_on_its_machine(world: World) -> None:
    if not world.makes("ML-DSA-65"):
        return
    world.kms.internal().ensure("statement")
    name = world.make()
    remote = world.kms.of(Caller("local", "alice", is_remote=True))
    for change in (remote.disable, remote.rotate, remote.schedule_destruction):
        with pytest.raises(DeniedError, match="key of the home itself"):
            change("statement")
    assert remote.show("statement").state == "active"
    assert remote.disable(name).state == "disabled"


def test_tenants_do_not_see_each_other(world: World) -> None:
    name = world.make()
    ours = world.alice.show(name)
    others = world.kms.of(Caller("acme", "alice"))
    for call in (calls for group in USES.values() for calls in group.values()):
        with pytest.raises(NotFoundError):
            call(others, name)
    assert others.list() == ()

    theirs = others.create(name, world.signer, KeyPurpose.RAW)

    assert theirs.key_id != ours.key_id
    assert list(world.alice.list()) == [ours]
    signed = others.sign(name, MESSAGE)
    assert not world.alice.verify(name, MESSAGE, signed.signature)
    with pytest.raises(ApprovalNeededError):
        world.alice.schedule_destruction(name)
    with pytest.raises(ApprovalNeededError):  # another tenant's bob confirms nothing here
        world.kms.of(Caller("acme", "bob")).schedule_destruction(name)
    assert world.states(name) == ["active"]
