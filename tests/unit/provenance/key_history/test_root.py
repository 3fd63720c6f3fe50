"""The root: it vouches for a new key when the present one is void, and only with two principals."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pqcrypto.sign.ml_dsa_87 as ml_dsa
import pytest
import slhdsa
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from quantumai.canonical import sha256_hex
from quantumai.errors import (
    ApprovalNeededError,
    BadInputError,
    ConflictError,
    DeniedError,
    KeyUnavailableError,
    LedgerError,
)
from quantumai.keys.algorithms import raw_public_bytes
from quantumai.keys.audit.entry import AuditEntry
from quantumai.keys.management.joint_calls import emergency_rotation
from quantumai.keys.management.kms import Kms
from quantumai.keys.management.records import Grant, KeyPolicy, KeyPurpose
from quantumai.keys.management.root import RootKey, emergency_rotate, make_root
from quantumai.keys.management.states import KeyState
from quantumai.provenance.key_history.key_events import KeyEvent, KeyEventKind, store_event
from quantumai.provenance.ledger.commits import Leaf
from quantumai.provenance.sealing.sealer import Sealer
from quantumai.provenance.statements.dsse import parse_envelope
from tests.key_management import ALICE, BOB, soft_keys

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> RootKey:
    provider = soft_keys(tmp_path_factory.mktemp("root"))
    public = make_root(provider)
    with pytest.raises(ConflictError, match="a root already"):
        make_root(provider)
    return RootKey(provider, public)


def test_a_void_key_is_followed_by_one_that_the_root_vouches_for(
    sealer: Sealer, root: RootKey, mark_compromised: Callable[..., None]
) -> None:
    parts = sealer.keys._parts
    kms = Kms(parts)
    void = sealer.keys.ensure("authority")
    with pytest.raises(ApprovalNeededError):
        emergency_rotate(parts, ALICE, root, "authority", None)
    with pytest.raises(ApprovalNeededError):  # the same principal again is not a second one
        emergency_rotate(parts, ALICE, root, "authority", None)
    with pytest.raises(ApprovalNeededError):  # nor is another one who wants something else
        emergency_rotate(parts, BOB, root, "authority", 3)
    assert kms.of(ALICE).show("authority") == void
    following = emergency_rotate(parts, BOB, root, "authority", None)
    assert kms.of(ALICE).show("authority", 1).state is KeyState.COMPROMISED
    assert (following.version, following.state) == (2, KeyState.ACTIVE)

    announcement = sealer.keys.announcement(following)
    assert announcement is not None
    payload = base64.b64decode(announcement["payload"])
    encoded = b"DSSEv1 28 application/vnd.in-toto+json %d %s" % (len(payload), payload)
    (root_id, by_root), (new_id, by_new) = announcement["signatures"]
    assert (root_id, new_id) == (root.public.key_id, following.key_id)
    assert following.public_key is not None
    # Each by a library that did not make it.
    raw_root = raw_public_bytes(root.public.spki_der)
    public = slhdsa.PublicKey.from_digest(raw_root, slhdsa.sha2_256s)
    assert public.verify_pure(encoded, base64.b64decode(by_root))
    new = raw_public_bytes(following.public_key.spki_der)
    ml_dsa.verify(new, encoded, base64.b64decode(by_new), b"")
    predicate = json.loads(payload)["predicate"]
    assert predicate["former"] == {
        "key_id": void.key_id,
        "version": 1,
        "state": "compromised",
    }

    size = sealer.ledger.size()
    sealer.ensure_ready()
    logged = {leaf.type for index in range(size, sealer.ledger.size())
              for leaf in [sealer.ledger.entry(index)]}  # fmt: skip
    assert logged == {"key-event", "key-rotation", "audit-checkpoint"}
    trusted = {key.key_id for key in sealer.export_trust().authority_keys}
    assert trusted == {following.key_id}
    # Nobody can know the root who was not told of it.
    (problem,) = sealer.verify_ledger()
    assert "neither the former key nor the root signed it" in problem
    sealer.announce_root(root.public)
    sealer.announce_root(root.public)
    assert sealer.verify_ledger() == []


@pytest.mark.parametrize("damage", ["swapped", "missing", "changed"])
def test_a_forged_announcement_is_found(
    sealer: Sealer, tmp_path: Path, rotate: Callable[[Sealer], str], damage: str
) -> None:
    rotate(sealer)
    assert sealer.verify_ledger() == []
    ((_, leaf),) = sealer.ledger.leaves("key-rotation")
    path = tmp_path / "home/objects/key-rotations" / leaf.sha256
    envelope = parse_envelope(path.read_bytes())
    former, following = envelope.signatures
    if damage == "missing":
        path.unlink()
    elif damage == "changed":
        path.write_bytes(path.read_bytes()[:-1])
    else:  # logged by somebody who has only one of the keys
        for kept in (former, following):
            other = former if kept is following else following
            forged = replace(envelope, signatures=(kept, replace(other, signature=bytes(3309))))
            digest = sha256_hex(forged.data)
            sealer._objects.put_once(f"key-rotations/{digest}", forged.data)
            sealer.ledger.append([Leaf("key-rotation", 1, digest)])
    assert len(sealer.verify_ledger()) == (2 if damage == "swapped" else 1)


def test_a_void_authority_announces_nothing_more(sealer: Sealer, root: RootKey) -> None:
    parts = sealer.keys._parts
    key = sealer.keys.ensure("statement")
    event = KeyEvent.of(KeyEventKind.RETIREMENT, key, "2026-03-04T05:06:07Z")
    forged = sealer._by_authority(event)  # kept by a thief who has the present authority
    with pytest.raises(ApprovalNeededError):
        emergency_rotate(parts, ALICE, root, "authority", None)
    emergency_rotate(parts, BOB, root, "authority", None)
    sealer.ensure_ready()
    sealer.ledger.append([store_event(sealer._objects, forged)])
    with pytest.raises(LedgerError, match="not signed by the authority"):
        sealer.ensure_ready()


def test_all_versions_are_void_and_each_step_is_audited(sealer: Sealer, root: RootKey) -> None:
    parts = sealer.keys._parts
    kms = Kms(parts)
    kms.of(ALICE).rotate("authority")  # version 1 is verify-only
    with pytest.raises(ApprovalNeededError):
        emergency_rotate(parts, ALICE, root, "authority", None)
    broken = parts.provider("soft").generate
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts.provider("soft"), "generate", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):  # killed, so to speak, after the voiding
            emergency_rotate(parts, BOB, root, "authority", None)
    assert parts.provider("soft").generate == broken
    states = [key.state for key in sealer.keys.every_version() if key.name == "authority"]
    assert states == [KeyState.COMPROMISED, KeyState.COMPROMISED, KeyState.PRE_ACTIVE]
    with pytest.raises(ApprovalNeededError):
        emergency_rotate(parts, BOB, root, "authority", None)
    assert emergency_rotate(parts, ALICE, root, "authority", None).version == 3
    entries = [AuditEntry.parse(text) for _, text in parts.audit.entries(0, 1000)]
    assert [
        (entry.operation, entry.principal, entry.version, entry.outcome.value)
        for entry in entries
        if entry.operation.startswith("emergency")
    ] == [
        ("emergency-void", "alice", 2, "approval-needed"),
        ("emergency-void", "bob", 2, "ok"),
        ("emergency-void", "bob", 1, "ok"),
        ("emergency-rotate", "bob", None, "failed"),
        ("emergency-void", "bob", 3, "approval-needed"),
        ("emergency-void", "alice", 3, "ok"),
        ("emergency-rotate", "alice", 3, "ok"),
    ]


def test_approvers_sign_an_emergency_too(sealer: Sealer, root: RootKey) -> None:
    parts = sealer.keys._parts
    first = sealer.keys.ensure("authority")
    signed = {}
    for caller in (ALICE, BOB):
        key = MLDSA65PrivateKey.generate()
        spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        Kms(parts).of(ALICE).enroll_approver(caller.principal, spki)
        asked = emergency_rotation("authority", 7)
        message = asked.to_sign(caller.tenant, caller.principal, parts.now()[:10])
        signed[caller] = replace(caller, approval=key.sign(message))
    for caller in (ALICE, BOB):
        with pytest.raises(DeniedError, match="not approved"):
            emergency_rotate(parts, caller, root, "authority", 7)
    with pytest.raises(ApprovalNeededError):
        emergency_rotate(parts, signed[ALICE], root, "authority", 7)
    with pytest.raises(DeniedError, match="no signature"):
        emergency_rotate(parts, signed[BOB], root, "authority", 0)
    assert sealer.keys.ensure("authority") == first
    assert emergency_rotate(parts, signed[BOB], root, "authority", 7).version == 2


def test_the_policy_binds_an_emergency_too(sealer: Sealer, root: RootKey) -> None:
    parts = sealer.keys._parts
    policy = KeyPolicy(grants=(Grant(("alice",)),))
    Kms(parts).of(ALICE).create("hers", "Ed25519", KeyPurpose.RAW, policy=policy)
    with pytest.raises(DeniedError):
        emergency_rotate(parts, BOB, root, "hers", None)
    with pytest.raises(BadInputError):
        emergency_rotate(parts, ALICE, root, "hers", -1)


def test_a_wrong_root_costs_no_key(sealer: Sealer, root: RootKey, tmp_path: Path) -> None:
    parts = sealer.keys._parts
    other = soft_keys(tmp_path / "other")
    make_root(other)
    stranger = RootKey(other, root.public)
    for caller in (ALICE, BOB):
        with pytest.raises(KeyUnavailableError, match="does not hold the root"):
            emergency_rotate(parts, caller, stranger, "statement", None)
    assert sealer.keys.ensure("statement").state is KeyState.ACTIVE
    for caller in (ALICE, BOB):
        with pytest.raises(DeniedError, match="new ledger"):
            emergency_rotate(parts, caller, root, "ledger-ml-dsa-44", None)
