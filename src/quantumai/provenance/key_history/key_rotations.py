"""Announcements of rotations: who vouches for the key that follows, and that it holds itself.

Each is signed by the key that follows and by the one before it, or by the root. So an auditor who
believes the former authority, or the root, can follow an authority that was rotated since.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from quantumai.errors import BadInputError, LedgerError
from quantumai.keys.algorithms import PublicKey, verify_signature
from quantumai.keys.dsse_encoding import KEY_ROTATION
from quantumai.keys.management.built_in import AUTHORITY
from quantumai.provenance.key_history.key_announcements import ROTATION_LEAF
from quantumai.provenance.key_history.key_events import KeyEventKind, LoggedEvent
from quantumai.provenance.ledger.run_ledger import Ledger
from quantumai.provenance.statements.dsse import Envelope
from quantumai.provenance.statements.statement import parse_predicate
from quantumai.provenance.statements.stored import stored_envelope
from quantumai.storage.objects import ObjectStore

ROOT = "root"
ROTATIONS = "key-rotations"


class _Former(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    key_id: str
    version: int
    state: str


class _Following(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    key_id: str
    version: int
    algorithm: str
    spki: str
    provider: str

    @property
    def public_key(self) -> PublicKey:
        return PublicKey(self.key_id, self.algorithm, self.spki)


class Rotation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is announced: the key's name, its former and its following version."""

    name: str
    former: _Former
    following: _Following
    created_at: str


def rotation_problems(
    ledger: Ledger, objects: ObjectStore, events: Iterable[LoggedEvent]
) -> list[str]:
    """What is wrong with the rotations in a ledger, by the keys that its events activated."""
    known: dict[str, PublicKey] = {}
    roots: set[str] = set()
    for logged in events:
        event = logged.event
        if event.event is KeyEventKind.ACTIVATION:
            known[event.key_id] = PublicKey(event.key_id, event.algorithm, event.spki)
            roots |= {event.key_id} if event.alias == ROOT else set()
    problems = []
    for index, leaf in ledger.leaves(ROTATION_LEAF) if ledger.size() else []:
        try:
            _check(stored_envelope(objects, ROTATIONS, leaf.sha256), known, roots)
        except (BadInputError, LedgerError) as error:
            problems.append(f"key rotation at leaf {index}: {error}")
    return problems


def followed_authorities(
    believed: Iterable[PublicKey], root: PublicKey | None, rotations: Sequence[Envelope]
) -> dict[str, PublicKey]:
    """The authorities to believe, by id: `believed`, and those that follow by `rotations`.

    A rotation counts if the key that follows signed it, and either the root or the former
    authority, itself believed. Others are passed over: they add nothing. Raises `BadInputError`
    or `LedgerError` for one that is malformed.
    """
    known = {key.key_id: key for key in believed}
    read = [(envelope, parse_rotation(envelope)) for envelope in rotations]
    # In any order: each round follows one more link of the chain.
    for _ in read:
        for envelope, rotation in read:
            following = rotation.following.public_key.check()
            may_vouch = dict(known)
            if root is not None:
                may_vouch[root.key_id] = root
            holding = _holding(envelope, may_vouch | {following.key_id: following})
            vouched = {rotation.former.key_id} & known.keys()
            vouched |= {root.key_id} if root is not None else set()
            if rotation.name == AUTHORITY and following.key_id in holding and holding & vouched:
                known[following.key_id] = following
    return known


def parse_rotation(envelope: Envelope) -> Rotation:
    """Read an announcement; its signatures are not checked here. Raises `BadInputError`."""
    return parse_predicate(envelope.payload, KEY_ROTATION, Rotation, "a key rotation")[1]


def _check(envelope: Envelope, known: Mapping[str, PublicKey], roots: set[str]) -> None:
    rotation = parse_rotation(envelope)
    own = rotation.following.public_key.check()
    if known.get(own.key_id) != own:
        raise LedgerError("the key that follows was never activated")
    holding = _holding(envelope, known)
    if own.key_id not in holding:
        raise LedgerError("the key that follows did not sign it")
    if not holding & (roots | {rotation.former.key_id}):
        raise LedgerError("neither the former key nor the root signed it")


def _holding(envelope: Envelope, known: Mapping[str, PublicKey]) -> set[str]:
    """Ids of the `known` keys whose signatures hold."""
    return {
        signature.key_id
        for signature in envelope.signatures
        if (key := known.get(signature.key_id)) is not None
        and verify_signature(
            key.algorithm, key.spki_der, envelope.signed_bytes, signature.signature
        )
    }
