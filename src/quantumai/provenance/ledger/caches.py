"""The ledger's caches: tiles, entry bundles and `checkpoint`, all derived from the commits.

They are published after the commit: at once while the log is idle, at intervals while it is busy.
What a crash left out is completed by whoever comes next. They are checked against the signed root
whenever they are read, and rebuilt where they are damaged. Caches that know of more leaves than
the commits prove that commits were lost.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from quantumai import merkle
from quantumai.errors import LedgerError, NotFoundError
from quantumai.provenance.ledger.checkpoint import stated_head
from quantumai.provenance.ledger.commits import Commit, CommitLog
from quantumai.provenance.ledger.tiles import WIDTH, Tile, TileTree, tiles_of
from quantumai.storage.objects import ObjectStore

CHECKPOINT_KEY = "ledger/checkpoint"
# Leaves that may be in memory only; whoever is further behind starts from what is stored.
_MOST_UNPUBLISHED = 1 << 16


@dataclass(frozen=True)
class Edge:
    """A commit and the tree at it, whose root is the signed one."""

    commit: Commit
    tree: TileTree


class LedgerCaches:
    """Caches in the object store; threads may share it.

    `repairs` lists the damage that was found and mended.
    """

    def __init__(self, objects: ObjectStore, commits: CommitLog) -> None:
        self._objects = objects
        self._commits = commits
        self._edge: Edge | None = None
        self._stored = 0  # leaves that the stored caches are known to cover
        self._moving = threading.Lock()
        self._publishing = threading.Lock()
        self.repairs: list[str] = []

    @property
    def unpublished(self) -> int:
        """Leaves that are not in the stored caches yet."""
        return self._edge.tree.size - self._stored if self._edge else 0

    def empty_tree(self) -> TileTree:
        """The tree of a log without commits. Raises `LedgerError` if the caches know better."""
        self.refuse_lost_commits(0)
        return TileTree(0, self._read_tile)

    def at(self, newest: Commit) -> Edge:
        """The edge at `newest`, whose signatures were checked, or at a later commit."""
        edge = self._edge
        if edge is not None and edge.commit.number >= newest.number:
            return edge
        if edge is not None and newest.size - self._stored <= _MOST_UNPUBLISHED:
            try:
                return self._followed(edge, newest)
            except LedgerError:
                return self.rebuilt(newest, start=0)
        return self._opened(newest)

    def extended(self, tree: TileTree, entries: list[bytes]) -> TileTree:
        """`tree` with `entries` added, holding in memory what is not stored yet."""
        return tree.extended(entries, min(self._stored, tree.size))

    def advance(self, commit: Commit, tree: TileTree) -> Edge:
        """Take `tree` as that of `commit`, unless a later one is known."""
        with self._moving:
            if self._edge is None or self._edge.commit.number < commit.number:
                self._edge = Edge(commit, tree)
            return self._edge

    def publish(self, *, wait: bool = True) -> None:
        """Store what the caches lack; another thread that does so is waited for, or let do it."""
        if not self._publishing.acquire(blocking=wait):
            return
        try:
            edge = self._edge
            if edge is not None and edge.tree.size > self._stored:
                self._write_tiles(edge.tree, self._stored)
                self._finish(edge.commit)
        finally:
            self._publishing.release()

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

    def rebuilt(self, newest: Commit, start: int) -> Edge:
        """Complete the stored caches from the commits after size `start` (0: all of them)."""
        commits = self._commits_after(start, newest)
        tree = TileTree(start, self._read_tile)
        first = next(commits)
        if start and first.first == start:
            _check_edge(tree, self._commits.read(first.number - 1))
        with self._publishing:
            stored = start
            for commit in chain((first,), commits):
                tree = _grown(tree, commit, stored)
                if tree.root() != commit.head.root:
                    raise LedgerError(
                        f"ledger commit {commit.number} contradicts its own checkpoint",
                        hint="qai ledger verify",
                    )
                if tree.size - stored >= _MOST_UNPUBLISHED:
                    self._write_tiles(tree, stored)
                    stored = tree.size
            self._write_tiles(tree, stored)
            edge = Edge(newest, tree)
            with self._moving:
                # Also in place of an equal one, which may stand on damaged tiles.
                if self._edge is None or self._edge.commit.number <= newest.number:
                    self._edge = edge
            self._finish(newest)
        return edge

    def _followed(self, edge: Edge, newest: Commit) -> Edge:
        """`edge` brought to `newest` by the commits in between; nothing is stored."""
        tree = edge.tree
        for number in range(edge.commit.number + 1, newest.number + 1):
            commit = newest if number == newest.number else self._commits.read(number)
            tree = _grown(tree, commit, min(self._stored, tree.size))
        if tree.root() != newest.head.root:
            raise LedgerError("the ledger's newest commits contradict the signed root")
        return self.advance(newest, tree)

    def _opened(self, newest: Commit) -> Edge:
        """The edge at `newest` from what is stored, completed and checked."""
        cached = self.refuse_lost_commits(newest.size)
        try:
            if cached != newest.size:
                return self.rebuilt(newest, cached)
            tree = TileTree(newest.size, self._read_tile)
            _check_edge(tree, newest)
        except LedgerError:
            return self.rebuilt(newest, start=0)
        self._stored = max(self._stored, newest.size)
        return self.advance(newest, tree)

    def _commits_after(self, start: int, newest: Commit) -> Iterator[Commit]:
        """The commits from size `start` on, or all if no commit ends there."""
        later = [newest]
        while start and later[-1].first > start:
            later.append(self._commits.read(later[-1].number - 1))
        if start:
            yield from reversed(later)
            return
        for number in range(1, newest.number):
            yield self._commits.read(number)
        yield newest

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
            return stated_head(self._objects.get(CHECKPOINT_KEY)).size
        except (NotFoundError, LedgerError):
            return 0

    def _finish(self, commit: Commit) -> None:
        """Publish the checkpoint of `commit`, whose tiles are stored."""
        # Never in place of a later one: whoever watches the log would see a roll-back.
        if self._cached_size() <= commit.size:
            self._objects.replace(CHECKPOINT_KEY, commit.checkpoint.encode())
        self._stored = max(self._stored, commit.size)

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


def _grown(tree: TileTree, commit: Commit, stored: int) -> TileTree:
    if commit.first != tree.size:
        raise LedgerError(
            f"ledger commit {commit.number} starts at leaf {commit.first} instead of {tree.size}",
            hint="qai ledger verify",
        )
    return tree.extended([leaf.entry for leaf in commit.entries], stored)


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
