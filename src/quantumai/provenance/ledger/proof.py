"""Proof files: that an envelope is in the ledger and its key counted at that head.

Format: C2SP tlog-proof@v1 (https://c2sp.org/tlog-proof). The `extra` line holds the base64 of
canonical JSON `{"key_status": [<DSSE envelope>, ...]}`, each signed by the authority. Where the
authority was rotated, `key_rotations` beside it holds the announcements of that.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from quantumai.canonical import canonical_json, parse_canonical_json
from quantumai.errors import BadInputError, LedgerError
from quantumai.provenance.statements.dsse import Envelope, envelope_from_json

_HEADER = "c2sp.org/tlog-proof@v1"
_LONGEST_PROOF = 1 << 20
_EXTRA = ("key_status", "key_rotations")
_MOST_ENVELOPES = 16


@dataclass(frozen=True)
class LedgerProof:
    """A parsed proof; nothing in it is verified."""

    index: int
    path: tuple[bytes, ...]
    checkpoint: bytes
    key_status: tuple[Envelope, ...] = ()
    key_rotations: tuple[Envelope, ...] = ()

    @property
    def data(self) -> bytes:
        """The proof file's bytes."""
        lines = [_HEADER]
        named = {"key_status": self.key_status, "key_rotations": self.key_rotations}
        extra = {name: [e.as_json() for e in held] for name, held in named.items() if held}
        if extra:
            lines.append(f"extra {base64.b64encode(canonical_json(extra)).decode()}")
        lines.append(f"index {self.index}")
        lines += [base64.b64encode(node).decode() for node in self.path]
        return ("\n".join(lines) + "\n\n").encode() + self.checkpoint

    @classmethod
    def parse(cls, data: bytes) -> LedgerProof:
        """Read a proof strictly: it must be what `data` would write. Raises `LedgerError`."""
        head, blank, checkpoint = data.partition(b"\n\n")
        try:
            lines = head.decode().split("\n")
            if len(data) > _LONGEST_PROOF or not blank or lines.pop(0) != _HEADER:
                raise LedgerError("not a tlog-proof file")
            extra = lines.pop(0) if lines and lines[0].startswith("extra ") else ""
            index = int(lines.pop(0).removeprefix("index ")) if lines else -1
            path = tuple(base64.b64decode(line, validate=True) for line in lines)
            held = _extra(base64.b64decode(extra[6:], validate=True)) if extra else {}
        except (ValueError, binascii.Error, BadInputError):
            raise LedgerError("the proof file is damaged") from None
        proof = cls(index, path, checkpoint, **held)
        if any(len(node) != 32 for node in path) or index < 0 or proof.data != data:
            raise LedgerError("the proof file is not in its one form")
        return proof


def _extra(extra: bytes) -> dict[str, tuple[Envelope, ...]]:
    value = parse_canonical_json(extra)
    if not isinstance(value, dict) or not {"key_status"} <= set(value) <= set(_EXTRA):
        raise BadInputError("unknown extra data in the proof")
    for listed in value.values():
        if not isinstance(listed, list) or not 1 <= len(listed) <= _MOST_ENVELOPES:
            raise BadInputError("unknown extra data in the proof")
    return {name: tuple(map(envelope_from_json, listed)) for name, listed in value.items()}
