"""Nightly anchors: the ledger's head under a hash-based signature (SLH-DSA), itself a leaf.

The checkpoint format knows ML-DSA-44 at most. Should lattices fall, the anchors still say what the
tree was on each night. Each envelope is stored write-once as `ledger-anchors/<sha256>`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import msgspec

from quantumai.errors import BadInputError, LedgerError
from quantumai.keys.algorithms import PublicKey
from quantumai.keys.management.built_in import LEDGER_ANCHOR as KEY_NAME
from quantumai.merkle import verify_consistency
from quantumai.provenance.key_history.key_events import KeyEventKind, LoggedEvent, signed_by
from quantumai.provenance.ledger.checkpoint import TreeHead, stated_head
from quantumai.provenance.ledger.run_ledger import Ledger
from quantumai.provenance.statements.dsse import Envelope
from quantumai.provenance.statements.statement import (
    LEDGER_ANCHOR,
    build_statement,
    is_sha256,
    parse_predicate,
)
from quantumai.provenance.statements.stored import stored_envelope
from quantumai.storage.objects import ObjectStore

if TYPE_CHECKING:
    from quantumai.provenance.sealing.sealer import Sealer

LEAF_TYPE = "ledger-anchor"
FOLDER = "ledger-anchors"
_SUBJECT = "ledger"


class LedgerAnchor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is signed: the ledger's origin, size in leaves, root (hex), and when it was so."""

    origin: str
    size: int
    root: str
    created_at: str

    @classmethod
    def of(cls, checkpoint: bytes, created_at: str) -> LedgerAnchor:
        """The anchor of a checkpoint at time `created_at` (ISO 8601 UTC)."""
        head = stated_head(checkpoint)
        return cls(head.origin, head.size, head.root.hex(), created_at)


def build_ledger_anchor(anchor: LedgerAnchor) -> bytes:
    """Statement bytes; its subject is the ledger, whose digest is the root."""
    return build_statement({_SUBJECT: anchor.root}, LEDGER_ANCHOR, msgspec.to_builtins(anchor))


def parse_ledger_anchor(envelope: Envelope) -> LedgerAnchor:
    """Read an anchor; its signature is not checked here. Raises `BadInputError`."""
    statement, anchor = parse_predicate(
        envelope.payload, LEDGER_ANCHOR, LedgerAnchor, "a ledger anchor"
    )
    if anchor.size < 1 or not is_sha256(anchor.root):
        raise BadInputError("the ledger anchor has no size or no root")
    if statement.digests != {_SUBJECT: anchor.root}:
        raise BadInputError("the ledger anchor is about another tree than its subject")
    return anchor


def anchor_ledger(sealer: Sealer, created_at: str) -> tuple[LedgerAnchor, int] | None:
    """Sign the newest checkpoint with the SLH-DSA key, and log that; for a nightly timer.

    Returns the anchor and its leaf's index; None if nothing but an anchor came since the last one.
    """
    anchor = LedgerAnchor.of(sealer.ledger.checkpoint(), created_at)
    logged = sealer.ledger.leaves(LEAF_TYPE)
    if logged and logged[-1][0] == anchor.size - 1:
        return None
    statement = build_ledger_anchor(anchor)
    return anchor, sealer.seal_with((KEY_NAME,), LEAF_TYPE, statement, folder=FOLDER)[1]


def anchor_problems(
    ledger: Ledger, objects: ObjectStore, events: Iterable[LoggedEvent]
) -> list[str]:
    """What is wrong with the anchors in a ledger, by the keys that its events activated."""
    if not ledger.size():
        return []
    known = {
        logged.event.key_id: PublicKey(
            logged.event.key_id, logged.event.algorithm, logged.event.spki
        )
        for logged in events
        if logged.event.event is KeyEventKind.ACTIVATION and logged.event.alias == KEY_NAME
    }
    return list(_problems(ledger, objects, known))


def _problems(ledger: Ledger, objects: ObjectStore, known: dict[str, PublicKey]) -> Iterator[str]:
    head = stated_head(ledger.checkpoint())
    for index, leaf in ledger.leaves(LEAF_TYPE):
        try:
            _check(stored_envelope(objects, FOLDER, leaf.sha256), index, head, ledger, known)
        except (BadInputError, LedgerError) as error:
            yield f"ledger anchor at leaf {index}: {error}"


def _check(
    envelope: Envelope, index: int, head: TreeHead, ledger: Ledger, known: dict[str, PublicKey]
) -> None:
    anchor = parse_ledger_anchor(envelope)
    if not signed_by(envelope, known):
        raise LedgerError("it is not signed by the ledger's SLH-DSA key")
    if anchor.origin != head.origin or anchor.size > index:
        raise LedgerError("it is about another ledger, or about leaves that come after it")
    proof = ledger.consistency_proof(anchor.size, head.size)
    if not verify_consistency(anchor.size, head.size, bytes.fromhex(anchor.root), head.root, proof):
        raise LedgerError("the ledger no longer extends the tree that was anchored")
