"""Checkpoints with witnesses' cosignatures: the objects `ledger/cosigned/<size>`.

A witness cosigns after the commit, so its words cannot be in it. Each object is the checkpoint of
that size with the cosignatures that were collected. It can be lost without harm: a witness gives
its cosignature again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from quantumai.errors import EvidenceError, LedgerError, NotFoundError
from quantumai.provenance.ledger.checkpoint import (
    TreeHead,
    stated_head,
    verified_keys,
    verify_checkpoint,
    with_signatures,
)
from quantumai.provenance.ledger.commits import COSIGNED_PREFIX, cosigned_key
from quantumai.provenance.ledger.consistency import require_growth
from quantumai.provenance.ledger.cosignatures import voices
from quantumai.provenance.ledger.note import Note, NoteSignature, VerifierKey
from quantumai.provenance.ledger.run_ledger import Ledger
from quantumai.provenance.verification.trust import WitnessTrust
from quantumai.storage.objects import ObjectStore

_DIGITS = 20


@dataclass(frozen=True)
class CosignedCheckpoints:
    """The cosigned checkpoints of one ledger, in its object store."""

    ledger: Ledger

    def add(self, checkpoint: bytes, signatures: Iterable[NoteSignature]) -> bytes:
        """Keep cosignatures that were verified, with those that are there; the checkpoint now."""
        head = stated_head(checkpoint)
        key = cosigned_key(head.size)
        base = checkpoint
        try:
            former = self._objects.get(key)
            if stated_head(former) == head:
                base = with_signatures(former, Note.parse(checkpoint).signatures)
        except (NotFoundError, EvidenceError):
            pass  # a damaged one is replaced: whoever signed it signs again
        merged = with_signatures(base, signatures)
        self._objects.replace(key, merged)
        return merged

    def at(self, size: int) -> bytes | None:
        """The cosigned checkpoint of a size, checked to be this ledger's own; None if none is."""
        try:
            checkpoint = self._objects.get(cosigned_key(size))
            require_own(self.ledger, checkpoint)
        except (NotFoundError, EvidenceError):
            return None
        return checkpoint

    def newest_by_quorum(self, witnesses: WitnessTrust, least_size: int = 1) -> bytes | None:
        """The newest checkpoint of `least_size` leaves or more that a quorum cosigned, or None.

        Post-quantum cosignatures are looked for first, so that the proof serves in every mode.
        """
        if not witnesses.quorum:
            return None
        keys = witnesses.keys()
        for post_quantum_only in (True, False):
            for size in self._sizes_down(self.ledger.size()):
                if size < least_size:
                    break
                found = self.at(size)
                if found is not None and _has_quorum(
                    found, keys, witnesses.quorum, post_quantum_only=post_quantum_only
                ):
                    return found
        return None

    def best(self, witnesses: WitnessTrust, index: int = 0) -> bytes:
        """The checkpoint to hand out with leaf `index`.

        It is the newest one that a quorum cosigned and that covers the leaf; without such a one
        it is the newest one, with what cosignatures there are.
        """
        cosigned = self.newest_by_quorum(witnesses, least_size=index + 1)
        if cosigned is not None:
            return cosigned
        newest = self.ledger.checkpoint()
        return self.at(stated_head(newest).size) or newest

    def problems(self, keys: Iterable[VerifierKey]) -> list[str]:
        """What is wrong with the cosignatures by `keys`, those of the home's witnesses.

        The ledger's part of these checkpoints is checked with the ledger, by `check_ledger`.
        """
        known = tuple(keys)
        found = []
        for name in self._objects.keys(COSIGNED_PREFIX):
            try:
                note = Note.parse(self._objects.get(name))
                head = TreeHead.parse(note.text)
            except EvidenceError:
                continue  # told by the ledger's own check
            try:
                verified_keys(note, head, known)
            except LedgerError as error:
                found.append(f"{name}: {error}")
        return found

    @property
    def _objects(self) -> ObjectStore:
        return self.ledger.objects

    def _sizes_down(self, size: int) -> Iterator[int]:
        """Sizes that there are, from `size` downwards; lists only what it has to.

        Names that share more leading digits with `size` are nearer to it.
        """
        digits, seen = f"{size:0{_DIGITS}d}", set[int]()
        for shared in range(_DIGITS, -1, -1):
            names = self._objects.keys(COSIGNED_PREFIX + digits[:shared])
            sizes = {
                int(n) for name in names if (n := name.removeprefix(COSIGNED_PREFIX)).isdecimal()
            }
            yield from sorted((s for s in sizes - seen if s <= size), reverse=True)
            seen |= sizes


def require_own(ledger: Ledger, checkpoint: bytes) -> TreeHead:
    """The head of a checkpoint that is signed by all keys of `ledger` and is of its tree.

    Raises `LedgerError` otherwise.
    """
    keys = ledger.signer.verifier_keys()
    head, by = verify_checkpoint(checkpoint, keys)
    if head.origin != ledger.origin or len(by) != len(keys):
        raise LedgerError("the checkpoint is not signed by this ledger's keys")
    now = stated_head(ledger.checkpoint())
    if now != head:
        require_growth(ledger.consistency_proof, head, now)
    return head


def _has_quorum(
    checkpoint: bytes, keys: Iterable[VerifierKey], quorum: int, *, post_quantum_only: bool
) -> bool:
    try:
        return len(voices(checkpoint, keys, post_quantum_only=post_quantum_only)) >= quorum
    except EvidenceError:
        return False  # a cosignature that does not hold stands for nothing
