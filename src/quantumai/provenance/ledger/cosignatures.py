"""Cosignatures: which witnesses stand behind a checkpoint, and since when (C2SP tlog-cosignature).

A witness is known by its name. It may have a key of each kind, and is one voice all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from quantumai.errors import BadInputError
from quantumai.keys.algorithms import AlgorithmClass, algorithm_class
from quantumai.provenance.ledger.checkpoint import timestamp_of, verify_checkpoint
from quantumai.provenance.ledger.note import Note, VerifierKey


@dataclass(frozen=True)
class Cosignature:
    """A witness key whose cosignature holds, and the POSIX time that it states."""

    key: VerifierKey
    timestamp: int


def require_witness_keys(keys: Iterable[VerifierKey]) -> tuple[VerifierKey, ...]:
    """`keys` if all of them make cosignatures. Raises `BadInputError`."""
    known = tuple(keys)
    for key in known:
        if not key.cosigns:
            raise BadInputError(
                f"the key of {key.name[:80]!r} is no witness key",
                hint="a witness signs with type 0x04 (Ed25519) or 0x06 (ML-DSA-44)",
            )
    return known


def cosignatures(checkpoint: bytes, keys: Iterable[VerifierKey]) -> tuple[Cosignature, ...]:
    """Those of the witness keys `keys` that cosigned a checkpoint, each with its time.

    One without a time says nothing about the newest tree, so it does not count. Raises
    `LedgerError` as `verify_checkpoint` does, and `BadInputError` for a key of another kind.
    """
    known = require_witness_keys(keys)
    note = Note.parse(checkpoint)
    _, verified = verify_checkpoint(checkpoint, known)
    found = [
        Cosignature(key, timestamp_of(signature)) for key in verified for signature in note.by(key)
    ]
    return tuple(each for each in found if each.timestamp > 0)


def voices(
    checkpoint: bytes, keys: Iterable[VerifierKey], *, post_quantum_only: bool
) -> dict[str, int]:
    """Names of the witnesses that cosigned, each with the newest time that it states.

    With `post_quantum_only` an Ed25519 cosignature does not count.
    """
    heard: dict[str, int] = {}
    for each in cosignatures(checkpoint, keys):
        is_post_quantum = algorithm_class(each.key.algorithm) is AlgorithmClass.POST_QUANTUM
        if is_post_quantum or not post_quantum_only:
            heard[each.key.name] = max(each.timestamp, heard.get(each.key.name, 0))
    return heard


def voices_in_words(heard: Mapping[str, int]) -> str:
    """Who cosigned and when, for people: a replayed checkpoint shows by its age."""
    return ", ".join(f"{name} at {_time(heard[name])}" for name in sorted(heard))


def _time(timestamp: int) -> str:
    try:
        return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return f"{timestamp} s after 1970"  # no year that a calendar has
