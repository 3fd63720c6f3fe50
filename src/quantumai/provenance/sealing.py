"""Sealing: sign a statement, log it, hand out its proof. The only writer of keys and ledger."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from quantumai.canonical import sha256_hex
from quantumai.crypto_mode import CryptoMode
from quantumai.errors import BadInputError, ConflictError, KeyUnavailableError
from quantumai.keys.algorithms import (
    ED25519,
    ML_DSA_44,
    ML_DSA_65,
    ML_DSA_87,
    PublicKey,
    raw_public_bytes,
)
from quantumai.keys.port import KeyProvider, KeyRecord, KeyState
from quantumai.provenance.checkpoint import TreeHead, cosigned_message
from quantumai.provenance.commits import CommitLog, Leaf
from quantumai.provenance.dsse import parse_envelope, sign_payload
from quantumai.provenance.key_events import (
    KeyEvent,
    KeyEventHistory,
    KeyEventKind,
    LoggedEvent,
    build_key_event,
    key_status,
    store_event,
)
from quantumai.provenance.key_status import build_key_status
from quantumai.provenance.ledger import Ledger
from quantumai.provenance.note import (
    TYPE_ED25519,
    TYPE_ML_DSA_44,
    Note,
    NoteSignature,
    VerifierKey,
)
from quantumai.provenance.proof import LedgerProof
from quantumai.provenance.trust import LedgerTrust, StatementKey, TrustFile
from quantumai.storage.objects import ObjectStore

AUTHORITY, STATEMENT = "authority", "statement"
LEDGER_CLASSICAL, LEDGER_PQC = "ledger-ed25519", "ledger-ml-dsa-44"
_ALGORITHMS = {
    AUTHORITY: ML_DSA_87,
    STATEMENT: ML_DSA_65,
    LEDGER_CLASSICAL: ED25519,
    LEDGER_PQC: ML_DSA_44,
}


class ProviderCheckpointSigner:
    """Signs checkpoints with the provider's two ledger keys, made on first use.

    The ledger's keys are not rotated: a ledger with new keys is a new ledger.
    """

    def __init__(self, keys: KeyProvider, origin: str) -> None:
        self._keys = keys
        self._origin = origin
        self._made: tuple[tuple[VerifierKey, str], ...] = ()

    def sign(self, head: TreeHead, timestamp: int) -> tuple[NoteSignature, ...]:
        """See `CheckpointSigner.sign`."""
        (classical, classical_id), (pqc, pqc_id) = self._pairs()
        message = cosigned_message(pqc.name, timestamp, head)
        cosignature = timestamp.to_bytes(8, "big") + self._keys.sign(pqc_id, message)
        return (
            NoteSignature(
                classical.name, classical.key_id, self._keys.sign(classical_id, head.text.encode())
            ),
            NoteSignature(pqc.name, pqc.key_id, cosignature),
        )

    def verifier_keys(self) -> tuple[VerifierKey, ...]:
        """See `CheckpointSigner.verifier_keys`."""
        return tuple(key for key, _ in self._pairs())

    def _pairs(self) -> tuple[tuple[VerifierKey, str], ...]:
        if not self._made:
            types = {LEDGER_CLASSICAL: TYPE_ED25519, LEDGER_PQC: TYPE_ML_DSA_44}
            made = []
            for alias, signature_type in types.items():
                record = self._keys.create(alias, _ALGORITHMS[alias])
                public = raw_public_bytes(record.public_key.spki_der)
                key = VerifierKey(self._origin, signature_type, public)
                made.append((key, record.key_id))
            self._made = tuple(made)
        return self._made


def ledger_origin(keys: KeyProvider) -> str:
    """Name of the home's ledger, after its ML-DSA-44 key (made on first use)."""
    return f"quantumai/ledger/{keys.create(LEDGER_PQC, ML_DSA_44).key_id[:16]}"


def open_sealer(
    keys: KeyProvider,
    objects: ObjectStore,
    clock: Callable[[], datetime],
    *,
    least_size: int = 0,
) -> Sealer:
    """A ready sealer over a provider and a store, with the home's own ledger.

    `least_size` is the number of leaves that are known to exist from elsewhere. Raises
    `LedgerError`, before anything is made or appended, if the ledger has fewer.
    """
    CommitLog(objects).require_size(least_size)  # before the ledger's keys are made
    origin = ledger_origin(keys)
    ledger = Ledger(objects, origin, ProviderCheckpointSigner(keys, origin), clock)
    sealer = Sealer(keys, ledger, objects, clock)
    sealer.ensure_ready(least_size)
    return sealer


