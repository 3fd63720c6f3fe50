"""A witness: cosigns the newest head of logs that only grow (C2SP tlog-witness, `add-checkpoint`).

The rules are here, without HTTP. What was cosigned last is remembered durably before a cosignature
leaves, in one step with the check of it, so that no two cosignatures ever contradict each other.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from quantumai.errors import BadInputError, EvidenceError, LedgerError
from quantumai.merkle import EMPTY_ROOT, verify_consistency
from quantumai.provenance.ledger.checkpoint import TreeHead, verified_keys
from quantumai.provenance.ledger.note import Note, NoteSignature, VerifierKey

LONGEST_REQUEST = 1 << 20
SIZE_MEDIA_TYPE = "text/x.tlog.size"
_TEXT = "text/plain; charset=utf-8"
_MOST_PROOF_LINES = 63
_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})")


@dataclass(frozen=True)
class AddCheckpoint:
    """A request: size that the witness is thought to know, consistency proof, checkpoint."""

    old_size: int
    proof: tuple[bytes, ...]
    checkpoint: bytes

    @property
    def data(self) -> bytes:
        """The request's body."""
        lines = [f"old {self.old_size}", *(base64.b64encode(node).decode() for node in self.proof)]
        return ("\n".join(lines) + "\n\n").encode() + self.checkpoint

    @classmethod
    def parse(cls, data: bytes) -> AddCheckpoint:
        """Read a body strictly. Raises `BadInputError`."""
        head, blank, checkpoint = data.partition(b"\n\n")
        try:
            first, *lines = head.decode().split("\n")
            proof = tuple(base64.b64decode(line, validate=True) for line in lines)
        except (ValueError, binascii.Error):
            raise BadInputError("the request is malformed") from None
        match = _OLD.fullmatch(first)
        if not blank or match is None or len(proof) > _MOST_PROOF_LINES:
            raise BadInputError("the request is malformed")
        request = cls(int(match[1]), proof, checkpoint)
        if any(len(node) != 32 for node in proof) or request.data != data:
            raise BadInputError("the request is malformed")
        return request


@dataclass(frozen=True)
class Answer:
    """An HTTP status with its body."""

    status: int
    body: bytes
    media_type: str = _TEXT


class Cosigner(Protocol):
    """Signs with a witness's keys."""

    def cosign(self, text: str, head: TreeHead, timestamp: int) -> tuple[NoteSignature, ...]:
        """Cosignatures over a checkpoint's text at a POSIX time, one for each key."""
        ...

    def verifier_keys(self) -> tuple[VerifierKey, ...]:
        """The witness's public keys."""
        ...


class Remembering(Protocol):
    """What is remembered of one log, while nobody else can change it."""

    def newest(self) -> bytes | None:
        """The checkpoint that was cosigned last, with its cosignatures; None if none was.

        Raises `StorageError` if it cannot be read: the witness then must not cosign.
        """
        ...

    def remember(self, checkpoint: bytes) -> None:
        """Put a checkpoint in its place, durably."""
        ...


class WitnessMemory(Protocol):
    """The checkpoints that a witness cosigned last, by origin."""

    def hold(self, origin: str) -> AbstractContextManager[Remembering]:
        """Hold a log's memory alone, across threads and processes."""
        ...


class Witness:
    """A witness of the logs in `logs` (origin -> keys, any one of which suffices)."""

    def __init__(
        self,
        logs: Mapping[str, Sequence[VerifierKey]],
        cosigner: Cosigner,
        memory: WitnessMemory,
        clock: Callable[[], datetime],
    ) -> None:
        self.logs = {origin: tuple(keys) for origin, keys in logs.items()}
        self.cosigner = cosigner
        self._memory = memory
        self._clock = clock
        own = {key.public for key in cosigner.verifier_keys()}
        # Else the witness's words could be shown as the log's.
        if any(key.public in own for keys in self.logs.values() for key in keys):
            raise BadInputError("a log's key is a key of this witness")

    def add_checkpoint(self, data: bytes) -> Answer:
        """Answer a request as tlog-witness says."""
        try:
            request = AddCheckpoint.parse(data)
            note = Note.parse(request.checkpoint)
            head = TreeHead.parse_extended(note.text)
        except (BadInputError, EvidenceError) as error:
            return _refusal(400, str(error))
        keys = self.logs.get(head.origin)
        if keys is None:
            return _refusal(404, "this log is unknown here")
        try:
            signed = verified_keys(note, head, keys)
        except LedgerError as error:
            return _refusal(403, str(error))
        if not signed:
            return _refusal(403, "no signature by a key of this log")
        if request.old_size > head.size:
            return _refusal(400, "the old size is larger than the checkpoint's")
        with self._memory.hold(head.origin) as memory:
            return self._cosigned(request, note, head, signed, memory)

    def newest(self, origin: str) -> bytes | None:
        """The checkpoint of a log that was cosigned last, None if none was."""
        if origin not in self.logs:
            return None
        with self._memory.hold(origin) as memory:
            return memory.newest()

    def _cosigned(
        self,
        request: AddCheckpoint,
        note: Note,
        head: TreeHead,
        signed: Sequence[VerifierKey],
        memory: Remembering,
    ) -> Answer:
        newest = memory.newest()
        former = TreeHead.parse_extended(Note.parse(newest).text) if newest else None
        size = former.size if former else 0
        if request.old_size != size:
            return Answer(409, f"{size}\n".encode(), SIZE_MEDIA_TYPE)
        if former and size and size == head.size and former.root != head.root:
            # As version 1.0.0 of the text has it. Its main branch asks for 422 since July 2026, so
            # that each 409 has a size; our client takes both.
            return _refusal(409, "another tree of this size was cosigned")
        if request.proof and size == head.size:
            return _refusal(422, "there is nothing to prove between trees of one size")
        if not _may_follow(former, head, request.proof):
            return _refusal(422, "the consistency proof does not hold")
        made = self.cosigner.cosign(note.text, head, int(self._clock().timestamp()))
        own = tuple(signature for key in signed for signature in note.by(key))
        memory.remember(Note(note.text, (*own, *made)).data)
        return Answer(200, "".join(signature.line for signature in made).encode())


def _may_follow(former: TreeHead | None, head: TreeHead, proof: Sequence[bytes]) -> bool:
    # An empty tree has one root, and so has the tree before the first.
    size, root = (former.size, former.root) if former else (0, EMPTY_ROOT)
    return verify_consistency(size, head.size, root, head.root, proof)


def _refusal(status: int, reason: str) -> Answer:
    return Answer(status, f"{reason}\n".encode())
