"""The run ledger: an append-only Merkle log (RFC 6962) in C2SP tlog-tiles layout.

The last word is a commit, created once under the next number: the loser of a race reads again and
retries, so the log never forks and nothing is lost, whatever a lease said. Tiles, entry bundles
and `checkpoint` are caches: written after the commit, completed by whoever comes next after a
crash, checked against the signed root whenever they are used, and rebuilt from the commits if they
are damaged.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from quantumai import merkle
from quantumai.errors import LedgerError, NotFoundError
from quantumai.provenance.ledger.caches import LedgerCaches
from quantumai.provenance.ledger.checkpoint import CheckpointSigner
from quantumai.provenance.ledger.commits import CommitLog, Leaf
from quantumai.provenance.ledger.signed_commits import SignedCommits
from quantumai.provenance.ledger.tiles import WIDTH, TileTree
from quantumai.provenance.ledger.writer import LedgerWriter, WriterLimits
from quantumai.storage.objects import ObjectStore
from quantumai.storage.writer_lease import WriterLease

_T = TypeVar("_T")
_LIMITS = WriterLimits()


class Ledger:
    """The log with the given origin in an object store; `clock` returns aware UTC times.

    Threads may share it. Without a `lease` several writers race for each commit, safely.
    """

    def __init__(
        self,
        objects: ObjectStore,
        origin: str,
        signer: CheckpointSigner,
        clock: Callable[[], datetime],
        lease: WriterLease | None = None,
        limits: WriterLimits = _LIMITS,
    ) -> None:
        self.origin = origin
        self.signer = signer
        self.objects = objects
        self._commits = CommitLog(objects)
        self._signed = SignedCommits(self._commits, origin, signer)
        self._caches = LedgerCaches(objects, self._commits)
        self._writer = LedgerWriter(
            self._signed, self._caches, origin, signer, clock, lease, limits
        )

    def size(self) -> int:
        """Number of leaves."""
        newest = self._commits.newest()
        return newest.size if newest else 0

    def require_size(self, least: int = 0) -> None:
        """Raise `LedgerError` if leaves were lost: fewer than `least`, or than its caches know."""
        self._commits.require_size(least)
        self._caches.refuse_lost_commits(self.size())

    def checkpoint(self) -> bytes:
        """The newest signed checkpoint. Raises `NotFoundError` while the ledger is empty."""
        newest = self._commits.newest()
        if newest is None:
            raise NotFoundError("the ledger is empty", hint="run a job first")
        return newest.checkpoint.encode()

    def append(
        self,
        leaves: Sequence[Leaf],
        *,
        at_size: int | None = None,
        guard: Callable[[], bool] | None = None,
    ) -> list[int]:
        """Append all leaves, durably, and return their indices.

        A leaf that is in the ledger already keeps the index it has; the others come to lie next
        to each other in one commit, which other threads' leaves may share. With `at_size`, only
        if the ledger still has that many leaves, and with `guard`, only if it returns True for
        the very place: else `ConflictError`. `guard` may run several times and in another
        thread, so never call this inside a transaction that the guard waits for. It may read the
        ledger, which lacks what others append in the same commit, and must not append itself.

        After a `StorageError` the new leaves are either all in the ledger or none is; appending
        them again is harmless.
        """
        return self._writer.append(leaves, at_size, guard)

    def close(self) -> None:
        """Write the caches as far as possible and give the lease back; all goes on to work."""
        self._writer.close()

    def entry(self, index: int) -> Leaf:
        """Leaf `index`, checked against the signed root. Raises `NotFoundError`."""
        if not 0 <= index < self.size():
            raise NotFoundError(f"the ledger has no leaf {index}")

        def read(tree: TileTree, root: bytes) -> Leaf | None:
            entry = tree.bundle(index // WIDTH)[index % WIDTH]
            proof = merkle.inclusion_proof(index, tree.size, tree.subtree)
            hashed = merkle.leaf_hash(entry)
            sound = merkle.verify_inclusion(hashed, index, tree.size, proof, root)
            return Leaf.parse(entry) if sound else None

        return self._with_repair(read, f"ledger leaf {index}")

    def leaves(self, kind: str, since: int = 0) -> list[tuple[int, Leaf]]:
        """All leaves of type `kind` from index `since` on, with their indices.

        The entries that are read are hashed up to the signed root, so none can be hidden.
        """
        marker = f'"type":"{kind}"'.encode()

        def read(tree: TileTree, root: bytes) -> list[tuple[int, Leaf]] | None:
            first = min(since, tree.size) // WIDTH
            # Above the level of bundles the tree has the shape of a tree over their roots.
            roots = [tree.tile(1, number // WIDTH)[number % WIDTH] for number in range(first)]
            found = []
            for number in range(first, -(-tree.size // WIDTH)):
                entries = tree.bundle(number)
                roots.append(merkle.root_hash([merkle.leaf_hash(entry) for entry in entries]))
                for index, entry in enumerate(entries, start=number * WIDTH):
                    if index >= since and marker in entry:
                        found.append((index, Leaf.parse(entry)))
            return found if merkle.root_hash(roots) == root else None

        return self._with_repair(read, "the ledger's entries") if self.size() else []

    def inclusion_proof(self, index: int, size: int | None = None) -> list[bytes]:
        """Audit path of leaf `index` in the tree of the first `size` leaves (default: all)."""
        total = self.size()
        wanted = total if size is None else size
        if not 0 <= index < wanted <= total:
            raise NotFoundError(f"the ledger has no leaf {index} in its first {wanted}")

        def read(tree: TileTree, root: bytes) -> list[bytes] | None:
            proof = merkle.inclusion_proof(index, wanted, tree.subtree)
            leaf = tree.tile(0, index // WIDTH)[index % WIDTH]
            wanted_root = tree.subtree(0, wanted)
            extension = merkle.consistency_proof(wanted, tree.size, tree.subtree)
            sound = merkle.verify_inclusion(leaf, index, wanted, proof, wanted_root)
            sound &= merkle.verify_consistency(wanted, tree.size, wanted_root, root, extension)
            return proof if sound else None

        return self._with_repair(read, f"the inclusion proof of ledger leaf {index}")

    def consistency_proof(self, first: int, second: int | None = None) -> list[bytes]:
        """Proof that the first `second` leaves (default: all) extend the first `first`."""
        total = self.size()
        wanted = total if second is None else second
        if not 0 <= first <= wanted <= total:
            raise NotFoundError(f"the ledger has no tree of {wanted} leaves")

        def read(tree: TileTree, root: bytes) -> list[bytes] | None:
            proof = merkle.consistency_proof(first, wanted, tree.subtree)
            first_root, wanted_root = tree.subtree(0, first), tree.subtree(0, wanted)
            extension = merkle.consistency_proof(wanted, tree.size, tree.subtree)
            sound = merkle.verify_consistency(first, wanted, first_root, wanted_root, proof)
            sound &= merkle.verify_consistency(wanted, tree.size, wanted_root, root, extension)
            return proof if sound else None

        return self._with_repair(read, "the consistency proof") if total else []

    def verify(self) -> list[str]:
        """Recheck everything that is stored; return the problems, the first bad thing first.

        What this object has already mended comes first: to mend damage is not to hide it.
        """
        from quantumai.provenance.ledger.check import check_ledger

        found = check_ledger(self.objects, self.origin, self.signer.verifier_keys())
        return [*dict.fromkeys(self._caches.repairs), *found]

    def _with_repair(self, read: Callable[[TileTree, bytes], _T | None], what: str) -> _T:
        """Result of `read` on the newest tree and its signed root.

        When it finds damage (None or `LedgerError`), the caches are rebuilt and it runs again.
        """
        newest = self._signed.newest()
        if newest is None:
            raise NotFoundError("the ledger is empty")
        with contextlib.suppress(LedgerError):
            edge = self._caches.at(newest)
            found = read(edge.tree, edge.commit.head.root)
            if found is not None:
                return found
        edge = self._caches.rebuilt(newest, start=0)
        found = read(edge.tree, edge.commit.head.root)
        if found is None:
            raise LedgerError(f"{what} contradicts the signed root", hint="qai ledger verify")
        return found
