"""The run ledger: an append-only Merkle log (RFC 6962) in C2SP tlog-tiles layout.

Several processes may append at once. Each computes the next commit and creates it under the next
number; the loser of a race reads again and retries, so the log never forks and nothing is lost.
(The loser has then signed a head that nobody ever sees.) Tiles, entry bundles and `checkpoint`
are caches: written after the commit, completed by whoever comes next after a crash, checked
against the signed root whenever they are used, and rebuilt from the commits if they are damaged.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from quantumai import merkle
from quantumai.errors import (
    BadInputError,
    ConflictError,
    LedgerError,
    NotFoundError,
    StorageError,
)
from quantumai.provenance.checkpoint import (
    CheckpointSigner,
    TreeHead,
    signed_checkpoint,
    verify_checkpoint,
)
from quantumai.provenance.commits import Commit, CommitLog, Leaf, commit_digest
from quantumai.provenance.ledger_caches import LedgerCaches
from quantumai.provenance.tiles import WIDTH, TileTree
from quantumai.storage.objects import ObjectStore

_MOST_ATTEMPTS = 10_000
_T = TypeVar("_T")


class Ledger:
    """The log with the given origin in an object store; `clock` returns aware UTC times."""

    def __init__(
        self,
        objects: ObjectStore,
        origin: str,
        signer: CheckpointSigner,
        clock: Callable[[], datetime],
    ) -> None:
        self.origin = origin
        self.signer = signer
        self.objects = objects
        self._commits = CommitLog(objects)
        self._clock = clock
        self._caches = LedgerCaches(objects, self._commits)
        self._checked: Commit | None = None  # the newest commit, its signatures checked

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

    def append(self, leaves: Sequence[Leaf], *, at_size: int | None = None) -> list[int]:
        """Append all leaves in one commit, durably, and return their indices.

        With `at_size`, only if the ledger still has that many leaves, else `ConflictError`.
        After a `StorageError` the leaves are either all in the ledger or none is; appending them
        again is harmless.
        """
        if not leaves:
            raise BadInputError("nothing to append to the ledger")
        for leaf in leaves:
            leaf.check()
        for _ in range(_MOST_ATTEMPTS):
            newest = self._signed_newest()
            tree = self._caches.tree_of(newest)
            if at_size is not None and tree.size != at_size:
                raise ConflictError("the ledger has grown in the meantime")
            grown = tree.extended([leaf.entry for leaf in leaves])
            commit = self._signed(newest, grown, tuple(leaves))
            if self._commits.create(commit):
                # The commit stands; a cache that cannot be written now is completed later.
                with contextlib.suppress(StorageError):
                    self._caches.write(grown, tree.size, commit)
                return list(range(commit.first, commit.size))
        raise StorageError("the ledger is too busy to append to", hint="try again")

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
        from quantumai.provenance.ledger_check import check_ledger

        found = check_ledger(self.objects, self.origin, self.signer.verifier_keys())
        return [*dict.fromkeys(self._caches.repairs), *found]

    def _with_repair(self, read: Callable[[TileTree, bytes], _T | None], what: str) -> _T:
        """Result of `read` on the newest tree and its signed root.

        When it finds damage (None or `LedgerError`), the caches are rebuilt and it runs again.
        """
        newest = self._signed_newest()
        if newest is None:
            raise NotFoundError("the ledger is empty")
        with contextlib.suppress(LedgerError):
            found = read(self._caches.tree_of(newest), newest.head.root)
            if found is not None:
                return found
        found = read(self._caches.rebuilt(newest, start=0), newest.head.root)
        if found is None:
            raise LedgerError(f"{what} contradicts the signed root", hint="qai ledger verify")
        return found

    def _signed_newest(self) -> Commit | None:
        """The newest commit, its checkpoint checked to be signed by all of the log's keys."""
        newest = self._commits.newest()
        if newest is not None and newest is not self._checked:
            keys = self.signer.verifier_keys()
            head, by = verify_checkpoint(newest.checkpoint.encode(), keys)
            if head.origin != self.origin or len(by) != len(keys):
                raise LedgerError(
                    f"ledger commit {newest.number} is not signed by this ledger's keys",
                    hint="restore objects/ledger and the keys folder from the same backup",
                )
            self._checked = newest
        return newest

    def _signed(self, newest: Commit | None, tree: TileTree, leaves: tuple[Leaf, ...]) -> Commit:
        head = TreeHead(self.origin, tree.size, tree.root())
        signatures = self.signer.sign(head, int(self._clock().timestamp()))
        return Commit(
            schema=1,
            number=newest.number + 1 if newest else 1,
            previous=commit_digest(newest),
            first=tree.size - len(leaves),
            size=tree.size,
            entries=leaves,
            checkpoint=signed_checkpoint(head, signatures).decode(),
        )
