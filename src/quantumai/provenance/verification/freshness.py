"""Freshness: whether the tree that a proof shows is the one that others are shown.

A log that rolls back, cuts off or shows two trees signs perfectly good checkpoints. Only somebody
who remembers an earlier one, or witnesses who do, can tell. Without either nothing is claimed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quantumai.crypto_mode import CryptoMode
from quantumai.errors import BadInputError, EvidenceError, LedgerError
from quantumai.keys.algorithms import AlgorithmClass, algorithm_class
from quantumai.provenance.ledger.checkpoint import TreeHead, stated_head, verify_checkpoint
from quantumai.provenance.ledger.consistency import (
    ProofSource,
    consistency_evidence,
    require_growth,
)
from quantumai.provenance.ledger.cosignatures import voices, voices_in_words
from quantumai.provenance.ledger.note import VerifierKey
from quantumai.provenance.verification.report import (
    Check,
    ExitCode,
    Outcome,
    failed,
    not_checked,
    passed,
)
from quantumai.provenance.verification.trust import TrustFile

FRESHNESS = "freshness"
_NOBODY = "no witness quorum and no remembered checkpoint: others may be shown another ledger"


@dataclass(frozen=True)
class Remembered:
    """A checkpoint that the auditor kept, and where consistency proofs come from.

    `consistency(first, second)` returns the RFC 6962 proof between two sizes, or raises
    `EvidenceError`; None where no ledger is at hand.
    """

    checkpoint: bytes
    consistency: ProofSource | None = None


def counting_keys(keys: Sequence[VerifierKey], mode: CryptoMode) -> list[VerifierKey]:
    """The verifier keys that count in a mode: in all but classical, post-quantum ones only.

    A log policy lets any one listed key suffice, so a classical one must not be listed.
    """
    return [
        key
        for key in keys
        if mode is CryptoMode.CLASSICAL
        or algorithm_class(key.algorithm) is AlgorithmClass.POST_QUANTUM
    ]


def verified_head(checkpoint: bytes, trust: TrustFile, mode: CryptoMode) -> TreeHead:
    """The head of a checkpoint that a trusted ledger key signed. Raises `LedgerError`."""
    head, verified = verify_checkpoint(checkpoint, trust.ledger.keys())
    if head.origin != trust.ledger.origin:
        raise LedgerError(f"the checkpoint is of another ledger: {head.origin[:80]!r}")
    if not counting_keys(verified, mode):
        kind = "" if mode is CryptoMode.CLASSICAL else "post-quantum "
        raise LedgerError(f"the checkpoint has no {kind}signature by a trusted ledger key")
    return head


def asks_for_freshness(trust: TrustFile | None, remembered: Remembered | None) -> bool:
    """Whether the auditor gave anything that freshness could be checked against."""
    return remembered is not None or (trust is not None and trust.witnesses.quorum > 0)


def check_freshness(
    head: TreeHead,
    checkpoint: bytes,
    trust: TrustFile,
    mode: CryptoMode,
    remembered: Remembered | None,
    *,
    is_newest: bool = False,
) -> Check:
    """Check a verified `head` against the remembered checkpoint and the witness quorum.

    `checkpoint` is the one whose cosignatures count. A proof's head may be older than what is
    remembered; that of a whole log `is_newest` and may not. Where nothing was asked for, the check
    has exit code 0.
    """
    if not asks_for_freshness(trust, remembered):
        return Check(FRESHNESS, Outcome.NOT_CHECKED, _NOBODY, ExitCode.OK)
    seen = []
    try:
        if remembered is not None:
            known = verified_head(remembered.checkpoint, trust, mode)
            seen.append(_same_tree(head, known, remembered, is_newest=is_newest))
        if trust.witnesses.quorum:
            seen.append(_witnessed(head, checkpoint, trust, mode))
    except (BadInputError, EvidenceError) as error:
        return failed(FRESHNESS, str(error), ExitCode.LEDGER)
    except _LackingError as error:
        return not_checked(FRESHNESS, "; ".join([*seen, str(error)]))
    return passed(FRESHNESS, "; ".join(seen))


class _LackingError(Exception):
    """Evidence that would be needed is missing."""


def _same_tree(head: TreeHead, known: TreeHead, remembered: Remembered, *, is_newest: bool) -> str:
    def proofs(first: int, second: int) -> Sequence[bytes]:
        if remembered.consistency is None:
            raise _LackingError(f"no ledger at hand to prove that {second} leaves extend {first}")
        return remembered.consistency(first, second)

    if is_newest:
        require_growth(proofs, known, head)
    else:
        consistency_evidence(proofs, head, known)
    found = f"consistent with the remembered checkpoint of {known.size} leaves"
    if known.size > head.size:
        found += f"; {known.size - head.size} leaves came since this proof, and are not in it"
    return found


def _witnessed(head: TreeHead, checkpoint: bytes, trust: TrustFile, mode: CryptoMode) -> str:
    post_quantum_only = mode is not CryptoMode.CLASSICAL
    heard = voices(checkpoint, trust.witnesses.keys(), post_quantum_only=post_quantum_only)
    quorum = trust.witnesses.quorum
    if len(heard) < quorum:
        raise _LackingError(f"{len(heard)} of the {quorum} witnesses that you ask for cosigned")
    size = stated_head(checkpoint).size
    leaves = "" if size == head.size else f"the first {size} leaves were "
    return f"{leaves}cosigned by {voices_in_words(heard)}"
