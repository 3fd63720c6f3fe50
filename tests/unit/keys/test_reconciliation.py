"""Where register and provider differ it is found, and mended as far as nothing is guessed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from quantumai.errors import ApprovalNeededError, BadInputError, KeyUnavailableError, NotFoundError
from quantumai.keys.management import root
from quantumai.keys.management.kms import open_kms
from quantumai.keys.management.mending import mend
from quantumai.keys.management.reconciliation import FindingKind, find
from quantumai.keys.management.records import Caller, KeyPolicy, KeyPurpose, KeyVersion
from tests.key_management import ALICE, BOB, new_database, soft_keys
from tests.kms_world import Clock, World, open_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with open_world("soft", soft_keys(tmp_path / "keys"), tmp_path) as opened:
        opened.prefix = "k"
        yield opened


def kinds(world: World) -> list[str]:
    return [str(finding.kind) for finding in find(world.kms.parts)]


def repair(world: World, **options: Caller) -> list[str]:
    """Mend everything; the errors, "" for what went well."""
    parts = world.kms.parts
    return [step.error for step in mend(parts, find(parts), **options)]


def by_two(world: World, call: Callable[[Any], KeyVersion]) -> KeyVersion:
    with pytest.raises(ApprovalNeededError):
        call(world.alice)
    return call(world.bob)


def destroyed(world: World, name: str, version: int) -> None:
    by_two(world, lambda k: k.schedule_destruction(name, version, waiting_days=1))
    world.clock.advance(days=1)
    world.kms.destroy_due()


def broken_off(world: World, call: Callable[[], object]) -> None:
    """A call that ends when the provider has made a key, as if its process had died."""
    generate = world.provider.generate

    def dies(handle: str, algorithm: str) -> None:
        generate(handle, algorithm)
        raise KeyUnavailableError("died here")

    world.provider.generate = dies
    with pytest.raises(KeyUnavailableError, match="died here"):
        call()
    world.provider.generate = generate


def test_nothing_is_found_where_all_is_well(world: World) -> None:
    name = world.make()
    world.alice.rotate(name, overlap=True)
    world.alice.disable(name, 1)
    by_two(world, lambda k: k.mark_compromised(name, 2))
    by_two(world, lambda k: k.schedule_destruction(name, 1))
    assert find(world.kms.parts) == []
    destroyed(world, name, 2)
    entries = len(world.entries())
    assert find(world.kms.parts) == []
    assert len(world.entries()) == entries, "looking is not audited"


def test_a_creation_is_completed_with_its_policy_and_answered(world: World) -> None:
    policy = KeyPolicy(uses_per_minute=3)

    def create() -> KeyVersion:
        return world.alice.create(
            "k-a", "ML-DSA-44", KeyPurpose.RAW, policy=policy, idempotency_key="i"
        )

    broken_off(world, create)
    (finding,) = find(world.kms.parts)
    assert (finding.kind, finding.provider) == ("unfinished", "soft")
    assert finding.handle == world.handle("k-a")
    assert "the creation of key k-a/1" in finding.detail

    assert repair(world) == [""]

    assert find(world.kms.parts) == []
    made = world.alice.show("k-a")
    assert (made.state, world.alice.policy("k-a")) == ("active", policy)
    assert create() == made, "who asked comes again and is answered"
    entry = world.entries()[-4]
    assert (entry.operation, entry.principal, entry.outcome) == ("create", "quantumai", "ok")
    world.alice.sign("k-a", b"m")


def test_a_creation_after_one_that_was_given_up_is_one(world: World) -> None:
    generate = world.provider.generate

    def refuse(handle: str, algorithm: str) -> None:
        raise BadInputError("not in this region")

    def create() -> KeyVersion:
        return world.alice.create("k-a", "ML-DSA-44", KeyPurpose.RAW)

    world.provider.generate = refuse
    with pytest.raises(BadInputError):
        create()
    world.provider.generate = generate
    broken_off(world, create)
    assert "creation" in find(world.kms.parts)[0].detail
    assert repair(world) == [""]
    assert world.states("k-a") == ["destroyed", "active"]
    assert world.entries()[-1].operation == "create"


@pytest.mark.parametrize("overlap", [False, True])
def test_a_rotation_is_completed_as_it_was_asked_for(world: World, overlap: bool) -> None:
    name = world.make("statement")
    broken_off(world, lambda: world.alice.rotate(name, overlap=overlap, idempotency_key="i"))
    assert repair(world) == [""]
    assert world.states(name) == (["active"] if overlap else ["verify-only"]) + ["active"]
    announcement = world.kms.parts.register.row("local", name, 2)["announcement"]
    assert len(announcement["signatures"]) == 2
    assert world.alice.rotate(name, overlap=overlap, idempotency_key="i").version == 2
    assert kinds(world) == []


def test_a_later_call_under_the_same_key_is_not_answered_for_an_earlier_one(world: World) -> None:
    first, second = world.make(text="a"), world.make(text="b")
    for name in (first, second):
        broken_off(world, lambda name=name: world.alice.rotate(name, idempotency_key="i"))
        world.clock.advance(days=1)
    world.clock.advance(hours=-2)  # the second call can still be repeated
    assert repair(world) == ["", ""]
    assert world.alice.rotate(second, idempotency_key="i").label == f"{second}/2"


def test_what_the_root_has_to_vouch_for_is_left_to_it(world: World) -> None:
    name = world.make("statement")
    broken_off(
        world,
        lambda: by_two(
            world,
            lambda keys: root.emergency_rotate(
                world.kms.parts,
                ALICE if keys is world.alice else BOB,
                _Root(),  # type: ignore[arg-type]
                name,
                None,
            ),
        ),
    )
    assert world.states(name) == ["compromised", "pre-active"]
    (finding,) = find(world.kms.parts)
    assert "root" in finding.advice
    assert repair(world) == []
    assert world.states(name) == ["compromised", "pre-active"]


class _Root:
    def vouch(self, message: bytes) -> tuple[str, bytes]:
        return "0" * 64, b"signature of the root"


def test_a_version_that_has_nothing_to_follow_is_given_up(world: World) -> None:
    name = world.make("statement")
    broken_off(world, lambda: world.alice.rotate(name))
    destroyed(world, name, 1)
    assert kinds(world) == ["unfinished"]
    assert repair(world) == [""]
    assert world.states(name) == ["destroyed", "destroyed"]
    assert (world.held(), kinds(world)) == (set(), [])


def test_a_destruction_that_is_due_is_done(world: World) -> None:
    name = world.make()
    by_two(world, lambda k: k.schedule_destruction(name, waiting_days=1))
    assert kinds(world) == []
    world.clock.advance(days=1)
    assert kinds(world) == ["overdue"]
    assert repair(world) == [""]
    assert (world.states(name), world.held(), kinds(world)) == (["destroyed"], set(), [])


def test_a_key_that_came_back_is_destroyed_again(world: World) -> None:
    name = world.make()
    destroyed(world, name, 1)
    world.provider.generate(world.handle(name), "ML-DSA-44")  # as from a backup of the token
    assert kinds(world) == ["not destroyed"]
    assert repair(world) == [""]
    assert (world.held(), kinds(world)) == (set(), [])
    last = world.entries()[-1]
    assert (last.operation, last.principal, last.key) == ("destroyed", "quantumai", name)


def test_an_orphan_is_destroyed_only_on_demand(world: World) -> None:
    world.make()
    world.provider.generate("stray/3", "Ed25519")
    (finding,) = find(world.kms.parts)
    assert (finding.kind, finding.handle) == ("orphan", "stray/3")
    assert repair(world) == []
    assert world.provider.find("stray/3")
    for _ in range(2):  # the same principal twice is one principal
        (error,) = repair(world, destroy_orphans_for=ALICE)
        assert "noted for alice" in error
    assert world.provider.find("stray/3")
    assert repair(world, destroy_orphans_for=BOB) == [""]
    with pytest.raises(NotFoundError):
        world.provider.find("stray/3")
    last = world.entries()[-1]
    assert (last.operation, last.principal, last.key) == ("destroy-orphan", "bob", "stray/3")
    assert kinds(world) == []


def test_a_lost_key_is_reported_until_it_is_replaced_and_struck_out(world: World) -> None:
    name = world.make()
    world.provider.destroy(world.handle(name))
    assert kinds(world) == ["lost"]
    assert repair(world, destroy_orphans_for=BOB) == []
    with pytest.raises(NotFoundError):
        world.alice.sign(name, b"m")
    world.alice.rotate(name)  # what is advised
    destroyed(world, name, 1)
    assert (world.states(name), kinds(world)) == (["destroyed", "active"], [])


def test_another_key_of_the_same_name_is_reported_and_never_used(world: World) -> None:
    name = world.make()
    world.provider.destroy(world.handle(name))
    world.provider.generate(world.handle(name), "ML-DSA-44")
    assert kinds(world) == ["mismatch"]
    assert repair(world, destroy_orphans_for=BOB) == []
    with pytest.raises(KeyUnavailableError, match="does not verify"):
        world.alice.sign(name, b"m")
    assert world.held() == {f"{name}/1"}


def test_a_provider_that_does_not_answer_is_said_and_hides_nothing_else(world: World) -> None:
    world.make()
    late = world.make(text="late")
    by_two(world, lambda k: k.schedule_destruction(late, waiting_days=1))
    world.clock.advance(days=1)
    right = world.provider.keys

    def dead() -> None:
        raise KeyUnavailableError("device removed", hint="put it back")

    world.provider.keys = dead
    first, second = find(world.kms.parts)
    assert (first.kind, first.detail, first.advice) == (
        FindingKind.UNREACHABLE,
        "device removed",
        "put it back",
    )
    assert (second.kind, second.handle) == (FindingKind.OVERDUE, world.handle(late))
    world.provider.keys = right
    world.kms.destroy_due()
    assert kinds(world) == []


def test_keys_in_a_provider_that_the_home_has_no_more(world: World, tmp_path: Path) -> None:
    world.make()
    other = soft_keys(tmp_path / "other")
    vars(world.provider)["name"] = "former"
    with open_world("soft", other, tmp_path / "unused"):
        kms = open_kms(new_database(tmp_path / "kms.db"), [_named(other, "new")], Clock())
    (finding,) = find(kms.parts)
    assert (finding.kind, finding.provider) == (FindingKind.UNREACHABLE, "soft")
    assert mend(kms.parts, [finding]) == []


def _named(provider: Any, name: str) -> Any:
    class Named:
        def __getattr__(self, attribute: str) -> Any:
            return name if attribute == "name" else getattr(provider, attribute)

    return Named()


@pytest.mark.parametrize("meanwhile", ["made", "destroyed"])
def test_what_changes_while_one_looks_is_no_difference(world: World, meanwhile: str) -> None:
    name, keys = world.make(), world.provider.keys
    by_two(world, lambda k: k.schedule_destruction(name, waiting_days=1))

    def listed() -> Any:
        found = keys()
        if meanwhile == "made":
            world.make(text="new")
        else:
            world.clock.advance(days=1)
            world.kms.destroy_due()
        return found

    world.provider.keys = listed
    findings = find(world.kms.parts)
    assert findings == []


def test_a_failure_while_mending_is_said_and_does_not_hold_up_the_rest(world: World) -> None:
    for text in ("a", "b"):
        broken_off(
            world,
            lambda text=text: world.alice.create(f"k-{text}", "Ed25519", KeyPurpose.RAW),
        )
    generate = world.provider.generate

    def fails_for_a(handle: str, algorithm: str) -> Any:
        if handle == world.handle("k-a"):
            raise KeyUnavailableError("device error")
        return generate(handle, algorithm)

    world.provider.generate = fails_for_a
    assert repair(world) == ["device error", ""]
    assert [f.handle for f in find(world.kms.parts)] == [world.handle("k-a")]
    assert world.entries()[-2].outcome == "failed"


@pytest.mark.integration
def test_a_key_that_aws_made_and_nobody_named(tmp_path: Path) -> None:
    """AWS KMS is emulated; see `tests.aws_emulation`."""
    from quantumai.keys.providers.aws_kms import AwsKmsKeys
    from tests.aws_emulation import running_aws_emulation

    with running_aws_emulation() as emulation:
        keys = AwsKmsKeys(emulation.settings("home"))
        kms = open_kms(new_database(tmp_path / "kms.db"), [keys], Clock())
        for _ in range(2):  # boto3 tries twice
            emulation.fail_next("CreateAlias", "KMSInternalException")
        with pytest.raises(KeyUnavailableError):
            kms.of(ALICE).create("k", "ML-DSA-44", KeyPurpose.RAW)

        unfinished, orphan = find(kms.parts)
        assert (unfinished.kind, orphan.kind) == (FindingKind.UNFINISHED, FindingKind.ORPHAN)
        assert orphan.handle == unfinished.handle
        assert orphan.provider_id in orphan.detail

        assert [step.error for step in mend(kms.parts, [unfinished, orphan])] == [""]
        made = kms.of(ALICE).show("k")
        assert find(kms.parts) == [orphan], "which is not the key that was made now"
        mend(kms.parts, [orphan], destroy_orphans_for=ALICE)
        (step,) = mend(kms.parts, [orphan], destroy_orphans_for=BOB)
        assert step.error == ""
        for caller, said in ((ALICE, "noted"), (BOB, "is no orphan any more")):
            (step,) = mend(kms.parts, [orphan], destroy_orphans_for=caller)
            assert said in step.error
        assert find(kms.parts) == []
        assert kms.of(ALICE).sign("k", b"m").key_id == made.key_id
