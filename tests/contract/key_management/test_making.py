"""Keys are made, rotated, laid still and taken up again."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from quantumai.errors import BadInputError, ConflictError, DeniedError, NotFoundError
from quantumai.keys.management.records import Caller, Grant, KeyPolicy, KeyPurpose
from quantumai.keys.providers.port import KeyProvider
from tests.key_management import soft_keys
from tests.kms_world import World, Wrapped, open_world
from tests.other_verifiers import library_verifies

MESSAGE = b"the message"
AT = "2026-03-04T05:06:07Z"


def test_a_key_is_made_as_asked(world: World) -> None:
    name = world.name("new")
    policy = KeyPolicy(grants=(Grant(("alice",)), Grant(("bob",), ("read",))), uses_per_minute=9)

    made = world.alice.create(name, world.signer, KeyPurpose.RAW, policy=policy)

    assert (made.tenant, made.name, made.version, made.algorithm, made.purpose, made.state) == (
        "local",
        name,
        1,
        world.signer,
        "raw",
        "active",
    )
    assert (made.created_at, made.activated_at, made.retired_at, made.destroy_at) == (
        AT,
        AT,
        "",
        "",
    )
    assert made.provider == world.provider.name
    assert made.public_key is not None
    spki = base64.b64decode(made.public_key.spki)
    public = load_der_public_key(spki)
    assert public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == spki
    assert made.key_id == made.public_key.key_id == hashlib.sha256(spki).hexdigest()
    assert world.held() == {f"{name}/1"}
    assert world.bob.show(name) == world.bob.show(name, 1) == made
    assert list(world.alice.list()) == [made]
    assert world.bob.policy(name) == policy
    assert [(u.version, u.uses, u.last_used_at) for u in world.alice.usage(name)] == [(1, 0, "")]


def test_what_cannot_be_made_leaves_nothing(world: World) -> None:
    def refused(error: type[Exception], name: str, algorithm: str, purpose: KeyPurpose) -> None:
        with pytest.raises(error):
            world.alice.create(name, algorithm, purpose)

    name = world.name("k")
    for wrong in ("", "A", "a/b", "a b", "-a", "a" * 64, "ä", "a\n"):
        refused(BadInputError, wrong, world.signer, KeyPurpose.RAW)
    for algorithm in ("", "ML-DSA-66", "RSA", "ml-dsa-65"):
        refused(BadInputError, name, algorithm, KeyPurpose.RAW)
    refused(BadInputError, name, "ML-KEM-768", KeyPurpose.RAW)
    refused(BadInputError, name, "ML-KEM-768", KeyPurpose.STATEMENT)
    refused(BadInputError, name, world.signer, KeyPurpose.WRAP)
    for internal in (KeyPurpose.CHECKPOINT, KeyPurpose.AUDIT):
        refused(DeniedError, name, world.signer, internal)
    for algorithm in ("ML-DSA-44", "SLH-DSA-SHA2-128f", "RSA-3072-PSS"):
        if not world.makes(algorithm):
            refused(BadInputError, name, algorithm, KeyPurpose.RAW)
    with pytest.raises(BadInputError, match="unknown operation"):
        world.alice.create(
            name,
            world.signer,
            KeyPurpose.RAW,
            policy=KeyPolicy(grants=(Grant(("*",), ("everything",)),)),
        )

    assert world.held() == set()
    assert list(world.alice.list()) == []
    assert world.kms.parts.database.select("kms_names") == []


def test_a_name_is_taken_once(world: World) -> None:
    name = world.make()
    before = world.alice.show(name)
    for caller, algorithm, purpose in (
        (world.alice, world.signer, KeyPurpose.RAW),
        (world.bob, world.signer, KeyPurpose.STATEMENT),
        (world.bob, "Ed25519", KeyPurpose.RAW),
    ):
        if world.makes(algorithm):
            with pytest.raises(ConflictError, match="exists"):
                caller.create(name, algorithm, purpose, policy=KeyPolicy(grants=()))
    assert world.alice.show(name) == before
    assert world.alice.policy(name) == KeyPolicy()


def test_names_of_the_home_itself_are_refused(world: World) -> None:
    for name in ("statement", "authority", "audit", "ledger-ed25519", "ledger-ml-dsa-44"):
        with pytest.raises(DeniedError, match="home itself"):
            world.alice.create(name, world.signer, KeyPurpose.STATEMENT)
    with pytest.raises(DeniedError, match="home itself"):
        world.kms.of(Caller("local", "quantumai"))


def test_rotation_makes_the_former_version_verify_only(world: World) -> None:
    name = world.make()
    first = world.alice.show(name)
    old = world.alice.sign(name, MESSAGE)
    world.clock.advance(days=2)

    second = world.bob.rotate(name)

    assert (second.version, second.state, second.algorithm) == (2, "active", first.algorithm)
    assert (second.purpose, second.provider) == (first.purpose, first.provider)
    assert second.activated_at == "2026-03-06T05:06:07Z"
    assert second.key_id != first.key_id
    retired = world.alice.show(name, 1)
    assert (retired.state, retired.retired_at) == ("verify-only", "2026-03-06T05:06:07Z")
    assert world.alice.show(name) == second
    assert list(world.alice.list()) == [retired, second]
    assert world.held() == {f"{name}/1", f"{name}/2"}
    new = world.alice.sign(name, MESSAGE)
    assert (old.version, new.version) == (1, 2)
    for signed, key in ((old, first), (new, second)):
        assert signed.key_id == key.key_id
        assert library_verifies(key.algorithm, world.pem(key), MESSAGE, signed.signature)
        assert world.alice.verify(name, MESSAGE, signed.signature, version=signed.version)
    assert not world.alice.verify(name, MESSAGE, old.signature)
    assert not world.alice.verify(name, MESSAGE, new.signature, version=1)
    with pytest.raises(NotFoundError):
        world.alice.rotate(world.name("none"))
    with pytest.raises(BadInputError, match="no key provider"):
        world.alice.rotate(name, provider="elsewhere")


def test_a_statement_keys_rotation_is_announced_by_both_keys(world: World) -> None:
    name = world.make("statement")
    first = world.alice.show(name)
    second = world.alice.rotate(name)

    announcement = world.kms.parts.register.row("local", name, 2)["announcement"]

    payload = base64.b64decode(announcement["payload"])
    statement = json.loads(payload)
    kind = b"application/vnd.in-toto+json"
    encoded = b" ".join(
        [b"DSSEv1", str(len(kind)).encode(), kind, str(len(payload)).encode(), payload]
    )
    signatures = {key_id: base64.b64decode(s) for key_id, s in announcement["signatures"]}
    assert set(signatures) == {first.key_id, second.key_id}
    for key in (first, second):
        assert library_verifies(key.algorithm, world.pem(key), encoded, signatures[key.key_id])
    assert {s["digest"]["sha256"] for s in statement["subject"]} == set(signatures)
    assert statement["predicate"]["former"]["key_id"] == first.key_id
    assert statement["predicate"]["following"]["spki"] == second.public_key.spki  # type: ignore[union-attr]
    assert world.kms.parts.register.row("local", name, 1)["announcement"] is None


def test_an_overlap_signs_with_both_until_one_is_retired(world: World) -> None:
    name = world.make("statement")
    predicate = "https://example.org/overlap/v1"
    payload = (
        b'{"_type":"https://in-toto.io/Statement/v1","predicate":{},"predicateType":"%s",'
        b'"subject":[]}' % predicate.encode()
    )

    def signers() -> set[tuple[int, str]]:
        signed = world.alice.sign_statement(
            name, "application/vnd.in-toto+json", predicate, payload
        )
        assert len({s.signature for s in signed}) == len(signed)
        return {(s.version, s.key_id) for s in signed}

    with pytest.raises(DeniedError, match="no other version"):
        world.alice.retire(name, 1)
    world.alice.rotate(name, overlap=True)
    first, second = world.alice.list()
    assert (first.state, second.state) == ("active", "active")
    assert signers() == {(1, first.key_id), (2, second.key_id)}

    retired = world.alice.retire(name, 1)
    assert (retired.version, retired.state, retired.retired_at) == (1, "verify-only", AT)
    assert signers() == {(2, second.key_id)}
    with pytest.raises(DeniedError):
        world.alice.retire(name, 1)
    with pytest.raises(DeniedError, match="no other version"):
        world.alice.retire(name, 2)


def test_after_an_overlap_a_rotation_retires_all_former_versions(world: World) -> None:
    name = world.make()
    world.alice.rotate(name, overlap=True)
    world.alice.rotate(name)
    assert world.states(name) == ["verify-only", "verify-only", "active"]


def test_a_key_moves_to_another_provider_with_its_next_version(
    provider: tuple[str, KeyProvider], tmp_path: Path
) -> None:
    kind, keys = provider
    second = Wrapped(soft_keys(tmp_path / "second"))
    second.name = "second"
    with open_world(kind, keys, tmp_path, (second,)) as world:
        name = world.make("statement")
        old = world.alice.show(name)

        new = world.alice.rotate(name, provider="second", overlap=True)

        assert (old.provider, new.provider) == (world.provider.name, "second")
        announcement = world.kms.parts.register.row("local", name, 2)["announcement"]
        assert [key_id for key_id, _ in announcement["signatures"]] == [old.key_id, new.key_id]
        assert world.held() == {f"{name}/1"}
        assert second.find(new.handle).public_key == new.public_key
        world.alice.retire(name, 1)
        assert world.alice.rotate(name).provider == "second"  # it stays where it is now
        assert world.disagreements() == []


def test_rotation_falls_due_by_age_and_by_uses(world: World) -> None:
    by_age = world.make(text="age", policy=KeyPolicy(rotate_after_days=30))
    by_uses = world.make(text="uses", policy=KeyPolicy(rotate_after_uses=2))
    never = world.make(text="never")
    keys = world.kms.of(Caller("local", "alice"))

    def due() -> list[str]:
        return [key.label for key in keys.rotate_due()]

    for name in (by_age, by_uses, never):
        keys.sign(name, MESSAGE)
    world.clock.advance(days=29)
    assert due() == []
    keys.sign(by_uses, MESSAGE)
    assert due() == [f"{by_uses}/2"]
    world.clock.advance(days=1)
    assert due() == [f"{by_age}/2"]
    assert due() == [], "the new versions have their own age and uses"
    assert world.states(never) == ["active"]


def once(world: World, method: str, what: Callable[[], object]) -> None:
    """Do something at the next call of a provider's method, as if somebody else did it then."""
    right = getattr(world.provider, method)

    def interrupted(*arguments: Any) -> Any:
        setattr(world.provider, method, right)
        what()
        return right(*arguments)

    setattr(world.provider, method, interrupted)