class Sealer:
    """Signs with the statement key, logs, and proves; `clock` returns aware UTC times."""

    def __init__(
        self,
        keys: KeyProvider,
        ledger: Ledger,
        objects: ObjectStore,
        clock: Callable[[], datetime],
    ) -> None:
        self.keys = keys
        self.ledger = ledger
        self._objects = objects
        self._clock = clock
        self._history = KeyEventHistory(ledger, objects)

    def ensure_ready(self, least_size: int = 0) -> None:
        """Make the keys and log what the ledger does not yet know of them; idempotent.

        Also completes a rotation that was interrupted between provider and ledger. Two processes
        at once log each event once: an append is conditional on the size that was looked at.
        Raises `LedgerError`, before anything is made, if leaves were lost: fewer than
        `least_size`, or than the ledger's caches know of.
        """
        self.ledger.require_size(least_size)
        for alias, algorithm in _ALGORITHMS.items():
            self.keys.create(alias, algorithm)
        while missing := self._unlogged_events(size := self.ledger.size()):
            try:
                self.ledger.append([self._event_leaf(event) for event in missing], at_size=size)
            except ConflictError:
                continue

    def sign(self, statement: bytes) -> bytes:
        """Envelope (canonical JSON) of `statement`, signed by the current statement key."""
        try:
            key_id = self.keys.current(STATEMENT).key_id
            return sign_payload(statement, [key_id], self.keys).data
        except KeyUnavailableError:
            renewed = self.keys.current(STATEMENT).key_id
            if renewed == key_id:
                raise
            # Another process rotated the key in between.
            self.ensure_ready()
            return sign_payload(statement, [renewed], self.keys).data

    def log(self, leaf_type: str, envelope: bytes) -> int:
        """Append one envelope's leaf, durably, and return its index."""
        return self.log_all([(leaf_type, envelope)])[0]

    def log_all(self, leaves: Sequence[tuple[str, bytes]]) -> list[int]:
        """Append the leaves of several envelopes in one commit; return their indices."""
        return self.ledger.append([Leaf(kind, 1, sha256_hex(data)) for kind, data in leaves])

    def proof(self, index: int, envelope: bytes) -> bytes:
        """Self-contained proof file for the leaf `index` of `envelope`, at the newest head."""
        checkpoint = self.ledger.checkpoint()
        head = TreeHead.parse(Note.parse(checkpoint).text)
        events = self._events(head.size)
        statuses = []
        for signature in parse_envelope(envelope).signatures:
            status = key_status(signature.key_id, head.size, head.root, events)
            statuses.append(self._signed_by_authority(build_key_status(status)))
        path = self.ledger.inclusion_proof(index, head.size)
        envelopes = tuple(parse_envelope(data) for data in statuses)
        return LedgerProof(index, tuple(path), checkpoint, envelopes).data

    def rotate(self) -> KeyRecord:
        """Replace the statement key: the former is retired in the commit that activates the new."""
        record = self.keys.rotate(STATEMENT)
        self.ensure_ready()
        return record

    def mark_compromised(self, key_id: str, from_index: int | None = None) -> int:
        """Log that a key's signatures no longer count, from a leaf index on (default: now).

        Raises `BadInputError` for a negative index.
        """
        if from_index is not None and from_index < 0:
            raise BadInputError(f"leaf index {from_index} is negative")
        record = next(
            r for r in self.keys.list() if r.key_id == self.keys.public_key(key_id).key_id
        )
        event = KeyEvent.of(KeyEventKind.COMPROMISE, record, self._now(), from_index)
        return self.ledger.append([self._event_leaf(event)])[0]

    def export_trust(self, least_crypto_mode: CryptoMode = CryptoMode.PQC_REQUIRED) -> TrustFile:
        """Trust file with the home's own keys, as the ledger has them now."""
        size = self.ledger.size()
        events = self._events(size)
        trusted = []
        for record in self.keys.list():
            if record.alias != STATEMENT:
                continue
            status = key_status(record.key_id, size, b"", events)
            if status.active_from_index is None:
                continue
            ends = status.ends_at_index
            if ends is not None:  # a compromise dated back further leaves an empty window
                ends = max(ends, status.active_from_index)
            trusted.append(
                StatementKey(
                    key_id=record.key_id,
                    algorithm=record.algorithm,
                    spki=record.public_key.spki,
                    valid_from_index=status.active_from_index,
                    valid_until_index=ends,
                )
            )
        vkeys = tuple(key.text for key in self.ledger.signer.verifier_keys())
        return TrustFile(
            ledger=LedgerTrust(self.ledger.origin, vkeys),
            authority_keys=self._authority(),
            statement_keys=tuple(trusted),
            least_crypto_mode=least_crypto_mode,
        ).check()

    def _authority(self) -> tuple[PublicKey, ...]:
        return tuple(r.public_key for r in self.keys.list() if r.alias == AUTHORITY)

    def _events(self, size: int) -> list[LoggedEvent]:
        return self._history.up_to(size, self._authority())

    def _unlogged_events(self, size: int) -> list[KeyEvent]:
        logged = {(e.event.event, e.event.key_id) for e in self._events(size)}
        missing = []
        for record in self.keys.list():
            if record.alias not in _ALGORITHMS:
                continue
            due = [KeyEventKind.ACTIVATION]
            if record.state is KeyState.VERIFY_ONLY:
                due.append(KeyEventKind.RETIREMENT)
            missing += [
                KeyEvent.of(kind, record, self._now())
                for kind in due
                if (kind, record.key_id) not in logged
            ]
        return missing

    def _event_leaf(self, event: KeyEvent) -> Leaf:
        return store_event(self._objects, self._signed_by_authority(build_key_event(event)))

    def _signed_by_authority(self, statement: bytes) -> bytes:
        return sign_payload(statement, [self.keys.current(AUTHORITY).key_id], self.keys).data

    def _now(self) -> str:
        return self._clock().strftime("%Y-%m-%dT%H:%M:%SZ")
