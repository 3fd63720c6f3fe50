"""Where two approvers are enrolled, it takes two post-quantum signatures to end a key.

What is signed is written out here by hand, and signed by other libraries, as an approver would.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import pqcrypto.sign.slh_dsa_sha2_128f as slh_dsa
import pqcrypto.sign.slh_dsa_sha2_256f as longest_slh_dsa
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, mldsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from quantumai.errors import (
    ApprovalNeededError,
    BadInputError,
    ConflictError,
    DeniedError,
    NotFoundError,
)
from quantumai.keys.management.records import Caller, KeyPolicy, KeyPurpose
from quantumai.keys.spki import spki_of_raw
from quantumai.services.kms.client import HttpKeyManagement
from tests.kms_world import SERVED, WORLDS, World

TODAY, YESTERDAY, BEFORE = "2026-03-04", "2026-03-03", "2026-03-02"
Sign = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Key:
    """What an approver has at home."""

    spki: bytes
    sign: Sign

    @property
    def id(self) -> str:
        return hashlib.sha256(self.spki).hexdigest()


def ml_dsa() -> Key:
    private = mldsa.MLDSA65PrivateKey.generate()
    spki = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return Key(spki, private.sign)


def slh(module: Any, algorithm: str) -> Key:
    public, secret = (bytes(half) for half in module.keygen())
    return Key(spki_of_raw(algorithm, public), lambda message: bytes(module.sign(secret, message)))


@cache
def key_of(principal: str) -> Key:
    if principal == "bob":
        return slh(slh_dsa, "SLH-DSA-SHA2-128f")
    return ml_dsa()


def to_sign(
    principal: str,
    operation: str,
    target: str,
    arguments: dict[str, Any],
    day: str = TODAY,
    tenant: str = "local",
) -> bytes:
    """DSSE's encoding of the statement; sorted JSON without blanks is RFC 8785 for such values."""

    def canonical(value: Any) -> bytes:
        return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()

    digest = hashlib.sha256(canonical([tenant, operation, target, arguments])).hexdigest()
    payload = canonical(
        {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": target, "digest": {"sha256": digest}}],
            "predicateType": "urn:quantumai:approval:v1",
            "predicate": {
                "tenant": tenant,
                "operation": operation,
                "target": target,
                "arguments": arguments,
                "principal": principal,
                "day": day,
            },
        }
    )
    return b"DSSEv1 28 application/vnd.in-toto+json %d %s" % (len(payload), payload)


def local(world: World, principal: str, approval: bytes = b"") -> Any:
    """The keys in process: approvers are managed on the home's machine alone."""
    return world.kms.of(Caller("local", principal, approval=approval))


def approving(world: World, principal: str, signature: bytes) -> Any:
    """The keys as a principal uses them with an approval, in process or over HTTP."""
    keys = world.as_(principal)
    if isinstance(keys, HttpKeyManagement):
        return keys.with_approval(signature)
    return local(world, principal, signature)


def signed_by(principal: str, *call: Any, key: Key | None = None, **more: Any) -> bytes:
    return (key or key_of(principal)).sign(to_sign(principal, *call, **more))


def destroy(world: World, principal: str, name: str, signature: bytes | None = None) -> Any:
    made = signed_by(principal, *destruction(name)) if signature is None else signature
    return approving(world, principal, made).schedule_destruction(name, 1, waiting_days=5)


def destruction(name: str, days: int = 5) -> tuple[str, str, dict[str, Any]]:
    return "destroy", f"{name}/1", {"waiting_days": days}


def proposals(world: World) -> list[Any]:
    return world.kms.parts.database.select("kms_proposals")


