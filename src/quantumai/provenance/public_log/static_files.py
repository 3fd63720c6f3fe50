"""A log read from static files in the layout of C2SP tlog-tiles: a folder, or what a server offers.

Whoever keeps the files is not believed: tiles are only a source of proofs, and each proof is
verified against signed roots by whoever asked for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from quantumai import merkle
from quantumai.bounded_reading import read_bounded, shown_path
from quantumai.errors import BadInputError, LedgerError, NotFoundError
from quantumai.provenance.ledger.checkpoint import stated_head
from quantumai.provenance.ledger.tiles import WIDTH, Tile, TileTree, decode_bundle, encode_bundle
from quantumai.storage.objects import ObjectStore

CHECKPOINT = "checkpoint"
# A full bundle of the longest entries.
LONGEST_FILE = WIDTH * (2 + 0xFFFF)
_HASH = 32


class StaticFiles(Protocol):
    """Files by path below the log's prefix."""

    def read(self, path: str) -> bytes:
        """The file's bytes.

        Raises `NotFoundError` if there is none, `BadInputError` or `StorageError` if it cannot be
        read.
        """
        ...


class FolderFiles:
    """`StaticFiles` in a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def __str__(self) -> str:
        return shown_path(self._root)

    def read(self, path: str) -> bytes:
        """See `StaticFiles.read`."""
        file = self._root / path
        try:
            there = file.exists()
        except (OSError, ValueError) as error:
            raise BadInputError(f"cannot read {shown_path(file)}: {error}") from None
        if not there:
            raise NotFoundError(f"no file {shown_path(file)}")
        return read_bounded(file, LONGEST_FILE, "the log's file")


class StoredFiles:
    """`StaticFiles` of a home's own ledger: the caches in its object store."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    def __str__(self) -> str:
        return "this home"

    def read(self, path: str) -> bytes:
        """See `StaticFiles.read`."""
        return self._objects.get(f"ledger/{path}")


class PublicLog:
    """The log in `files`, at the head that its checkpoint states."""

    def __init__(self, files: StaticFiles) -> None:
        self.files = files
        self.checkpoint = self._checkpoint()
        self.head = stated_head(self.checkpoint)
        self._tree = TileTree(self.head.size, self.tile)

    def tile(self, address: Tile) -> bytes:
        """A tile or bundle; where the partial one is gone, cut from the full one.

        Raises `LedgerError` if it is missing or too short.
        """
        try:
            return self.files.read(address.path)
        except NotFoundError:
            pass
        full = Tile(address.level, address.index, WIDTH)
        try:
            return _cut(self.files.read(full.path), address)
        except NotFoundError:
            raise LedgerError(f"the log's {address.path} is missing") from None

    def consistency_proof(self, first: int, second: int) -> list[bytes]:
        """Proof that the first `second` leaves extend the first `first`, as the tiles have it.

        Raises `LedgerError` where the log has fewer leaves, or lacks a tile.
        """
        if not 0 <= first <= second:
            raise LedgerError("tree sizes out of order")
        if second > self.head.size:
            raise LedgerError(
                f"the log has {self.head.size} leaves and proves nothing about {second}"
            )
        return merkle.consistency_proof(first, second, self._tree.subtree)

    def inclusion_proof(self, index: int, size: int) -> list[bytes]:
        """Audit path of leaf `index` in the tree of the first `size` leaves."""
        if not 0 <= index < size <= self.head.size:
            raise LedgerError(f"the log has no leaf {index} in its first {size}")
        return merkle.inclusion_proof(index, size, self._tree.subtree)

    def _checkpoint(self) -> bytes:
        try:
            return self.files.read(CHECKPOINT)
        except NotFoundError:
            raise BadInputError(
                f"no log in {self.files}: it has no checkpoint",
                hint="`qai ledger export DIR` makes one",
            ) from None


def _cut(full: bytes, address: Tile) -> bytes:
    if address.level >= 0:
        return full[: address.width * _HASH]
    return encode_bundle(decode_bundle(full)[: address.width])
