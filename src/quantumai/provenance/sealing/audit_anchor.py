"""Heads of the KMS's audit log, signed and anchored in the run ledger.

Whoever can rewrite the audit log's database cannot take back what the ledger, or somebody who
keeps a signed checkpoint, knows of it. Each envelope is stored write-once as
`audit-checkpoints/<sha256>`, before its leaf is appended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from quantumai.canonical import sha256_hex
from quantumai.errors import BadInputError, LedgerError
from quantumai.keys.algorithms import PublicKey
from quantumai.keys.audit.head import AuditHead
from quantumai.provenance.key_history.key_events import signed_by
from quantumai.provenance.ledger.commits import Leaf
from quantumai.provenance.ledger.run_ledger import Ledger
from quantumai.provenance.statements.dsse import Envelope, parse_envelope
from quantumai.provenance.statements.statement import (
    AUDIT_CHECKPOINT,
    build_statement,
    is_sha256,
    parse_predicate,
)
from quantumai.provenance.statements.stored import stored_envelope
from quantumai.storage.objects import ObjectStore

LEAF_TYPE = "audit-checkpoint"
FOLDER = "audit-checkpoints"
_SUBJECT = "audit-log"


class AuditCheckpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is signed: the log's name, its size, its Merkle root (hex), and when it was so."""

    log: str
    size: int
    root: str
    at: str

    @property
    def head(self) -> AuditHead:
        """The head that the log has to have."""
        return AuditHead(self.size, bytes.fromhex(self.root))


@dataclass(frozen=True)
class AnchoredCheckpoint:
    """A checkpoint and the index of its leaf in the run ledger."""

    index: int
    checkpoint: AuditCheckpoint


class AuditAnchor:
    """Checkpoints of the audit log called `log`, in a ledger and its object store.

    `sign` makes a DSSE envelope of a statement with the KMS's audit key; `keys` returns the public
    keys of all its versions, the only ones that are believed. `clock` returns aware UTC times.
    """

    def __init__(
        self,
        log: str,
        ledger: Ledger,
        objects: ObjectStore,
        sign: Callable[[bytes], bytes],
        keys: Callable[[], Iterable[PublicKey]],
        clock: Callable[[], datetime],
    ) -> None:
        self._log = log
        self._ledger = ledger
        self._objects = objects
        self._sign = sign
        self._keys = keys
        self._clock = clock

    def signed(self, head: AuditHead) -> bytes:
        """The envelope of a checkpoint of `head`, to be remembered elsewhere."""
        at = self._clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        checkpoint = AuditCheckpoint(self._log, head.size, head.root.hex(), at)
        return self._sign(build_audit_checkpoint(checkpoint))

    def anchor(self, envelope: bytes) -> int:
        """Store a signed checkpoint and append its leaf, durably; return the leaf's index.

        Raises as `read` does, before anything is stored.
        """
        return self._ledger.append([self.leaf(envelope)])[0]

    def leaf(self, envelope: bytes) -> Leaf:
        """Store a signed checkpoint and return its leaf, which the caller appends."""
        self.read(envelope)
        digest = sha256_hex(envelope)
        self._objects.put_once(f"{FOLDER}/{digest}", envelope)
        return Leaf(LEAF_TYPE, 1, digest)

    def read(self, envelope: bytes) -> AuditCheckpoint:
        """A checkpoint from its envelope, as it was remembered.

        Raises `BadInputError` if it is none, and `LedgerError` if it is of another log or not
        signed by this one's key.
        """
        checkpoint = self._signed(parse_envelope(envelope))
        if checkpoint.log != self._log:
            raise LedgerError(f"the checkpoint is of another audit log: {checkpoint.log[:80]!r}")
        return checkpoint

    def anchored(self) -> list[AnchoredCheckpoint]:
        """This log's checkpoints in the ledger, in the order in which they were anchored.

        Each one only demands more of the log, so a stolen audit key can make verification fail and
        never pass. Raises `LedgerError` for one that is missing, changed or not signed by `keys`.
        """
        found = []
        for index, leaf in self._ledger.leaves(LEAF_TYPE):
            checkpoint = self._stored(leaf.sha256)
            if checkpoint.log == self._log:
                found.append(AnchoredCheckpoint(index, checkpoint))
        return found

    def newest(self) -> AuditHead | None:
        """The head that was anchored last. Raises as `anchored` does."""
        for _, leaf in reversed(self._ledger.leaves(LEAF_TYPE)):
            checkpoint = self._stored(leaf.sha256)
            if checkpoint.log == self._log:
                return checkpoint.head
        return None

    def _stored(self, digest: str) -> AuditCheckpoint:
        try:
            return self._signed(stored_envelope(self._objects, FOLDER, digest))
        except (BadInputError, LedgerError) as error:
            raise LedgerError(f"audit checkpoint {digest[:16]}: {error}") from None

    def _signed(self, envelope: Envelope) -> AuditCheckpoint:
        checkpoint = parse_audit_checkpoint(envelope)
        if not signed_by(envelope, {key.key_id: key for key in self._keys()}):
            raise LedgerError("the checkpoint is not signed by this audit log's key")
        return checkpoint


def build_audit_checkpoint(checkpoint: AuditCheckpoint) -> bytes:
    """Statement bytes of a checkpoint; its subject is the log, whose digest is the root."""
    predicate = msgspec.to_builtins(checkpoint)
    return build_statement({_SUBJECT: checkpoint.root}, AUDIT_CHECKPOINT, predicate)


def parse_audit_checkpoint(envelope: Envelope) -> AuditCheckpoint:
    """Read a checkpoint; its signature is not checked here. Raises `BadInputError`."""
    statement, checkpoint = parse_predicate(
        envelope.payload, AUDIT_CHECKPOINT, AuditCheckpoint, "an audit checkpoint"
    )
    if checkpoint.size < 0 or not is_sha256(checkpoint.root):
        raise BadInputError("the audit checkpoint has no size or no root")
    if statement.digests != {_SUBJECT: checkpoint.root}:
        raise BadInputError("the audit checkpoint is about another log than its subject")
    return checkpoint
