"""Whether everything that the ledger names is stored: from each leaf to its envelope."""

from __future__ import annotations

from collections.abc import Iterator

from quantumai.jobs.leaf_accounts import LeafAccounts
from quantumai.provenance.ledger.commits import LEAF_TYPES
from quantumai.provenance.ledger.run_ledger import Ledger
from quantumai.storage.objects import ObjectStore

# Where the envelopes of other leaves lie, each under the SHA-256 that its leaf names.
_FOLDERS = {
    "key-event": "key-events",
    "key-rotation": "key-rotations",
    "audit-checkpoint": "audit-checkpoints",
    "counter-signature": "counter-signatures",
    "ledger-anchor": "ledger-anchors",
    "model": "attestations",
    "nightly-snapshot": "attestations",
    "release": "attestations",
}


def leaf_problems(ledger: Ledger, objects: ObjectStore, accounts: LeafAccounts) -> Iterator[str]:
    """Leaves whose envelope is gone, and those of manifests and decisions that are no job's."""
    yield from accounts.problems
    for kind, indices in accounts.alone().items():
        if indices:
            yield (
                f"{len(indices)} leaves of type {kind} stand for nothing that is there "
                f"({_some(indices)}): not checked whether a job died on the way or was taken away"
            )
    for kind, folder in _FOLDERS.items():
        for index, leaf in ledger.leaves(kind):
            if not objects.exists(f"{folder}/{leaf.sha256}"):
                yield f"the {kind} of leaf {index} is gone"


def _some(indices: list[int]) -> str:
    shown = ", ".join(map(str, indices[:5]))
    return f"leaves {shown}" + (", ..." if len(indices) > 5 else "")


def logged_digests(ledger: Ledger) -> frozenset[str]:
    """SHA-256 (hex) of all that is in the ledger."""
    return frozenset(leaf.sha256 for kind in LEAF_TYPES for _, leaf in ledger.leaves(kind))
