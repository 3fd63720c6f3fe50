"""Checkpoints: the signed head of a log (C2SP tlog-checkpoint and tlog-cosignature)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from quantumai.errors import LedgerError
from quantumai.keys.algorithms import verify_signature
from quantumai.provenance.ledger.note import (
    TYPE_ML_DSA_44,
    Note,
    NoteSignature,
    VerifierKey,
)

_LARGEST = 2**63 - 1


@dataclass(frozen=True)
class TreeHead:
    """What a checkpoint states: the log's origin, its size in leaves, its root hash."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The note text: three lines, no extension lines (0x06 would not sign them)."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, text: str) -> TreeHead:
        """Read a checkpoint's text, refusing extension lines. Raises `LedgerError`."""
        lines = text.split("\n")
        if len(lines) != 4 or not lines[0] or not lines[1].isdecimal() or len(lines[1]) > 19:
            raise LedgerError("not a checkpoint of three lines")
        try:
            root = base64.b64decode(lines[2], validate=True)
        except (binascii.Error, ValueError):
            raise LedgerError("the checkpoint's root hash is not base64") from None
        head = cls(lines[0], int(lines[1]), root)
        if len(root) != 32 or head.text != text or head.size > _LARGEST:
            raise LedgerError("the checkpoint is not in its one form")
        return head

    @classmethod
    def parse_extended(cls, text: str) -> TreeHead:
        """The head in a checkpoint's text that may have extension lines after it.

        Other logs write them, and a witness has to read those. Raises `LedgerError`.
        """
        lines = text.split("\n")
        if lines[-1] or not all(lines[:-1]):
            raise LedgerError("a line of the checkpoint is empty")
        return cls.parse("\n".join(lines[:3]) + "\n")


class CheckpointSigner(Protocol):
    """Signs the heads of one log."""

    def sign(self, head: TreeHead, timestamp: int) -> tuple[NoteSignature, ...]:
        """Signatures over `head` at POSIX time `timestamp`, one for each of the log's keys."""
        ...

    def verifier_keys(self) -> tuple[VerifierKey, ...]:
        """The log's public keys."""
        ...


def cosignature_v1_message(timestamp: int, text: str) -> bytes:
    """What an Ed25519 cosignature signs: two lines before the whole text of the checkpoint."""
    return f"cosignature/v1\ntime {timestamp}\n{text}".encode()


def cosigned_message(name: str, timestamp: int, head: TreeHead) -> bytes:
    """What an ML-DSA-44 cosignature signs: `cosigned_message` of tlog-cosignature, from leaf 0."""
    names = [text.encode() for text in (name, head.origin)]
    if not all(1 <= len(text) <= 255 for text in names):
        raise LedgerError("the names of log and cosigner must have 1 to 255 bytes")
    cosigner, origin = (bytes([len(text)]) + text for text in names)
    start = bytes(8)
    return (
        b"subtree/v1\n\0"
        + cosigner
        + timestamp.to_bytes(8, "big")
        + origin
        + start
        + head.size.to_bytes(8, "big")
        + head.root
    )


def signed_checkpoint(head: TreeHead, signatures: Iterable[NoteSignature]) -> bytes:
    """The checkpoint as a signed note."""
    return Note(head.text, tuple(signatures)).data


def with_signatures(checkpoint: bytes, more: Iterable[NoteSignature]) -> bytes:
    """The checkpoint with `more` signature lines; one by the same key takes the old one's place.

    Nothing is verified here. Raises `LedgerError` for a malformed checkpoint.
    """
    note = Note.parse(checkpoint)
    lines = {(s.name, s.key_id): s for s in (*note.signatures, *more)}
    return Note(note.text, tuple(lines.values())).data


def stated_head(checkpoint: bytes) -> TreeHead:
    """What a checkpoint states; its signatures are not checked. Raises `LedgerError`."""
    return TreeHead.parse(Note.parse(checkpoint).text)


def verify_checkpoint(
    data: bytes, keys: Iterable[VerifierKey]
) -> tuple[TreeHead, tuple[VerifierKey, ...]]:
    """Read a checkpoint; return its head and those of `keys` whose signatures hold.

    Raises `LedgerError` for a malformed note and, as signed-note asks, when a signature of one
    of `keys` does not hold. Signatures by others are ignored. The caller decides whether the
    returned keys suffice; none means that nothing was proved.
    """
    note = Note.parse(data)
    head = TreeHead.parse(note.text)
    return head, verified_keys(note, head, keys)


def verified_keys(
    note: Note, head: TreeHead, keys: Iterable[VerifierKey]
) -> tuple[VerifierKey, ...]:
    """Those of `keys` that signed a checkpoint's note; `LedgerError` if one did so wrongly."""
    verified = []
    for key in keys:
        signatures = note.by(key)
        if not all(_holds(note.text, head, key, signature) for signature in signatures):
            raise LedgerError(f"the checkpoint's {key.algorithm} signature does not hold")
        if signatures:
            verified.append(key)
    return tuple(verified)


def timestamp_of(signature: NoteSignature) -> int:
    """POSIX time that a cosignature carries; 0 where it claims none."""
    return int.from_bytes(signature.signature[:8], "big")


def _holds(text: str, head: TreeHead, key: VerifierKey, signature: NoteSignature) -> bool:
    message, value = text.encode(), signature.signature
    if key.cosigns:
        timestamp, value = timestamp_of(signature), value[8:]
        if timestamp > _LARGEST:
            return False
        if key.signature_type == TYPE_ML_DSA_44:
            message = cosigned_message(key.name, timestamp, head)
        else:
            message = cosignature_v1_message(timestamp, text)
    return verify_signature(key.algorithm, key.spki_der, message, value)