@pytest.fixture(params=[kind for kind in WORLDS if kind in ("soft", "soft" + SERVED)])
def provider(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Approvals never reach a provider: one is enough."""
    from tests.kms_world import open_provider

    with open_provider(request.param, tmp_path_factory.mktemp("provider")) as keys:
        yield request.param, keys


@pytest.fixture
def quorum(world: World) -> World:
    """A world in which alice and bob are approvers."""
    for principal in ("alice", "bob"):
        local(world, "alice").enroll_approver(principal, key_of(principal).spki)
    return world


def damaged(signature: bytes) -> bytes:
    return signature[:-1] + bytes([signature[-1] ^ 1])


def test_two_signatures_end_a_key_and_are_kept_to_be_shown(quorum: World) -> None:
    name = quorum.make()
    with pytest.raises(ApprovalNeededError):
        destroy(quorum, "alice", name)
    assert quorum.states(name) == ["active"]
    assert destroy(quorum, "bob", name).state == "destroy-scheduled"

    (row,) = proposals(quorum)
    for envelope, principal in zip(row["approvals"], ("alice", "bob"), strict=True):
        payload = base64.b64decode(envelope["payload"])
        (signature,) = envelope["signatures"]
        assert to_sign(principal, *destruction(name)).endswith(b" " + payload)
        assert signature["keyid"] == key_of(principal).id
        assert base64.b64decode(signature["sig"])
    raw = base64.b64decode(row["approvals"][1]["signatures"][0]["sig"])
    slh_dsa.verify(key_of("bob").spki[-32:], to_sign("bob", *destruction(name)), raw)


@pytest.mark.parametrize("first", [True, False])
def test_no_other_signature_will_do(quorum: World, first: bool) -> None:
    name = quorum.make()
    if not first:
        with pytest.raises(ApprovalNeededError):
            destroy(quorum, "alice", name)
    before = proposals(quorum)
    call, good = destruction(name), key_of("bob")
    for why, signature in {
        "none": b"",
        "noise": b"\x00" * 17088,
        "damaged": damaged(good.sign(to_sign("bob", *call))),
        "another's key": signed_by("bob", *call, key=key_of("alice")),
        "a key of nobody": signed_by("bob", *call, key=ml_dsa()),
        "another's statement": good.sign(to_sign("alice", *call)),
        "another operation": signed_by("bob", "compromised", *call[1:]),
        "another target": signed_by("bob", call[0], f"{name}/2", call[2]),
        "other arguments": signed_by("bob", *destruction(name, 6)),
        "another tenant": signed_by("bob", *call, tenant="other"),
        "too old": signed_by("bob", *call, day=BEFORE),
        "of tomorrow": signed_by("bob", *call, day="2026-03-05"),
        "without its encoding": good.sign(to_sign("bob", *call).partition(b"json ")[2]),
    }.items():
        with pytest.raises(DeniedError) as refused:
            destroy(quorum, "bob", name, signature)
        assert "--approval-request" in refused.value.hint, why
        assert proposals(quorum) == before, why
    assert [e.outcome for e in quorum.entries()][-13:] == ["denied"] * 13
    assert quorum.states(name) == ["active"]


def test_a_signature_of_yesterday_still_counts(quorum: World) -> None:
    name = quorum.make()
    with pytest.raises(ApprovalNeededError):
        destroy(quorum, "alice", name, signed_by("alice", *destruction(name), day=YESTERDAY))
    late = signed_by("bob", *destruction(name), day=TODAY)
    quorum.clock.advance(hours=20)  # past midnight: the proposal, of two days ago, still stands
    assert destroy(quorum, "bob", name, late).state == "destroy-scheduled"


def test_the_same_approver_twice_is_not_two(quorum: World) -> None:
    second = ml_dsa()
    call = ("enroll-approver", "alice", {"key_id": second.id})
    with pytest.raises(ApprovalNeededError):
        local(quorum, "alice", signed_by("alice", *call)).enroll_approver("alice", second.spki)
    local(quorum, "bob", signed_by("bob", *call)).enroll_approver("alice", second.spki)

    name = quorum.make()
    with pytest.raises(ApprovalNeededError):
        destroy(quorum, "alice", name)
    with pytest.raises(ApprovalNeededError):
        destroy(quorum, "alice", name, signed_by("alice", *destruction(name), key=second))
    with pytest.raises(DeniedError, match="carol is no approver"):
        destroy(quorum, "carol", name, key_of("carol").sign(to_sign("carol", *destruction(name))))
    assert quorum.states(name) == ["active"]


def test_an_approval_counts_once(quorum: World) -> None:
    name = quorum.make()
    approvals = {p: signed_by(p, *destruction(name)) for p in ("alice", "bob")}
    with pytest.raises(ApprovalNeededError):
        destroy(quorum, "alice", name, approvals["alice"])
    with pytest.raises(ApprovalNeededError):
        destroy(quorum, "alice", name, approvals["alice"])  # the same call again, to be sure
    destroy(quorum, "bob", name, approvals["bob"])
    quorum.alice.cancel_destruction(name)
    for principal, signature in approvals.items():
        with pytest.raises(DeniedError, match="used already"):
            destroy(quorum, principal, name, signature)
    with pytest.raises(ApprovalNeededError):
        destroy(quorum, "bob", name)
    assert destroy(quorum, "alice", name).state == "destroy-scheduled"
    (row,) = proposals(quorum)
    assert len(row["approvals"]) == 4


def test_a_removed_approver_counts_no_more_nor_does_what_it_proposed(quorum: World) -> None:
    carol, name = key_of("carol"), quorum.make()
    both(quorum, "enroll_approver", "carol", carol.spki, {"key_id": carol.id})
    with pytest.raises(ApprovalNeededError):
        destroy(quorum, "carol", name)
    both(quorum, "remove_approver", "carol", carol.id, {"key_id": carol.id})
    with pytest.raises(DeniedError, match="carol is no approver"):
        destroy(quorum, "carol", name)
    with pytest.raises(ApprovalNeededError):  # the first call, not the second
        destroy(quorum, "bob", name)
    assert destroy(quorum, "alice", name).state == "destroy-scheduled"
    with pytest.raises(ConflictError, match="was an approver's"):
        local(quorum, "alice").enroll_approver("carol", carol.spki)


def both(world: World, method: str, principal: str, key: Any, arguments: dict[str, Any]) -> None:
    """Alice and bob enroll or remove an approver."""
    call = (method.replace("_", "-"), principal, arguments)
    with pytest.raises(ApprovalNeededError):
        getattr(local(world, "alice", signed_by("alice", *call)), method)(principal, key)
    getattr(local(world, "bob", signed_by("bob", *call)), method)(principal, key)


def test_names_propose_nothing_that_a_quorum_would_confirm(world: World) -> None:
    name = world.make()
    with pytest.raises(ApprovalNeededError):
        world.alice.schedule_destruction(name, 1, waiting_days=5)
    local(world, "alice").enroll_approver("alice", key_of("alice").spki)
    with pytest.raises(ApprovalNeededError):
        world.alice.schedule_destruction(name, 1, waiting_days=5)  # one approver is no quorum
    local(world, "alice").enroll_approver("bob", key_of("bob").spki)
    with pytest.raises(ApprovalNeededError):
        destroy(world, "bob", name)
    assert destroy(world, "alice", name).state == "destroy-scheduled"


def test_two_keys_of_one_principal_are_no_quorum(world: World) -> None:
    name = world.make()
    for key in (key_of("alice"), ml_dsa()):
        local(world, "alice").enroll_approver("alice", key.spki)
    with pytest.raises(ApprovalNeededError):
        world.alice.schedule_destruction(name)
    assert world.bob.schedule_destruction(name).state == "destroy-scheduled"


def test_a_forged_proposal_in_the_database_confirms_nothing(quorum: World) -> None:
    name = quorum.make()
    with pytest.raises(ApprovalNeededError):
        destroy(quorum, "alice", name)
    quorum.kms.parts.database.update("kms_proposals", {"proposer": "alice"}, {"proposer": "carol"})
    with pytest.raises(ApprovalNeededError):
        destroy(quorum, "bob", name)
    assert quorum.states(name) == ["active"]


def test_who_may_be_enrolled(quorum: World) -> None:
    classical = ed25519.Ed25519PrivateKey.generate().public_key()
    spki = classical.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    alice = local(quorum, "alice")
    with pytest.raises(BadInputError, match="is post-quantum, and Ed25519 is not"):
        alice.enroll_approver("carol", spki)
    with pytest.raises(BadInputError, match="is the home itself"):
        alice.enroll_approver("quantumai", key_of("carol").spki)
    with pytest.raises(ConflictError, match="is or was an approver's"):
        alice.enroll_approver("carol", key_of("alice").spki)  # would be a quorum by itself
    own = quorum.alice.create(quorum.name("own"), "ML-DSA-44", KeyPurpose.RAW)
    assert own.public_key
    with pytest.raises(ConflictError, match="this home holds the key itself"):
        alice.enroll_approver("carol", own.public_key.spki_der)
    with pytest.raises(DeniedError, match="not approved"):
        alice.enroll_approver("carol", key_of("carol").spki)  # free no longer
    with pytest.raises(DeniedError, match="two approvers at least"):
        alice.remove_approver("bob", key_of("bob").id)
    with pytest.raises(NotFoundError):
        alice.remove_approver("bob", key_of("carol").id)
    remote = quorum.kms.of(Caller("local", "alice", is_remote=True))
    with pytest.raises(DeniedError, match="on the home's machine"):
        remote.enroll_approver("carol", key_of("carol").spki)
    assert [a.principal for a in alice.approvers()] == ["alice", "bob"]
    assert {(e.operation, e.outcome) for e in quorum.entries() if "approver" in e.operation} == {
        ("enroll-approver", "ok"),
        ("enroll-approver", "failed"),
        ("enroll-approver", "denied"),
        ("remove-approver", "failed"),
        ("remove-approver", "denied"),
        ("approvers", "ok"),
    }


def test_a_policy_is_changed_and_a_key_voided_by_signatures_too(quorum: World) -> None:
    name, policy = quorum.make(), KeyPolicy(uses_per_minute=7)
    wanted = {
        "grants": [{"principals": ["*"], "operations": ["*"]}],
        "payload_types": ["*"],
        "predicate_types": ["*"],
        "uses_per_minute": 7,
        "rotate_after_days": None,
        "rotate_after_uses": None,
    }
    for principal in ("alice", "bob"):
        with pytest.raises(DeniedError):
            quorum.as_(principal).set_policy(name, policy)
    for call, do in (
        (("set-policy", name, wanted), lambda keys: keys.set_policy(name, policy)),
        (
            ("compromised", f"{name}/1", {"from_index": 3}),
            lambda keys: keys.mark_compromised(name, 1, from_index=3),
        ),
    ):
        with pytest.raises(ApprovalNeededError):
            do(approving(quorum, "alice", signed_by("alice", *call)))
        do(approving(quorum, "bob", signed_by("bob", *call)))
    assert quorum.alice.policy(name) == policy
    assert quorum.states(name) == ["compromised"]


def test_the_longest_signature_fits_and_none_is_shown(quorum: World) -> None:
    key, name = slh(longest_slh_dsa, "SLH-DSA-SHA2-256f"), quorum.make()
    both(quorum, "enroll_approver", "carol", key.spki, {"key_id": key.id})
    signature = signed_by("carol", *destruction(name), key=key)
    assert len(signature) == 49_856
    with pytest.raises(ApprovalNeededError):
        destroy(quorum, "carol", name, signature)
    assert "approval" not in repr(Caller("local", "carol", approval=signature))
