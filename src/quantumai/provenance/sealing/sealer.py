"""Sealing: sign a statement, log it, hand out its proof. The only writer of keys and ledger."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial

from quantumai.canonical import sha256_hex
from quantumai.crypto_mode import CryptoMode
from quantumai.errors import ConflictError
from quantumai.keys.algorithms import PublicKey
from quantumai.keys.management.built_in import AUDIT, AUTHORITY, BUILT_IN
from quantumai.keys.management.internal_keys import InternalKeys
from quantumai.provenance.key_history.key_announcements import (
    ROTATION_LEAF,
    authority_rotations,
    missing_events,
    missing_rotations,
)
from quantumai.provenance.key_history.key_events import (
    KeyEvent,
    KeyEventHistory,
    KeyEventKind,
    LoggedEvent,
    build_key_event,
    key_status,
)
from quantumai.provenance.key_history.key_rotations import ROOT, rotation_problems
from quantumai.provenance.key_history.key_status import build_key_status
from quantumai.provenance.ledger.checkpoint import stated_head
from quantumai.provenance.ledger.commits import Leaf
from quantumai.provenance.ledger.proof import LedgerProof
from quantumai.provenance.ledger.run_ledger import Ledger
from quantumai.provenance.public_log.cosigned_checkpoints import CosignedCheckpoints
from quantumai.provenance.sealing.audit_anchor import AuditAnchor
from quantumai.provenance.sealing.key_announcer import KeyAnnouncer, Missing
from quantumai.provenance.sealing.ledger_anchor import anchor_problems
from quantumai.provenance.sealing.statement_signer import StatementSigner
from quantumai.provenance.sealing.trust_proposal import propose_trust
from quantumai.provenance.statements.dsse import parse_envelope
from quantumai.provenance.verification.mode_signatures import signing_keys
from quantumai.provenance.verification.trust import TrustFile, WitnessTrust
from quantumai.storage.objects import ObjectStore


class Sealer:
    """Signs with the statement keys, logs, and proves; `clock` returns aware UTC times.

    Proofs are handed out at the newest checkpoint that a quorum of `witnesses` cosigned, where that
    covers the leaf, and else at the newest one.
    """

    def __init__(
        self,
        keys: InternalKeys,
        ledger: Ledger,
        objects: ObjectStore,
        clock: Callable[[], datetime],
        witnesses: WitnessTrust | None = None,
    ) -> None:
        self.keys = keys
        self.witnesses = witnesses or WitnessTrust()
        self.ledger = ledger
        self._objects = objects
        self._clock = clock
        self.signer = StatementSigner(keys)
        self._history = KeyEventHistory(ledger, objects)
        self.audit_anchor = AuditAnchor(
            ledger.origin.replace("/ledger/", "/audit/"),
            ledger,
            objects,
            self.signer.sign_audit_head,
            partial(self.signer.public_keys, AUDIT),
            clock,
        )
        self._announcer = KeyAnnouncer(ledger, objects, self._by_authority, self.signer.are_active)
        self._announced: set[str] = set()  # ids of keys whose activation is in the ledger

    def ensure_ready(self, least_size: int = 0) -> None:
        """Make the keys and log what the ledger does not yet know of them; idempotent.

        Also completes a rotation that was interrupted between provider and ledger. Two processes
        at once log each event once, and whoever appends other leaves meanwhile delays nothing.
        Raises `LedgerError`, before anything is made, if leaves were lost: fewer than
        `least_size`, or than the ledger's caches know of.
        """
        self.ledger.require_size(least_size)
        # Before anything is signed: a log that was rolled back must not be vouched for.
        if self.ledger.size():
            self.keys.audit_head(self.audit_anchor.newest())
        for name, built_in in BUILT_IN.items():
            if not built_in.on_demand:
                self.keys.ensure(name)
        active: set[str] = set()
        created_at = self._now()

        def missing(size: int) -> Missing:
            # Noted before it is compared: a key that is made later is for the next call.
            active.clear()
            active.update(key.key_id for key in self.keys.every_version() if key.activated_at)
            return self._missing(size, created_at)

        self._announcer.announce(missing, self._audit_checkpoint)
        self._announced = active

    def sign(self, statement: bytes, mode: CryptoMode = CryptoMode.PQC_REQUIRED) -> bytes:
        """Envelope (canonical JSON) of `statement`, signed by the current keys of a crypto mode.

        The post-quantum signature comes first. In the overlap of a rotation a key signs twice.
        """
        return self.sign_with(signing_keys(mode), statement)

    def seal(
        self,
        leaf_type: str,
        statement: bytes,
        *,
        mode: CryptoMode = CryptoMode.PQC_REQUIRED,
        folder: str = "",
        keep: Callable[[bytes], object] | None = None,
        anchor_audit: bool = False,
    ) -> tuple[bytes, int]:
        """Sign and log in one: the envelope, and the index of its leaf.

        The leaf lies where the keys that signed count, whoever rotates them meanwhile. With
        `folder` the envelope is stored there before, under its SHA-256, so that no leaf stands for
        nothing; with `keep` that is called with it before. With `anchor_audit` the audit log's
        head is anchored in the same commit.
        """
        return self.seal_with(
            signing_keys(mode),
            leaf_type,
            statement,
            folder=folder,
            keep=keep,
            anchor_audit=anchor_audit,
        )

    def sign_with(self, names: Sequence[str], statement: bytes) -> bytes:
        """As `sign`, by the built-in keys of these names."""
        signed = self.signer.sign(names, statement)
        if not self._announced.issuperset(signature.key_id for signature in signed.signatures):
            # Made just now, or rotated by another process: its activation must come first.
            self.ensure_ready()
        return signed.data

    def seal_with(
        self,
        names: Sequence[str],
        leaf_type: str,
        statement: bytes,
        *,
        folder: str = "",
        keep: Callable[[bytes], object] | None = None,
        anchor_audit: bool = False,
    ) -> tuple[bytes, int]:
        """As `seal`, by the built-in keys of these names."""
        envelope = self.sign_with(names, statement)
        while True:
            digest = sha256_hex(envelope)
            leaves = [Leaf(leaf_type, 1, digest)]
            if folder:
                self._objects.put_once(f"{folder}/{digest}", envelope)
            if keep is not None:
                keep(envelope)
            if anchor_audit:
                leaves.append(self.audit_leaf())
            try:
                # Asked once the ledger's size is known: a retirement that is logged later comes
                # after this leaf, and one before makes the signature anew.
                may_sign = partial(self.signer.are_active, envelope)
                index = self.ledger.append(leaves, guard=may_sign)[0]
            except ConflictError:
                envelope = self.sign_with(names, statement)
                continue
            return envelope, index

    def log(self, leaf_type: str, envelope: bytes) -> int:
        """Append one envelope's leaf, durably, and return its index."""
        return self.log_all([(leaf_type, envelope)])[0]

    def log_all(self, leaves: Sequence[tuple[str, bytes]]) -> list[int]:
        """Append the leaves of several envelopes in one commit; return their indices."""
        return self.ledger.append([Leaf(kind, 1, sha256_hex(data)) for kind, data in leaves])

    def audit_leaf(self) -> Leaf:
        """The leaf of a fresh, stored checkpoint of the audit log."""
        return self.audit_anchor.leaf(self._audit_checkpoint())

    def proof(self, index: int, envelope: bytes) -> bytes:
        """Self-contained proof file for the leaf `index` of `envelope`."""
        checkpoint = CosignedCheckpoints(self.ledger).best(self.witnesses, index)
        head = stated_head(checkpoint)
        events = self._events(head.size)
        statuses = []
        for signature in parse_envelope(envelope).signatures:
            status = key_status(signature.key_id, head.size, head.root, events)
            statuses.append(self.signer.sign((AUTHORITY,), build_key_status(status)))
        path = self.ledger.inclusion_proof(index, head.size)
        rotations = authority_rotations(self.keys)
        return LedgerProof(index, tuple(path), checkpoint, tuple(statuses), rotations).data

    def announce_root(self, public: PublicKey) -> None:
        """Log the root's public key, so that everybody knows who may vouch in an emergency."""
        event = KeyEvent(
            event=KeyEventKind.ACTIVATION,
            key_id=public.key_id,
            alias=ROOT,
            key_version=1,
            algorithm=public.algorithm,
            spki=public.spki,
            created_at=self._now(),
        )

        def missing(size: int) -> Missing:
            is_known = any(logged.event.alias == ROOT for logged in self._events(size))
            return Missing(() if is_known else (event,))

        self._announcer.announce(missing)

    def verify_ledger(self) -> list[str]:
        """Recheck everything in the ledger, rotations of keys included; the problems found."""
        problems = self.ledger.verify()
        events = self._events(self.ledger.size())
        return [
            *problems,
            *rotation_problems(self.ledger, self._objects, events),
            *anchor_problems(self.ledger, self._objects, events),
            *CosignedCheckpoints(self.ledger).problems(self.witnesses.keys()),
        ]

    def key_events(self) -> list[LoggedEvent]:
        """All key events of the ledger, each checked to be signed by the authority."""
        return self._events(self.ledger.size())

    def export_trust(
        self,
        least_crypto_mode: CryptoMode = CryptoMode.PQC_REQUIRED,
        *,
        witnesses: WitnessTrust | None = None,
        tenants: Mapping[str, CryptoMode] | None = None,
    ) -> TrustFile:
        """Trust file with the home's own keys, as the ledger has them now."""
        events = self._events(self.ledger.size())
        return propose_trust(
            self.keys,
            self.ledger,
            events,
            least_crypto_mode,
            witnesses=witnesses or WitnessTrust(),
            tenants=tenants or {},
        )

    def _events(self, size: int) -> list[LoggedEvent]:
        return self._history.up_to(size, self.signer.public_keys(AUTHORITY))

    def _missing(self, size: int, created_at: str) -> Missing:
        events = missing_events(self.keys, self._events(size), created_at)
        logged = [leaf.sha256 for _, leaf in self.ledger.leaves(ROTATION_LEAF)]
        return Missing(events, missing_rotations(self.keys, logged))

    def _by_authority(self, event: KeyEvent) -> bytes:
        return self.signer.sign((AUTHORITY,), build_key_event(event)).data

    def _audit_checkpoint(self) -> bytes:
        return self.audit_anchor.signed(self.keys.audit_head())

    def _now(self) -> str:
        return self._clock().strftime("%Y-%m-%dT%H:%M:%SZ")
