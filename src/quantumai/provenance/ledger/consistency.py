"""Consistency between two heads of one log: that the larger tree only adds to the smaller one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from quantumai.errors import LedgerError
from quantumai.merkle import verify_consistency
from quantumai.provenance.ledger.checkpoint import TreeHead

ProofSource = Callable[[int, int], Sequence[bytes]]


@dataclass(frozen=True)
class ConsistencyEvidence:
    """That the tree `second` extends the tree `first`, by an RFC 6962 proof that was verified."""

    first: TreeHead
    second: TreeHead
    proof: tuple[bytes, ...]


def consistency_evidence(
    source: ProofSource, one: TreeHead, other: TreeHead
) -> ConsistencyEvidence:
    """Show that two heads, in either order, are of one log that only grew.

    `source(first, second)` returns the proof between two sizes, such as
    `PublicLog.consistency_proof` or `Ledger.consistency_proof`; it is not believed but verified
    against both roots. Raises `LedgerError` for another origin, for a split view, and when the
    source has no such proof.
    """
    if one.origin != other.origin:
        raise LedgerError(f"wrong origin: {other.origin[:80]!r} instead of {one.origin[:80]!r}")
    first, second = sorted((one, other), key=lambda head: head.size)
    if first.size == second.size and first.root != second.root:
        raise LedgerError(f"split view: two trees of {first.size} leaves with different roots")
    proof = () if first.size in (0, second.size) else tuple(source(first.size, second.size))
    if not verify_consistency(first.size, second.size, first.root, second.root, proof):
        raise LedgerError(
            f"split view: the tree of {second.size} leaves does not extend that of {first.size}"
        )
    return ConsistencyEvidence(first, second, proof)


def require_growth(source: ProofSource, former: TreeHead, now: TreeHead) -> ConsistencyEvidence:
    """Like `consistency_evidence`, for a log whose newest head is `now`: it may not shrink.

    Raises `LedgerError` also for a log that was rolled back to before `former`.
    """
    if now.origin == former.origin and now.size < former.size:
        raise LedgerError(
            f"roll-back: the ledger has {now.size} leaves, but {former.size} are remembered"
        )
    return consistency_evidence(source, former, now)
