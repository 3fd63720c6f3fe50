"""The ledger's caches: tiles, entry bundles and `checkpoint`, all derived from the commits.

They are written after the commit, completed by whoever comes next after a crash, checked against
the signed root whenever they are used, and rebuilt where they are damaged. Caches that know of
more leaves than the commits prove that commits were lost.
"""

from __future__ import annotations

from quantumai import merkle
from quantumai.errors import LedgerError, NotFoundError
from quantumai.provenance.checkpoint import TreeHead
from quantumai.provenance.commits import Commit, CommitLog
from quantumai.provenance.note import Note
from quantumai.provenance.tiles import WIDTH, Tile, TileTree, tiles_of
from quantumai.storage.objects import ObjectStore

CHECKPOINT_KEY = "ledger/checkpoint"


class LedgerCaches:
    """Caches in the object store; `repairs` lists the damage that was found and mended."""

    def __init__(self, objects: ObjectStore, commits: CommitLog) -> None:
        self._objects = objects
        self._commits = commits
        self._tree: TileTree | None = None  # of the newest commit, checked against its root
        self.repairs: list[str] = []

    def tree_of(self, newest: Commit | None) -> TileTree:
        """The tree at `newest`, its caches completed and its right edge checked."""
        if newest is None:
            self.refuse_lost_commits(0)
            return TileTree(0, self._read_tile)
        if self._tree is not None and self._tree.size == newest.size:
            return self._tree
        cached = self.refuse_lost_commits(newest.size)
        try:
            if cached == newest.size:
                tree = TileTree(newest.size, self._read_tile)
                _check_edge(tree, newest)
            else:
                tree = self.rebuilt(newest, cached)
        except LedgerError:
            tree = self.rebuilt(newest, start=0)
        self._tree = tree
        return tree

    def refuse_lost_commits(self, size: int) -> int:
        """Size that the caches were completed to; `LedgerError` if commits were lost since.

        Caches are written after their commit, so they never know of more leaves than it.
        """
        cached = self._cached_size()
        known = max(cached, self._tiled_size(size))
        if known > size and known > (now := self._committed_size()):
            raise LedgerError(
                f"the ledger's caches have {known} leaves but its commits only {now}",
                hint="commits are missing: restore objects/ledger from a backup before going on",
            )
        return min(cached, size)

    def _committed_size(self) -> int:
        newest = self._commits.newest()
        return newest.size if newest else 0

    def _tiled_size(self, size: int) -> int:
        """Leaves that the tiles and bundles at the right edge of `size` leaves were made for."""
        known = 0
        for level in (-1, 0):
            edge = Tile(level, size // WIDTH, WIDTH)
            for key in self._objects.keys(f"ledger/{edge.path}"):
                width = key.removeprefix(f"ledger/{edge.path}.p/")
                known = max(
                    known, edge.index * WIDTH + (int(width) if width.isdecimal() else WIDTH)
                )
        return known

    def _cached_size(self) -> int:
        try:
            return TreeHead.parse(Note.parse(self._objects.get(CHECKPOINT_KEY)).text).size
        except (NotFoundError, LedgerError):
            return 0

    def rebuilt(self, newest: Commit, start: int) -> TileTree:
        """Complete the caches from the commits after size `start` (0: all of them)."""
        commits = [newest]
        while commits[-1].first > start:
            commits.append(self._commits.read(commits[-1].number - 1))
        if commits[-1].first != start:  # no commit ends there: not a size of ours
            return self.rebuilt(newest, 0)
        tree = TileTree(start, self._read_tile)
        if start:
            _check_edge(tree, self._commits.read(commits[-1].number - 1))
        for commit in reversed(commits):
            grown = tree.extended([leaf.entry for leaf in commit.entries])
            if grown.root() != commit.head.root:
                raise LedgerError(
                    f"ledger commit {commit.number} contradicts its own checkpoint",
                    hint="qai ledger verify",
                )
            self._write_tiles(grown, tree.size)
            tree = grown
        self._objects.replace(CHECKPOINT_KEY, newest.checkpoint.encode())
        self._tree = tree
        return tree

    def write(self, tree: TileTree, since: int, commit: Commit) -> None:
        """Bring the caches from size `since` to `tree`, that of `commit`."""
        self._tree = None  # should a write fail, the next reader starts from what is stored
        self._write_tiles(tree, since)
        self._objects.replace(CHECKPOINT_KEY, commit.checkpoint.encode())
        self._tree = tree

    def _write_tiles(self, tree: TileTree, since: int) -> None:
        for tile in tiles_of(tree.size, since):
            key, data = f"ledger/{tile.path}", tree.tile_bytes(tile)
            # Tiles are immutable; one that differs is damaged and put right.
            if not self._objects.create(key, data) and self._objects.get(key) != data:
                self.repairs.append(f"ledger {tile.path} contradicted the commits; now rebuilt")
                self._objects.replace(key, data)

    def _read_tile(self, tile: Tile) -> bytes:
        try:
            return self._objects.get(f"ledger/{tile.path}")
        except NotFoundError:
            self.repairs.append(f"ledger {tile.path} was missing; now rebuilt")
            raise LedgerError(f"ledger {tile.path} is missing") from None


def _check_edge(tree: TileTree, commit: Commit) -> None:
    """Raise `LedgerError` unless the tiles that the next append builds on fit the signed root.

    The root covers every hash of the unfinished tiles; the unfinished bundle is hashed again.
    """
    if tree.root() != commit.head.root:
        raise LedgerError("the ledger's tiles contradict its signed root")
    if tree.size % WIDTH:
        index = tree.size // WIDTH
        hashes = [merkle.leaf_hash(entry) for entry in tree.bundle(index)]
        if hashes != tree.tile(0, index):
            raise LedgerError("the ledger's entries contradict its tiles")