def announced(world: World, name: str, version: int) -> list[str]:
    row = world.kms.parts.register.row("local", name, version)
    return [key_id for key_id, _ in row["announcement"]["signatures"]]


def test_two_rotations_that_meet_follow_one_another(world: World) -> None:
    name = world.make("statement")
    once(world, "abilities", lambda: world.bob.rotate(name))

    assert world.alice.rotate(name, overlap=True).version == 3

    _, second, third = world.kms.parts.register.versions("local", name)
    assert announced(world, name, 3) == [second.key_id, third.key_id]
    assert world.states(name) == ["verify-only", "active", "active"]


def test_a_former_version_that_changes_meanwhile_vouches_for_nothing(world: World) -> None:
    name = world.make("statement")
    once(world, "generate", lambda: world.bob.disable(name, 1))
    with pytest.raises(ConflictError, match="became disabled"):
        world.alice.rotate(name)
    assert world.states(name) == ["disabled", "pre-active"]
    world.bob.enable(name, 1)
    second = world.alice.rotate(name)
    assert announced(world, name, 2) == [world.alice.show(name, 1).key_id, second.key_id]
    assert world.states(name) == ["verify-only", "active"]


def test_a_disabled_key_does_nothing_until_it_is_enabled(world: World) -> None:
    name = world.make()
    signature = world.alice.sign(name, MESSAGE).signature

    assert world.bob.disable(name).state == "disabled"
    for use in (
        lambda: world.alice.sign(name, MESSAGE),
        lambda: world.alice.verify(name, MESSAGE, signature),
        lambda: world.alice.disable(name),
        lambda: world.alice.retire(name, 1),
    ):
        with pytest.raises(DeniedError, match=r"disabled|no other"):
            use()
    assert world.alice.enable(name).state == "active"
    assert world.alice.verify(name, MESSAGE, world.alice.sign(name, MESSAGE).signature)
    with pytest.raises(DeniedError, match="not disabled"):
        world.alice.enable(name)


