"""Whether everything that the ledger names is stored: from each leaf to its envelope."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Set

from quantumai.provenance.ledger.commits import LEAF_TYPES
from quantumai.provenance.ledger.run_ledger import Ledger
from quantumai.storage.objects import ObjectStore

MANIFEST, DECISION = "run-manifest", "scheduler-decision"
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


def leaf_problems(
    ledger: Ledger, objects: ObjectStore, sealed: Mapping[str, Set[str]], unfinished: int
) -> Iterator[str]:
    """Leaves whose envelope is gone.

    `sealed` has the SHA-256 (hex) of the manifests and of the signed decisions that finished jobs
    hold, by type of leaf. A job that failed on its way, or was erased, may leave one leaf of each
    type for which nothing is there any more: there are `unfinished` such jobs.
    """
    alone: dict[str, int] = defaultdict(int)
    for kind in LEAF_TYPES:
        for index, leaf in ledger.leaves(kind):
            if kind in (MANIFEST, DECISION):
                alone[kind] += leaf.sha256 not in sealed[kind]
            elif not objects.exists(f"{_FOLDERS[kind]}/{leaf.sha256}"):
                yield f"the {kind} of leaf {index} is gone"
    for kind, number in alone.items():
        if number > unfinished:
            yield (
                f"{number} leaves of type {kind} belong to no finished job, "
                f"and only {unfinished} jobs failed or were erased"
            )


def logged_digests(ledger: Ledger) -> frozenset[str]:
    """SHA-256 (hex) of all that is in the ledger."""
    return frozenset(leaf.sha256 for kind in LEAF_TYPES for _, leaf in ledger.leaves(kind))
