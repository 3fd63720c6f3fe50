"""Sealing: sign a statement, log it, hand out its proof. The only writer of keys and ledger."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime

from quantumai.canonical import sha256_hex
from quantumai.crypto_mode import CryptoMode
from quantumai.errors import ConflictError
from quantumai.keys.algorithms import PublicKey
from quantumai.keys.dsse_encoding import IN_TOTO_PAYLOAD_TYPE
from quantumai.keys.management.built_in import AUDIT, AUTHORITY, BUILT_IN, STATEMENT
from quantumai.keys.management.internal_keys import InternalKeys
from quantumai.keys.management.key_use import public_half
from quantumai.keys.management.states import KeyState
from quantumai.provenance.audit_anchor import AuditAnchor
from quantumai.provenance.checkpoint import TreeHead
from quantumai.provenance.checkpoint_signer import KmsCheckpointSigner, ledger_origin
from quantumai.provenance.commits import CommitLog, Leaf
from quantumai.provenance.dsse import Envelope, envelope_of, parse_envelope
from quantumai.provenance.key_announcements import (
    ROTATION_LEAF,
    missing_events,
    missing_rotations,
)
from quantumai.provenance.key_events import (
    KeyEvent,
    KeyEventHistory,
    KeyEventKind,
    LoggedEvent,
    build_key_event,
    key_status,
    store_event,
)
from quantumai.provenance.key_rotations import ROOT, rotation_problems
from quantumai.provenance.key_status import build_key_status
from quantumai.provenance.ledger import Ledger
from quantumai.provenance.note import Note
from quantumai.provenance.proof import LedgerProof
from quantumai.provenance.statement import AUDIT_CHECKPOINT, predicate_type_of
from quantumai.provenance.trust import LedgerTrust, StatementKey, TrustFile
from quantumai.storage.objects import ObjectStore


def open_sealer(
    keys: InternalKeys,
    objects: ObjectStore,
    clock: Callable[[], datetime],
    *,
    least_size: int = 0,
) -> Sealer:
    """A ready sealer over the KMS and a store, with the home's own ledger.

    `least_size` is the number of leaves that are known to exist from elsewhere. Raises
    `LedgerError`, before anything is made or appended, if the ledger has fewer.
    """
    CommitLog(objects).require_size(least_size)  # before the ledger's keys are made
    origin = ledger_origin(keys)
    ledger = Ledger(objects, origin, KmsCheckpointSigner(keys, origin), clock)
    sealer = Sealer(keys, ledger, objects, clock)
    sealer.ensure_ready(least_size)
    return sealer


class Sealer:
    """Signs with the statement key, logs, and proves; `clock` returns aware UTC times."""

    def __init__(
        self,
        keys: InternalKeys,
        ledger: Ledger,
        objects: ObjectStore,
        clock: Callable[[], datetime],
    ) -> None:
        self.keys = keys
        self.ledger = ledger
        self._objects = objects
        self._clock = clock
        self._history = KeyEventHistory(ledger, objects)
        self.audit_anchor = AuditAnchor(
            ledger.origin.replace("/ledger/", "/audit/"),
            ledger,
            objects,
            self._signed_head,
            self._audit_keys,
            clock,
        )
        self._announced: set[str] = set()  # ids of keys whose activation is in the ledger

    def ensure_ready(self, least_size: int = 0) -> None:
        """Make the keys and log what the ledger does not yet know of them; idempotent.

        Also completes a rotation that was interrupted between provider and ledger. Two processes
        at once log each event once: an append is conditional on the size that was looked at.
        Raises `LedgerError`, before anything is made, if leaves were lost: fewer than
        `least_size`, or than the ledger's caches know of.
        """
        self.ledger.require_size(least_size)
        # Before anything is signed: a log that was rolled back must not be vouched for.
        if self.ledger.size():
            self.keys.audit_head(self.audit_anchor.newest())
        for name in BUILT_IN:
            self.keys.ensure(name)
        while missing := self._missing_leaves(size := self.ledger.size()):
            try:
                self.ledger.append([*missing, self.audit_leaf()], at_size=size)
            except ConflictError:
                continue
        self._announced = {key.key_id for key in self.keys.every_version()}

    def sign(self, statement: bytes) -> bytes:
        """Envelope (canonical JSON) of `statement`, signed by the current statement key.

        In the overlap of a rotation it has two signatures.
        """
        signed = self._signed(STATEMENT, statement)
        if not self._announced.issuperset(signature.key_id for signature in signed.signatures):
            # Another process rotated the key: its activation must come before what it signs.
            self.ensure_ready()
        return signed.data

    def seal(
        self, leaf_type: str, statement: bytes, *, anchor_audit: bool = False
    ) -> tuple[bytes, int]:
        """Sign and log in one: the envelope, and the index of its leaf.

        The leaf lies where the keys that signed count, whoever rotates them meanwhile. With
        `anchor_audit` the audit log's head is anchored in the same commit.
        """
        envelope = self.sign(statement)
        while True:
            size = self.ledger.size()
            # Looked at after the size: a retirement that comes later finds the ledger grown.
            if not self._all_active(envelope):
                envelope = self.sign(statement)
                continue
            leaves = [Leaf(leaf_type, 1, sha256_hex(envelope))]
            if anchor_audit:
                leaves.append(self.audit_leaf())
            try:
                index = self.ledger.append(leaves, at_size=size)[0]
            except ConflictError:
                continue
            return envelope, index

    def _all_active(self, envelope: bytes) -> bool:
        active = {k.key_id for k in self.keys.every_version() if k.state is KeyState.ACTIVE}
        return active.issuperset(s.key_id for s in parse_envelope(envelope).signatures)

    def log(self, leaf_type: str, envelope: bytes) -> int:
        """Append one envelope's leaf, durably, and return its index."""
        return self.log_all([(leaf_type, envelope)])[0]

    def log_all(self, leaves: Sequence[tuple[str, bytes]]) -> list[int]:
        """Append the leaves of several envelopes in one commit; return their indices."""
        return self.ledger.append([Leaf(kind, 1, sha256_hex(data)) for kind, data in leaves])

    def audit_leaf(self) -> Leaf:
        """The leaf of a fresh, stored checkpoint of the audit log."""
        return self.audit_anchor.leaf(self.audit_anchor.signed(self.keys.audit_head()))

    def proof(self, index: int, envelope: bytes) -> bytes:
        """Self-contained proof file for the leaf `index` of `envelope`, at the newest head."""
        checkpoint = self.ledger.checkpoint()
        head = TreeHead.parse(Note.parse(checkpoint).text)
        events = self._events(head.size)
        statuses = []
        for signature in parse_envelope(envelope).signatures:
            status = key_status(signature.key_id, head.size, head.root, events)
            statuses.append(self._signed(AUTHORITY, build_key_status(status)))
        path = self.ledger.inclusion_proof(index, head.size)
        return LedgerProof(index, tuple(path), checkpoint, tuple(statuses)).data

    def announce_root(self, public: PublicKey) -> None:
        """Log the root's public key, so that everybody knows who may vouch in an emergency."""
        while True:
            size = self.ledger.size()
            if any(logged.event.alias == ROOT for logged in self._events(size)):
                return
            event = KeyEvent(
                event=KeyEventKind.ACTIVATION,
                key_id=public.key_id,
                alias=ROOT,
                key_version=1,
                algorithm=public.algorithm,
                spki=public.spki,
                created_at=self._now(),
            )
            leaf = store_event(self._objects, self._by_authority(event))
            with suppress(ConflictError):
                self.ledger.append([leaf], at_size=size)

    def verify_ledger(self) -> list[str]:
        """Recheck everything in the ledger, rotations of keys included; the problems found."""
        problems = self.ledger.verify()
        events = self._events(self.ledger.size())
        return [*problems, *rotation_problems(self.ledger, self._objects, events)]

    def export_trust(self, least_crypto_mode: CryptoMode = CryptoMode.PQC_REQUIRED) -> TrustFile:
        """Trust file with the home's own keys, as the ledger has them now."""
        size = self.ledger.size()
        events = self._events(size)
        trusted = []
        for key in self.keys.every_version():
            if key.name != STATEMENT or not key.key_id:
                continue
            status = key_status(key.key_id, size, b"", events)
            if status.active_from_index is None:
                continue
            ends = status.ends_at_index
            if ends is not None:  # a compromise dated back further leaves an empty window
                ends = max(ends, status.active_from_index)
            trusted.append(
                StatementKey(
                    key_id=key.key_id,
                    algorithm=key.algorithm,
                    spki=public_half(key).spki,
                    valid_from_index=status.active_from_index,
                    valid_until_index=ends,
                )
            )
        vkeys = tuple(key.text for key in self.ledger.signer.verifier_keys())
        return TrustFile(
            ledger=LedgerTrust(self.ledger.origin, vkeys),
            authority_keys=tuple(
                key.public_key
                for key in self.keys.every_version()
                # What a void authority signed has to be signed again by the one that follows.
                if key.name == AUTHORITY
                and key.public_key
                and key.state is not KeyState.COMPROMISED
                and key.compromised_from is None
            ),
            statement_keys=tuple(trusted),
            least_crypto_mode=least_crypto_mode,
        ).check()

    def _authority(self) -> tuple[PublicKey, ...]:
        return self._public_keys(AUTHORITY)

    def _events(self, size: int) -> list[LoggedEvent]:
        return self._history.up_to(size, self._authority())

    def _missing_leaves(self, size: int) -> list[Leaf]:
        events = missing_events(self.keys, self._events(size), self._now())
        leaves = [store_event(self._objects, self._by_authority(event)) for event in events]
        logged = [leaf.sha256 for _, leaf in self.ledger.leaves(ROTATION_LEAF)] if size else []
        return leaves + missing_rotations(self.keys, self._objects, logged)

    def _by_authority(self, event: KeyEvent) -> bytes:
        return self._signed(AUTHORITY, build_key_event(event)).data

    def _signed_head(self, statement: bytes) -> bytes:
        made = self.keys.sign_audit_head(AUDIT_CHECKPOINT, statement)
        return envelope_of(statement, [made]).data

    def _audit_keys(self) -> tuple[PublicKey, ...]:
        return self._public_keys(AUDIT)

    def _public_keys(self, name: str) -> tuple[PublicKey, ...]:
        versions = self.keys.every_version()
        return tuple(v.public_key for v in versions if v.name == name and v.public_key)

    def _signed(self, name: str, statement: bytes) -> Envelope:
        kind = predicate_type_of(statement)
        made = self.keys.sign_statement(name, IN_TOTO_PAYLOAD_TYPE, kind, statement)
        return envelope_of(statement, made)

    def _now(self) -> str:
        return self._clock().strftime("%Y-%m-%dT%H:%M:%SZ")
