"""The same call under one idempotency key is done once, and answered the same for a day."""

from __future__ import annotations

from typing import Any

import pytest

from quantumai.errors import ApprovalNeededError, BadInputError, ConflictError, KeyUnavailableError
from quantumai.keys.management.port import KeyManagement
from quantumai.keys.management.records import KeyPolicy, KeyPurpose
from tests.kms_world import World

POLICY = KeyPolicy(uses_per_minute=5)


def prepared(world: World, operation: str) -> str:
    """A key in the state in which the operation can be done."""
    name = world.make("statement") if operation != "create" else world.name("new")
    if operation == "retire":
        world.alice.rotate(name, overlap=True)
    elif operation == "enable":
        world.alice.disable(name)
    elif operation == "cancel":
        with pytest.raises(ApprovalNeededError):
            world.bob.schedule_destruction(name)
        world.alice.schedule_destruction(name)
    elif operation in ("compromised", "destroy", "set_policy"):
        with pytest.raises(ApprovalNeededError):
            CHANGES[operation](world, world.bob, name, "")
    return name


def create(world: World, keys: KeyManagement, name: str, key: str) -> Any:
    return keys.create(name, world.signer, KeyPurpose.RAW, policy=POLICY, idempotency_key=key)


CHANGES: dict[str, Any] = {
    "create": create,
    "rotate": lambda w, k, n, key: k.rotate(n, idempotency_key=key),
    "retire": lambda w, k, n, key: k.retire(n, 1, idempotency_key=key),
    "disable": lambda w, k, n, key: k.disable(n, 1, idempotency_key=key),
    "enable": lambda w, k, n, key: k.enable(n, 1, idempotency_key=key),
    "compromised": lambda w, k, n, key: k.mark_compromised(n, from_index=1, idempotency_key=key),
    "destroy": lambda w, k, n, key: k.schedule_destruction(n, idempotency_key=key),
    "cancel": lambda w, k, n, key: k.cancel_destruction(n, idempotency_key=key),
    "set_policy": lambda w, k, n, key: k.set_policy(n, POLICY, idempotency_key=key),
}


@pytest.mark.parametrize("operation", CHANGES)
def test_a_repeated_change_is_answered_and_not_done(world: World, operation: str) -> None:
    call, name = CHANGES[operation], prepared(world, operation)
    first = call(world, world.alice, name, "key-1")
    after, held = world.kms.parts.database.select("kms_keys"), world.held()
    entries = len(world.entries())
    world.clock.advance(hours=23, minutes=59)

    for _ in range(3):
        assert call(world, world.alice, name, "key-1") == first

    assert world.kms.parts.database.select("kms_keys") == after
    assert world.held() == held
    new = world.entries()[entries:]
    assert [(e.outcome, e.principal, e.key) for e in new] == [("replayed", "alice", name)] * 3


def test_an_answer_ends_after_a_day(world: World) -> None:
    name = world.make()
    assert world.alice.rotate(name, idempotency_key="k").version == 2
    world.clock.advance(hours=24)
    assert world.alice.rotate(name, idempotency_key="k").version == 3
    assert world.alice.rotate(name, idempotency_key="k").version == 3


def test_another_call_under_the_same_key_is_refused(world: World) -> None:
    name, other = world.make(), world.make(text="other")
    world.alice.rotate(name, idempotency_key="k")
    for call in (
        lambda: world.alice.rotate(other, idempotency_key="k"),
        lambda: world.alice.rotate(name, overlap=True, idempotency_key="k"),
    ):
        with pytest.raises(ConflictError, match="another call"):
            call()
    assert (world.states(other), len(world.states(name))) == (["active"], 2)


def test_keys_of_other_principals_and_operations_are_others(world: World) -> None:
    name = world.make(idempotency_key="k")
    assert world.alice.rotate(name, idempotency_key="k").version == 2
    assert world.bob.rotate(name, idempotency_key="k").version == 3
    assert world.alice.disable(name, idempotency_key="k").version == 3
    assert world.alice.rotate(name, idempotency_key="K").version == 4


def test_a_call_that_failed_is_done_when_it_is_repeated(world: World) -> None:
    name, generate = world.name("late"), world.provider.generate

    def fail(handle: str, algorithm: str) -> None:
        generate(handle, algorithm)  # it was made, and the answer was lost
        raise KeyUnavailableError("device error")

    world.provider.generate = fail
    for _ in range(2):
        with pytest.raises(KeyUnavailableError):
            create(world, world.alice, name, "k")
    assert world.states(name) == ["pre-active"]
    world.provider.generate = generate

    made = create(world, world.alice, name, "k")

    assert (made.version, made.state) == (1, "active")
    assert create(world, world.alice, name, "k") == made
    assert world.held() == {f"{name}/1"}
    assert world.disagreements() == []


def test_who_finishes_a_creation_says_how_the_key_may_be_used(world: World) -> None:
    name, generate = world.name("late"), world.provider.generate

    def fail(handle: str, algorithm: str) -> None:
        raise KeyUnavailableError("device error")

    world.provider.generate = fail
    with pytest.raises(KeyUnavailableError):
        world.alice.create(name, world.signer, KeyPurpose.RAW, policy=KeyPolicy(grants=()))
    world.provider.generate = generate
    with pytest.raises(ConflictError):
        world.bob.create(name, world.signer, KeyPurpose.STATEMENT)
    world.bob.create(name, world.signer, KeyPurpose.RAW, policy=POLICY)
    assert world.bob.policy(name) == POLICY
    with pytest.raises(ConflictError, match="exists"):
        world.alice.create(name, world.signer, KeyPurpose.RAW, policy=KeyPolicy(grants=()))


def test_a_proposal_is_repeated_like_any_call(world: World) -> None:
    """The proposer asks again under its key: still not enough; the answer is the confirmer's."""
    name = world.make()
    for _ in range(2):
        with pytest.raises(ApprovalNeededError):
            world.alice.schedule_destruction(name, idempotency_key="a")
    done = world.bob.schedule_destruction(name, idempotency_key="b")
    assert world.bob.schedule_destruction(name, idempotency_key="b") == done


@pytest.mark.parametrize("key", ["x" * 256, "schlüssel"])
def test_a_key_that_is_none_is_refused(world: World, key: str) -> None:
    name = world.make()
    with pytest.raises(BadInputError):
        world.alice.rotate(name, idempotency_key=key)
    assert world.states(name) == ["active"]
