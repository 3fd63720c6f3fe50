"""Asking witnesses to cosign the ledger's newest checkpoint (the client side of tlog-witness).

A witness is believed in nothing: its cosignature is verified under the keys that the home was given
for it. A witness that is away is said. One that knows a larger tree, or another one, has caught a
ledger that was rolled back or forked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from quantumai.errors import (
    BadInputError,
    EvidenceError,
    LedgerError,
    QuantumAIError,
    UnreachableError,
)
from quantumai.provenance.ledger.checkpoint import stated_head, with_signatures
from quantumai.provenance.ledger.cosignatures import cosignatures, require_witness_keys
from quantumai.provenance.ledger.note import NoteSignature, VerifierKey, parse_signature_lines
from quantumai.provenance.ledger.run_ledger import Ledger
from quantumai.provenance.public_log.cosigned_checkpoints import CosignedCheckpoints
from quantumai.provenance.public_log.witness import SIZE_MEDIA_TYPE, AddCheckpoint, Answer

_MOST_TRIES = 4  # the ledger may grow and another process may ask meanwhile
_CLOCK_TOLERANCE_S = 600


class WitnessEndpoint(Protocol):
    """Where a witness is asked."""

    def add_checkpoint(self, body: bytes) -> Answer:
        """The witness's answer. Raises `UnreachableError` when there is none in time."""
        ...


@dataclass(frozen=True)
class KnownWitness:
    """A witness of the home: where it is, and its verifier keys, all of one name."""

    url: str
    keys: tuple[VerifierKey, ...]

    @property
    def name(self) -> str:
        """The witness's name, as in its keys."""
        return self.keys[0].name

    def check(self) -> KnownWitness:
        """Return self if the keys are those of one witness, else raise `BadInputError`."""
        if not require_witness_keys(self.keys):
            raise BadInputError("a witness needs a verifier key", hint="its operator publishes it")
        if len({key.name for key in self.keys}) > 1:
            raise BadInputError("the verifier keys are those of several witnesses")
        if len({key.text for key in self.keys}) != len(self.keys):
            raise BadInputError("a verifier key is given twice")
        return self


class Outcome(StrEnum):
    """How asking a witness ended."""

    COSIGNED = "cosigned"
    AWAY = "away"
    REFUSED = "refused"
    CONTRADICTED = "contradicted"


@dataclass(frozen=True)
class Asked:
    """What came of asking one witness, at which size; `timestamp` is the witness's own."""

    witness: KnownWitness
    outcome: Outcome
    size: int
    detail: str
    timestamp: int = 0


class ContradictedError(LedgerError):
    """A witness knows another tree, or a larger one, than this ledger."""


def ask_witnesses(
    ledger: Ledger,
    witnesses: Sequence[KnownWitness],
    open_endpoint: Callable[[str], WitnessEndpoint],
    clock: Callable[[], datetime],
) -> list[Asked]:
    """Ask each witness for the ledger's newest checkpoint, and keep what they cosigned.

    Raises `BadInputError` for a witness that is the ledger itself.
    """
    require_others(ledger, [key for witness in witnesses for key in witness.keys])
    kept = CosignedCheckpoints(ledger)
    return [_ask(ledger, kept, witness, open_endpoint, clock) for witness in witnesses]


def require_others(ledger: Ledger, keys: Sequence[VerifierKey]) -> None:
    """Raise `BadInputError` for a key of `ledger` itself, which would vouch for itself."""
    own = {key.public for key in ledger.signer.verifier_keys()}
    if any(key.public in own for key in keys):
        raise BadInputError(
            "that is a key of this home's own ledger, not of a witness",
            hint="ask the witness for its verifier keys: `qai witness key` prints them",
        )


def _ask(
    ledger: Ledger,
    kept: CosignedCheckpoints,
    witness: KnownWitness,
    open_endpoint: Callable[[str], WitnessEndpoint],
    clock: Callable[[], datetime],
) -> Asked:
    checkpoint = ledger.checkpoint()
    size = stated_head(checkpoint).size
    try:
        endpoint = open_endpoint(witness.url)
        checkpoint, lines = _cosigned(ledger, witness, endpoint)
        size = stated_head(checkpoint).size
        signatures, timestamp = _verified(checkpoint, lines, witness, int(clock().timestamp()))
    except UnreachableError as error:
        return Asked(witness, Outcome.AWAY, size, str(error))
    except ContradictedError as error:
        return Asked(witness, Outcome.CONTRADICTED, size, str(error))
    except (BadInputError, EvidenceError) as error:
        return Asked(witness, Outcome.REFUSED, size, str(error))
    kept.add(checkpoint, signatures)
    given = {signature.key_id for signature in signatures}
    lacking = [key.algorithm for key in witness.keys if key.key_id not in given]
    detail = f"no cosignature by its {' and '.join(lacking)} key" if lacking else ""
    return Asked(witness, Outcome.COSIGNED, size, detail, timestamp)


