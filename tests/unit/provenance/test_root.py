"""The root: it vouches for a new key when the present one is void, and only with two principals."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pqcrypto.sign.slh_dsa_sha2_256s as slh_dsa
import pytest
from cryptography.hazmat.primitives.serialization import load_der_public_key

from quantumai.errors import (
    ApprovalNeededError,
    ConflictError,
    DeniedError,
    KeyUnavailableError,
    LedgerError,
)
from quantumai.keys.algorithms import raw_public_bytes
from quantumai.keys.management.kms import Kms
from quantumai.keys.management.root import RootKey, emergency_rotate, make_root
from quantumai.keys.management.states import KeyState
from quantumai.provenance.key_events import KeyEvent, KeyEventKind, store_event
from quantumai.provenance.sealing import Sealer
from tests.key_management import ALICE, BOB, soft_keys


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
    # Two libraries that signed neither.
    slh_dsa.verify(raw_public_bytes(root.public.spki_der), encoded, base64.b64decode(by_root), b"")
    new = load_der_public_key(following.public_key.spki_der)
    new.verify(base64.b64decode(by_new), encoded)  # type: ignore[union-attr, call-arg]
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
    assert sealer.ledger.verify() == []


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
