"""Checking the announcements of rotations: who vouches is known to the ledger, and both signed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from quantumai.canonical import sha256_hex
from quantumai.errors import BadInputError, LedgerError, NotFoundError
from quantumai.keys.algorithms import PublicKey, verify_signature
from quantumai.keys.dsse_encoding import KEY_ROTATION
from quantumai.provenance.dsse import Envelope, parse_envelope
from quantumai.provenance.key_announcements import ROTATION_LEAF
from quantumai.provenance.key_events import KeyEventKind, LoggedEvent
from quantumai.provenance.ledger import Ledger
from quantumai.provenance.statement import parse_statement
from quantumai.storage.objects import ObjectStore

ROOT = "root"


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


class _Rotation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    former: _Former
    following: _Following
    created_at: str


def rotation_problems(
    ledger: Ledger, objects: ObjectStore, events: Iterable[LoggedEvent]
) -> list[str]:
    """What is wrong with the rotations in a ledger, by the keys that its events activated.

    Each has to be signed by the key that follows and by the one before it, or by the root.
    """
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
            _check(_stored(objects, leaf.sha256), known, roots)
        except (BadInputError, LedgerError) as error:
            problems.append(f"key rotation at leaf {index}: {error}")
    return problems


def _stored(objects: ObjectStore, digest: str) -> Envelope:
    try:
        data = objects.get(f"key-rotations/{digest}")
    except NotFoundError:
        raise LedgerError("it is missing") from None
    if sha256_hex(data) != digest:
        raise LedgerError("it was changed")
    return parse_envelope(data)


def _check(envelope: Envelope, known: Mapping[str, PublicKey], roots: set[str]) -> None:
    statement = parse_statement(envelope.payload)
    if statement.predicate_type != KEY_ROTATION:
        raise LedgerError(f"it is no rotation but {statement.predicate_type}")
    try:
        rotation = msgspec.convert(statement.predicate, _Rotation)
    except msgspec.ValidationError as error:
        raise LedgerError(f"it is malformed: {error}") from None
    following = rotation.following
    own = PublicKey(following.key_id, following.algorithm, following.spki).check()
    if known.get(own.key_id) != own:
        raise LedgerError("the key that follows was never activated")
    holding = {
        signature.key_id
        for signature in envelope.signatures
        if (key := known.get(signature.key_id)) is not None
        and verify_signature(
            key.algorithm, key.spki_der, envelope.signed_bytes, signature.signature
        )
    }
    if own.key_id not in holding:
        raise LedgerError("the key that follows did not sign it")
    if not holding & (roots | {rotation.former.key_id}):
        raise LedgerError("neither the former key nor the root signed it")
