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

from quantumai.errors import (
    BadInputError,
    ConflictError,
    EvidenceError,
    NotFoundError,
    StorageError,
)
from quantumai.provenance import merkle
from quantumai.provenance.checkpoint import CheckpointSigner, TreeHead, signed_checkpoint
from quantumai.provenance.commits import Commit, CommitLog, Leaf, commit_digest
from quantumai.provenance.note import Note
from quantumai.provenance.tiles import WIDTH, Tile, TileTree, tiles_of
from quantumai.storage.objects import ObjectStore

CHECKPOINT_KEY = "ledger/checkpoint"
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
        self._tree: TileTree | None = None  # of the newest commit, checked against its root

    def size(self) -> int:
        """Number of leaves."""
        newest = self._commits.newest()
        return newest.size if newest else 0

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
            newest = self._commits.newest()
            tree = self._current_tree(newest)
            if at_size is not None and tree.size != at_size:
                raise ConflictError("the ledger has grown in the meantime")
            grown = tree.extended([leaf.entry for leaf in leaves])
            commit = self._signed(newest, grown, tuple(leaves))
            if self._commits.create(commit):
                self._tree = grown
                # The commit stands; a cache that cannot be written now is completed later.
                with contextlib.suppress(StorageError):
                    self._write_caches(grown, tree.size, commit)
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
        """Recheck everything that is stored; return the problems, the first bad thing first."""
        from quantumai.provenance.ledger_check import check_ledger

        return check_ledger(self.objects, self.origin, self.signer.verifier_keys())

    def _with_repair(self, read: Callable[[TileTree, bytes], _T | None], what: str) -> _T:
        """Result of `read` on the newest tree and its signed root.

        When it finds damage (None or `EvidenceError`), the caches are rebuilt and it runs again.
        """
        newest = self._commits.newest()
        if newest is None:
            raise NotFoundError("the ledger is empty")
        with contextlib.suppress(EvidenceError):
            found = read(self._current_tree(newest), newest.head.root)
            if found is not None:
                return found
        self._tree = self._rebuilt(newest, start=0)
        found = read(self._tree, newest.head.root)
        if found is None:
            raise EvidenceError(f"{what} contradicts the signed root", hint="qai ledger verify")
        return found

    def _current_tree(self, newest: Commit | None) -> TileTree:
        """The tree at `newest`, its caches completed and its right edge checked."""
        if newest is None:
            self._refuse_lost_commits(0)
            return TileTree(0, self._read_tile)
        if self._tree is not None and self._tree.size == newest.size:
            return self._tree
        cached = self._refuse_lost_commits(newest.size)
        try:
            if cached == newest.size:
                tree = TileTree(newest.size, self._read_tile)
                _check_edge(tree, newest)
            else:
                tree = self._rebuilt(newest, cached)
        except EvidenceError:
            tree = self._rebuilt(newest, start=0)
        self._tree = tree
        return tree

    def _refuse_lost_commits(self, size: int) -> int:
        """Size that the caches were completed to; `EvidenceError` if commits were lost since."""
        cached = self._cached_size()
        if cached > size and cached > self.size():
            raise EvidenceError(
                f"the ledger's checkpoint has {cached} leaves but its commits only {self.size()}",
                hint="commits are missing: restore them from a backup before going on",
            )
        return min(cached, size)

    def _cached_size(self) -> int:
        try:
            return TreeHead.parse(Note.parse(self.objects.get(CHECKPOINT_KEY)).text).size
        except (NotFoundError, EvidenceError):
            return 0

    def _rebuilt(self, newest: Commit, start: int) -> TileTree:
        """Complete the caches from the commits after size `start` (0: all of them)."""
        commits = [newest]
        while commits[-1].first > start:
            commits.append(self._commits.read(commits[-1].number - 1))
        if commits[-1].first != start:  # no commit ends there: not a size of ours
            return self._rebuilt(newest, 0)
        tree = TileTree(start, self._read_tile)
        if start:
            _check_edge(tree, self._commits.read(commits[-1].number - 1))
        for commit in reversed(commits):
            grown = tree.extended([leaf.entry for leaf in commit.entries])
            if grown.root() != commit.head.root:
                raise EvidenceError(
                    f"ledger commit {commit.number} contradicts its own checkpoint",
                    hint="qai ledger verify",
                )
            self._write_tiles(grown, tree.size)
            tree = grown
        self.objects.replace(CHECKPOINT_KEY, newest.checkpoint.encode())
        return tree

    def _write_caches(self, tree: TileTree, since: int, commit: Commit) -> None:
        self._write_tiles(tree, since)
        self.objects.replace(CHECKPOINT_KEY, commit.checkpoint.encode())

    def _write_tiles(self, tree: TileTree, since: int) -> None:
        for tile in tiles_of(tree.size, since):
            key, data = f"ledger/{tile.path}", tree.tile_bytes(tile)
            # Tiles are immutable; one that differs is damaged and put right.
            if not self.objects.create(key, data) and self.objects.get(key) != data:
                self.objects.replace(key, data)

    def _read_tile(self, tile: Tile) -> bytes:
        try:
            return self.objects.get(f"ledger/{tile.path}")
        except NotFoundError:
            raise EvidenceError(f"ledger {tile.path} is missing") from None

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


def _check_edge(tree: TileTree, commit: Commit) -> None:
    """Raise `EvidenceError` unless the tiles that the next append builds on fit the signed root.

    The root covers every hash of the unfinished tiles; the unfinished bundle is hashed again.
    """
    if tree.root() != commit.head.root:
        raise EvidenceError("the ledger's tiles contradict its signed root")
    if tree.size % WIDTH:
        index = tree.size // WIDTH
        hashes = [merkle.leaf_hash(entry) for entry in tree.bundle(index)]
        if hashes != tree.tile(0, index):
            raise EvidenceError("the ledger's entries contradict its tiles")