def _cosigned(
    ledger: Ledger, witness: KnownWitness, endpoint: WitnessEndpoint
) -> tuple[bytes, bytes]:
    """The checkpoint that the witness cosigned, and the lines that it answered."""
    known = 0
    for _ in range(_MOST_TRIES):
        checkpoint = ledger.checkpoint()
        size = stated_head(checkpoint).size
        if known > size:
            raise ContradictedError(
                f"{witness.name} has seen {known} leaves of this ledger, which now has {size}: "
                "it was rolled back",
                hint="restore the newest backup of the ledger before going on",
            )
        proof = tuple(ledger.consistency_proof(known, size))
        answer = endpoint.add_checkpoint(AddCheckpoint(known, proof, checkpoint).data)
        if answer.status == 200:
            return checkpoint, answer.body
        known = _known_size(witness, answer, known, size)
    raise UnreachableError(f"{witness.name} names another size each time", hint="try again")


def _known_size(witness: KnownWitness, answer: Answer, known: int, size: int) -> int:
    """The size that a witness says it knows. Raises what its answer means if it says none."""
    if answer.status != 409:
        raise _refused(witness, answer, known, size)
    told = _size_in(answer)
    if known == size and told in (None, known):
        # The sizes agree, so the roots do not (version 1.0.0 of the text; 422 in its main branch).
        raise _other_tree(witness, answer, known, size)
    if told is None:
        raise UnreachableError(f"{witness.name} gave an answer that cannot be read")
    return told


def _refused(witness: KnownWitness, answer: Answer, known: int, size: int) -> QuantumAIError:
    if answer.status == 422:
        return _other_tree(witness, answer, known, size)
    if answer.status == 404:
        return BadInputError(
            f"{witness.name} does not know this ledger",
            hint="give its operator the ledger's verifier key",
        )
    if answer.status in (400, 403):
        return BadInputError(f"{witness.name} refused the checkpoint: {_said(answer)}")
    return UnreachableError(f"{witness.name} answered with status {answer.status}")


def _other_tree(witness: KnownWitness, answer: Answer, known: int, size: int) -> ContradictedError:
    return ContradictedError(
        f"{witness.name} knows another tree of {known} leaves than this ledger's, "
        f"so it does not cosign {size}: {_said(answer)}",
        hint="the ledger was forked or restored to another history",
    )


def _said(answer: Answer) -> str:
    said = answer.body[:200].decode(errors="replace").split("\n")[0]
    return "".join(c if c.isprintable() else "?" for c in said)


def _size_in(answer: Answer) -> int | None:
    """The size that an answer tells, None if it tells none."""
    size = answer.body.decode(errors="replace").removesuffix("\n")
    is_size = answer.media_type.split(";")[0].strip() == SIZE_MEDIA_TYPE
    if not is_size or not size.isascii() or not size.isdecimal() or len(size) > 19:
        return None
    return int(size)


def _verified(
    checkpoint: bytes, lines: bytes, witness: KnownWitness, now: int
) -> tuple[tuple[NoteSignature, ...], int]:
    """The witness's own signatures among `lines`, and their newest time."""
    try:
        own = {(key.name, key.key_id): key for key in witness.keys}
        given = {
            (line.name, line.key_id): line
            for line in parse_signature_lines(lines)
            if (line.name, line.key_id) in own
        }
        found = cosignatures(with_signatures(checkpoint, given.values()), own.values())
    except LedgerError as error:
        raise LedgerError(f"what {witness.name} answered does not hold: {error}") from None
    holding = [each for each in found if (each.key.name, each.key.key_id) in given]
    if not holding:
        raise LedgerError(f"{witness.name} gave no cosignature by the key that it is known for")
    newest = max(each.timestamp for each in holding)
    if newest > now + _CLOCK_TOLERANCE_S:
        raise LedgerError(f"{witness.name} cosigned at a time that has not come yet")
    return tuple(given[each.key.name, each.key.key_id] for each in holding), newest
