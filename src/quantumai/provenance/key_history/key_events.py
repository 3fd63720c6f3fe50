"""Key events: activation, retirement and compromise, signed by the authority, each a leaf.

Each envelope is stored write-once as `key-events/<sha256>`, before its leaf is appended. The leaf
index decides when an event takes effect, so back-dating gains nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from quantumai.canonical import sha256_hex
from quantumai.errors import BadInputError, LedgerError
from quantumai.keys.algorithms import PublicKey, verify_signature
from quantumai.keys.management.records import KeyVersion
from quantumai.provenance.key_history.key_status import KeyStatus, earliest
from quantumai.provenance.ledger.commits import Leaf
from quantumai.provenance.ledger.run_ledger import Ledger
from quantumai.provenance.statements.dsse import Envelope
from quantumai.provenance.statements.statement import KEY_EVENT, build_statement, parse_predicate
from quantumai.provenance.statements.stored import stored_envelope
from quantumai.storage.objects import ObjectStore

LEAF_TYPE = "key-event"
FOLDER = "key-events"


class KeyEventKind(StrEnum):
    """What happened to a key."""

    ACTIVATION = "activation"
    RETIREMENT = "retirement"
    COMPROMISE = "compromise"


class KeyEvent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One event; `from_index` is only for a compromise that is dated back to a leaf index."""

    event: KeyEventKind
    key_id: str
    alias: str
    key_version: int
    algorithm: str
    spki: str
    created_at: str
    from_index: int | None = None
    provider: str = ""  # where the private key is, and the validation behind that
    validation: str = ""

    @classmethod
    def of(
        cls, kind: KeyEventKind, key: KeyVersion, created_at: str, validation: str = ""
    ) -> KeyEvent:
        """The event of a key version at time `created_at` (ISO 8601 UTC)."""
        public = key.public_key
        return cls(
            event=kind,
            key_id=key.key_id,
            alias=key.name,
            key_version=key.version,
            algorithm=key.algorithm,
            spki=public.spki if public else "",
            created_at=created_at,
            from_index=key.compromised_from if kind is KeyEventKind.COMPROMISE else None,
            provider=key.provider,
            validation=validation,
        )


@dataclass(frozen=True)
class LoggedEvent:
    """An event and the index of its leaf."""

    index: int
    event: KeyEvent


def build_key_event(event: KeyEvent) -> bytes:
    """Statement bytes of an event; its subject is the key, whose id is its SHA-256."""
    return build_statement({"key": event.key_id}, KEY_EVENT, msgspec.to_builtins(event))


def parse_key_event(envelope: Envelope) -> KeyEvent:
    """Read an event; its signature is not checked here. Raises `BadInputError`."""
    statement, event = parse_predicate(envelope.payload, KEY_EVENT, KeyEvent, "a key event")
    if statement.digests != {"key": event.key_id}:
        raise BadInputError("the key event is about another key than its subject")
    if event.from_index is not None and event.event is not KeyEventKind.COMPROMISE:
        raise BadInputError("only a compromise can be dated back")
    return event


def store_event(objects: ObjectStore, envelope: bytes) -> Leaf:
    """Store a signed event and return its leaf, which the caller appends."""
    digest = sha256_hex(envelope)
    objects.put_once(f"{FOLDER}/{digest}", envelope)
    return Leaf(LEAF_TYPE, 1, digest)


class KeyEventHistory:
    """The ledger's key events, read once each and kept in memory; threads may share it."""

    def __init__(self, ledger: Ledger, objects: ObjectStore) -> None:
        self._ledger = ledger
        self._objects = objects
        self._events: list[LoggedEvent] = []
        self._void: set[str] = set()  # ids of keys that an event before has called compromised
        self._seen = 0
        self._reading = threading.Lock()

    def up_to(self, size: int, authority: Iterable[PublicKey]) -> list[LoggedEvent]:
        """Events among the first `size` leaves, each checked to be signed by `authority`.

        An authority that was compromised is believed up to the leaf that says so. Raises
        `LedgerError` for a missing or forged event.
        """
        with self._reading:
            if size > self._seen:
                known = {key.key_id: key for key in authority}
                found = self._ledger.leaves(LEAF_TYPE, self._seen)
                for index, leaf in found:
                    if index < size:
                        believed = {k: key for k, key in known.items() if k not in self._void}
                        event = self._read(leaf.sha256, believed)
                        self._events.append(LoggedEvent(index, event))
                        if event.event is KeyEventKind.COMPROMISE:
                            self._void.add(event.key_id)
                self._seen = size
            return [logged for logged in self._events if logged.index < size]

    def _read(self, digest: str, authority: dict[str, PublicKey]) -> KeyEvent:
        try:
            envelope = stored_envelope(self._objects, FOLDER, digest)
            event = parse_key_event(envelope)
        except (BadInputError, LedgerError) as error:
            raise LedgerError(f"key event {digest[:16]}: {error}") from None
        if not signed_by(envelope, authority):
            raise LedgerError(f"key event {digest[:16]} is not signed by the authority")
        return event


def signed_by(envelope: Envelope, keys: dict[str, PublicKey]) -> bool:
    """Whether one of `keys` (by id) made one of the envelope's signatures."""
    return any(
        s.key_id in keys
        and verify_signature(
            keys[s.key_id].algorithm, keys[s.key_id].spki_der, envelope.signed_bytes, s.signature
        )
        for s in envelope.signatures
    )


def key_status(key_id: str, size: int, root: bytes, events: Iterable[LoggedEvent]) -> KeyStatus:
    """Status of a key at the ledger head (`size`, `root`), from the events before it."""
    own = [e for e in events if e.event.key_id == key_id and e.index < size]
    compromised = [
        e.index if e.event.from_index is None else min(e.index, e.event.from_index)
        for e in own
        if e.event.event is KeyEventKind.COMPROMISE
    ]
    activated = [e.event for e in own if e.event.event is KeyEventKind.ACTIVATION]
    return KeyStatus(
        key_id=key_id,
        tree_size=size,
        root_hash=root.hex(),
        active_from_index=earliest(
            e.index for e in own if e.event.event is KeyEventKind.ACTIVATION
        ),
        retired_at_index=earliest(e.index for e in own if e.event.event is KeyEventKind.RETIREMENT),
        compromised_from_index=earliest(compromised),
        provider=activated[0].provider if activated else "",
        validation=activated[0].validation if activated else "",
    )
