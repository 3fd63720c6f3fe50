"""Keys end: by two principals, after a waiting period, and then they are gone from the provider."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from quantumai.errors import (
    ApprovalNeededError,
    BadInputError,
    DeniedError,
    KeyUnavailableError,
    NotFoundError,
    QuantumAIError,
)
from quantumai.keys.management.port import KeyManagement
from quantumai.keys.management.records import Grant, KeyPolicy, KeyVersion
from tests.kms_world import World

MESSAGE = b"the message"
OTHER_POLICY = KeyPolicy(uses_per_minute=7)


def by_two(call: Any, world: World) -> Any:
    """Alice asks, bob confirms."""
    with pytest.raises(ApprovalNeededError, match="nothing is done yet"):
        call(world.alice)
    return call(world.bob)


def destroy(world: World, name: str, version: int = 0, days: int = 7) -> Any:
    return by_two(lambda k: k.schedule_destruction(name, version, waiting_days=days), world)


def mark_from(name: str, from_index: int, keys: KeyManagement) -> KeyVersion:
    return keys.mark_compromised(name, from_index=from_index)


TWO_PRINCIPALS: dict[str, tuple[Any, Any]] = {
    "destroy": (
        lambda keys, name: keys.schedule_destruction(name, waiting_days=5),
        lambda keys, name: keys.schedule_destruction(name, waiting_days=6),
    ),
    "compromised": (
        lambda keys, name: keys.mark_compromised(name, from_index=3),
        lambda keys, name: keys.mark_compromised(name, from_index=4),
    ),
    "set-policy": (
        lambda keys, name: keys.set_policy(name, OTHER_POLICY),
        lambda keys, name: keys.set_policy(name, KeyPolicy(uses_per_minute=8)),
    ),
}


def mark(world: World, name: str) -> Any:
    """What the three operations change."""
    return world.states(name), world.kms.parts.register.policy("local", name)


@pytest.mark.parametrize("operation", TWO_PRINCIPALS)
def test_two_principals_have_to_ask_for_the_same(world: World, operation: str) -> None:
    same, another = TWO_PRINCIPALS[operation]
    name = world.make()
    before = mark(world, name)
    for keys, call in (
        (world.alice, same),
        (world.alice, same),  # the same principal again
        (world.bob, another),  # another one, but for something else
        (world.bob, another),
    ):
        with pytest.raises(ApprovalNeededError):
            call(keys, name)
        assert mark(world, name) == before
    world.clock.advance(hours=23, minutes=59)
    same(world.carol, name)
    assert mark(world, name) != before


@pytest.mark.parametrize("operation", TWO_PRINCIPALS)
def test_a_proposal_ends_after_a_day_and_when_it_is_used(world: World, operation: str) -> None:
    same, _ = TWO_PRINCIPALS[operation]
    name, second = world.make(), world.make(text="second")
    with pytest.raises(ApprovalNeededError):
        same(world.alice, name)
    world.clock.advance(hours=12)
    with pytest.raises(ApprovalNeededError):
        same(world.alice, name)  # asking again does not lengthen it
    world.clock.advance(hours=12)
    with pytest.raises(ApprovalNeededError):
        same(world.bob, name)  # now this is the first call
    with pytest.raises(ApprovalNeededError):
        same(world.alice, second)
    same(world.bob, second)
    if operation == "set-policy":
        with pytest.raises(ApprovalNeededError):
            same(world.carol, second)  # that proposal is used up


def test_what_can_never_be_done_is_not_proposed(world: World) -> None:
    name = world.make()
    for refused in (
        lambda: world.alice.schedule_destruction(name, waiting_days=0),
        lambda: world.alice.schedule_destruction(name, waiting_days=91),
        lambda: world.alice.mark_compromised(name, from_index=-1),
        lambda: world.alice.mark_compromised(name, from_index=2**53),
        lambda: world.alice.set_policy(name, KeyPolicy(uses_per_minute=0)),
    ):
        with pytest.raises(BadInputError):
            refused()
    destroy(world, name)
    for keys in (world.alice, world.bob, world.carol):
        with pytest.raises(DeniedError, match="cannot become"):
            keys.schedule_destruction(name)
    assert len(world.kms.parts.database.select("kms_proposals")) == 1


def test_destruction_waits_and_then_the_key_is_gone(world: World) -> None:
    name = world.make()
    signature = world.alice.sign(name, MESSAGE).signature
    handle, scheduled = world.handle(name), destroy(world, name, days=3)
    assert (scheduled.state, scheduled.destroy_at) == ("destroy-scheduled", "2026-03-07T05:06:07Z")

    for use in (
        lambda: world.alice.sign(name, MESSAGE),
        lambda: world.alice.verify(name, MESSAGE, signature),
        lambda: world.alice.enable(name),
        lambda: world.alice.disable(name),
    ):
        with pytest.raises(DeniedError, match="destroy-scheduled"):
            use()
    world.clock.advance(days=2, hours=23, minutes=59)
    assert world.kms.destroy_due() == []
    assert world.held() == {f"{name}/1"}

    world.clock.advance(minutes=1)
    assert [key.label for key in world.kms.destroy_due()] == [f"{name}/1"]

    gone = world.alice.show(name)
    assert (gone.state, gone.retired_at) == ("destroyed", "2026-03-07T05:06:07Z")
    assert gone.public_key is not None  # old signatures can still be checked by others
    assert world.held() == set()
    with pytest.raises(NotFoundError):
        world.provider.find(handle)
    with pytest.raises((NotFoundError, KeyUnavailableError)):
        world.provider.sign(handle, MESSAGE)
    with pytest.raises(DeniedError, match="destroyed"):
        world.alice.sign(name, MESSAGE)
    with pytest.raises(DeniedError, match="no version"):
        world.alice.rotate(name)
    assert world.kms.destroy_due() == []
    assert world.disagreements() == []


def test_destruction_can_be_taken_back_until_its_day(world: World) -> None:
    name = world.make()
    destroy(world, name, days=1)
    world.clock.advance(hours=23)
    kept = world.carol.cancel_destruction(name)
    assert (kept.state, kept.destroy_at) == ("disabled", "")
    assert world.alice.enable(name).state == "active"
    world.clock.advance(days=9)
    assert world.kms.destroy_due() == []
    with pytest.raises(DeniedError, match="no destruction is scheduled"):
        world.alice.cancel_destruction(name)

    destroy(world, name, days=1)
    world.clock.advance(days=1)
    # The token may have begun: else a key that is gone would be listed as disabled.
    with pytest.raises(DeniedError, match="waiting period"):
        world.alice.cancel_destruction(name)
    assert len(world.kms.destroy_due()) == 1
    assert world.disagreements() == []


def test_a_token_that_fails_does_not_hold_up_other_destructions(world: World) -> None:
    first, second = world.make(text="a"), world.make(text="b")
    for name in (first, second):
        destroy(world, name, days=1)
    world.clock.advance(days=1)
    right = world.provider.destroy

    def fail(handle: str) -> None:
        if handle.startswith(first):
            raise KeyUnavailableError("device error")
        right(handle)

    world.provider.destroy = fail
    with pytest.raises(KeyUnavailableError, match="device error"):
        world.kms.destroy_due()
    assert (world.states(first), world.states(second)) == (["destroy-scheduled"], ["destroyed"])
    outcomes = [(e.key, e.outcome) for e in world.entries() if e.operation == "destroyed"]
    assert outcomes == [(first, "failed"), (second, "ok")]
    assert world.disagreements() == [f"overdue {first}/1"]
    world.provider.destroy = right
    assert len(world.kms.destroy_due()) == 1
    assert world.held() == set()


def test_only_the_version_that_was_named_ends(world: World) -> None:
    name = world.make()
    world.alice.rotate(name)
    destroy(world, name, version=1, days=1)
    world.clock.advance(days=1)
    world.kms.destroy_due()
    assert world.states(name) == ["destroyed", "active"]
    assert world.held() == {f"{name}/2"}
    assert world.alice.sign(name, MESSAGE).version == 2


def test_a_compromised_key_does_nothing_any_more(world: World) -> None:
    name = world.make()
    signature = world.alice.sign(name, MESSAGE).signature
    void = by_two(lambda k: k.mark_compromised(name, from_index=12), world)
    assert (void.state, void.compromised_from) == ("compromised", 12)
    for use in (
        lambda: world.alice.sign(name, MESSAGE),
        lambda: world.alice.verify(name, MESSAGE, signature),
        lambda: world.alice.enable(name),
        lambda: world.alice.disable(name),
        lambda: world.alice.retire(name, 1),
    ):
        with pytest.raises(DeniedError):
            use()
    # An earlier leaf may come to light.
    assert by_two(lambda k: k.mark_compromised(name, from_index=5), world).compromised_from == 5
    assert world.alice.rotate(name).version == 2
    assert world.states(name) == ["compromised", "active"]


def test_compromise_and_destruction_meet(world: World) -> None:
    name = world.make()
    destroy(world, name, days=2)
    void = by_two(lambda k: k.mark_compromised(name, from_index=1), world)
    assert (void.state, void.destroy_at) == ("compromised", "")
    assert world.kms.destroy_due() == []

    destroy(world, name, days=2)
    assert world.alice.cancel_destruction(name).state == "compromised"  # and not disabled
    with pytest.raises(DeniedError):
        world.alice.enable(name)

    destroy(world, name, days=2)
    world.clock.advance(days=2)
    for state in ("destroy-scheduled", "destroyed"):
        with pytest.raises(BadInputError, match="gone, or about to be"):
            world.alice.mark_compromised(name)
        call = partial(mark_from, name, len(state))
        noted = by_two(call, world)
        assert (noted.state, noted.compromised_from) == (state, len(state))
        world.kms.destroy_due()
    assert world.held() == set()


def test_a_policy_that_two_set_holds_for_all_versions(world: World) -> None:
    name = world.make()
    policy = KeyPolicy(grants=(Grant(("carol",)),))
    by_two(lambda k: k.set_policy(name, policy), world)
    assert world.carol.policy(name) == policy
    world.carol.rotate(name)
    for use in (
        lambda: world.alice.sign(name, MESSAGE),
        lambda: world.bob.show(name, 1),
        lambda: world.alice.set_policy(name, KeyPolicy()),
        lambda: world.bob.schedule_destruction(name),
    ):
        with pytest.raises(DeniedError, match="may not"):
            use()
    world.carol.sign(name, MESSAGE)


def test_a_proposal_falls_with_the_right_to_make_it(world: World) -> None:
    name = world.make()
    with pytest.raises(ApprovalNeededError):
        world.alice.schedule_destruction(name)
    policy = KeyPolicy(grants=(Grant(("bob", "carol")),))
    with pytest.raises(ApprovalNeededError):
        world.bob.set_policy(name, policy)
    world.carol.set_policy(name, policy)
    with pytest.raises(ApprovalNeededError):
        world.bob.schedule_destruction(name)
    assert world.carol.schedule_destruction(name).state == "destroy-scheduled"


def test_a_proposal_binds_a_policy_even_after_a_rotation(world: World) -> None:
    name = world.make()
    with pytest.raises(ApprovalNeededError):
        world.alice.set_policy(name, OTHER_POLICY)
    world.alice.rotate(name)
    assert world.bob.set_policy(name, OTHER_POLICY) == OTHER_POLICY


def test_a_proposal_to_destroy_means_the_version_of_then(world: World) -> None:
    name = world.make()
    with pytest.raises(ApprovalNeededError):
        world.alice.schedule_destruction(name)
    world.alice.rotate(name)
    with pytest.raises(ApprovalNeededError):
        world.bob.schedule_destruction(name)  # that would be version 2 now
    assert world.bob.schedule_destruction(name, 1).version == 1


def test_the_proposers_errors_are_one_line(world: World) -> None:
    name = world.make()
    with pytest.raises(QuantumAIError) as caught:
        world.alice.schedule_destruction(name)
    assert "\n" not in str(caught.value)
    assert "another principal" in caught.value.hint