def test_what_was_verify_only_is_so_again(world: World) -> None:
    name = world.make()
    world.alice.rotate(name)
    world.alice.disable(name, 1)
    with pytest.raises(DeniedError, match="not active"):
        world.alice.retire(name, 1)
    assert world.states(name) == ["disabled", "active"]
    world.alice.enable(name)  # the version that is disabled, though another one is current
    assert world.states(name) == ["verify-only", "active"]


def test_a_disabled_key_that_was_replaced_does_not_sign_again(world: World) -> None:
    name = world.make("statement")
    world.alice.disable(name)
    world.alice.rotate(name)
    assert world.states(name) == ["disabled", "active"]
    assert world.kms.parts.register.row("local", name, 2)["announcement"] is None
    assert world.alice.enable(name, 1).state == "verify-only"


def test_a_name_is_free_again_after_a_provider_refused_to_make_the_key(world: World) -> None:
    """As AWS KMS does in regions that lack an algorithm."""
    name, generate = world.name("k"), world.provider.generate

    def refuse(handle: str, algorithm: str) -> None:
        raise BadInputError("not in this region")

    world.provider.generate = refuse
    with pytest.raises(BadInputError, match="region"):
        world.alice.create(name, world.signer, KeyPurpose.RAW)
    with pytest.raises(BadInputError, match="region"):
        world.alice.create(name, world.signer, KeyPurpose.STATEMENT)
    world.provider.generate = generate
    made = world.alice.create(name, world.signer, KeyPurpose.RAW)
    assert (made.state, world.alice.show(name)) == ("active", made)
    assert world.held() == {made.label}
    assert world.disagreements() == []


def test_unknown_keys_and_versions(world: World) -> None:
    name, none = world.make(), world.name("none")
    keys = world.alice
    for call in (
        lambda: keys.show(none),
        lambda: keys.show(name, 2),
        lambda: keys.usage(none),
        lambda: keys.policy(none),
        lambda: keys.sign(none, b""),
        lambda: keys.verify(name, b"", b"", version=2),
        lambda: keys.disable(none),
        lambda: keys.enable(name, 2),
        lambda: keys.retire(name, 2),
        lambda: keys.mark_compromised(none),
        lambda: keys.schedule_destruction(name, 3),
        lambda: keys.cancel_destruction(none),
        lambda: keys.set_policy(none, KeyPolicy()),
        lambda: keys.show("\N{SNOWMAN}/../" + "x" * 200),
    ):
        with pytest.raises(NotFoundError):
            call()
    assert world.states(name) == ["active"]
