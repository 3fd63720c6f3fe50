"""Tiles of a transparency log: paths, contents, and a tree that reads and grows by them.

Format: C2SP tlog-tiles (https://c2sp.org/tlog-tiles). A tile is 256 hashes wide and 8 levels high.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from quantumai.errors import LedgerError
from quantumai.merkle import EMPTY_ROOT, leaf_hash, node_hash, split_point, subtrees_of

WIDTH = 256
_HEIGHT = 8
_HASH = 32
_LONGEST_ENTRY = 0xFFFF


@dataclass(frozen=True)
class Tile:
    """Address of a tile: level (-1 for entry bundles), index in the level, width 1..256."""

    level: int
    index: int
    width: int

    @property
    def path(self) -> str:
        """Path below the log's prefix, such as `tile/0/x001/x234/067.p/5`."""
        level = "entries" if self.level < 0 else str(self.level)
        digits = f"{self.index:03d}"
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        parts = [digits[i : i + 3] for i in range(0, len(digits), 3)]
        name = "/".join(["x" + part for part in parts[:-1]] + parts[-1:])
        partial = "" if self.width == WIDTH else f".p/{self.width}"
        return f"tile/{level}/{name}{partial}"


def tile_width(level: int, index: int, size: int) -> int:
    """Width (0..256) of tile `index` at `level` in a tree of `size` leaves."""
    hashes = size >> (_HEIGHT * max(level, 0))
    return max(0, min(WIDTH, hashes - index * WIDTH))


def tiles_of(size: int, since: int = 0) -> Iterator[Tile]:
    """All hash tiles and bundles of the tree of `size` leaves that the tree of `since` lacks."""
    for level in range(-1, 64):
        hashes = size >> (_HEIGHT * max(level, 0))
        if hashes == 0:
            return
        before = since >> (_HEIGHT * max(level, 0))
        if hashes == before:
            continue
        for index in range(before // WIDTH, -(-hashes // WIDTH)):
            yield Tile(level, index, tile_width(level, index, size))


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """Entry bundle: each entry after its length as a big-endian uint16."""
    for entry in entries:
        if len(entry) > _LONGEST_ENTRY:
            raise ValueError("ledger entry longer than 65535 bytes")
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def decode_bundle(data: bytes) -> list[bytes]:
    """Entries of a bundle. Raises `LedgerError` when it is cut off."""
    entries, at = [], 0
    while at < len(data):
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        if at + 2 > len(data) or end > len(data):
            raise LedgerError("an entry bundle of the ledger is cut off")
        entries.append(data[at + 2 : end])
        at = end
    return entries


class TileTree:
    """The tree of `size` leaves whose tiles `read` returns; tiles once read are kept.

    `read` gets the address at the tree's size and returns the tile's bytes (it may cut a fuller
    tile itself); lengths are checked here and raise `LedgerError`.
    """

    def __init__(self, size: int, read: Callable[[Tile], bytes]) -> None:
        self.size = size
        self._read = read
        self._hashes: dict[tuple[int, int], list[bytes]] = {}
        self._bundles: dict[int, list[bytes]] = {}

    def tile(self, level: int, index: int) -> list[bytes]:
        """Hashes of a tile at this tree's size."""
        held = self._hashes.get((level, index))
        if held is None:
            held = self._hashes[level, index] = self._read_hashes(level, index)
        return held

    def bundle(self, index: int) -> list[bytes]:
        """Entries of a bundle at this tree's size."""
        if index not in self._bundles:
            address = Tile(-1, index, tile_width(-1, index, self.size))
            entries = decode_bundle(self._read(address)) if address.width else []
            if len(entries) != address.width:
                raise LedgerError(f"ledger {address.path} has a wrong number of entries")
            self._bundles[index] = entries
        return self._bundles[index]

    def subtree(self, low: int, high: int) -> bytes:
        """Tree hash of leaves [low, high), a range met in RFC 6962's recursion."""
        width = high - low
        if width == 0:
            return EMPTY_ROOT
        if width & (width - 1):
            middle = low + split_point(width)
            return node_hash(self.subtree(low, middle), self.subtree(middle, high))
        level, inner = divmod(width.bit_length() - 1, _HEIGHT)
        first = low >> (_HEIGHT * level)
        index, offset = divmod(first, WIDTH)
        hashes = self.tile(level, index)[offset : offset + (1 << inner)]
        return subtrees_of(hashes)(0, len(hashes))

    def root(self) -> bytes:
        """Root of the whole tree."""
        return self.subtree(0, self.size)

    def leaf_hashes(self, since: int) -> Iterator[list[bytes]]:
        """The leaf hashes from index `since` on, tile by tile; what is read is not kept."""
        for index in range(since // WIDTH, -(-self.size // WIDTH)):
            held = self._hashes.get((0, index)) or self._read_hashes(0, index)
            yield held[max(0, since - index * WIDTH) :]

    def extended(self, entries: Sequence[bytes], stored: int | None = None) -> TileTree:
        """The tree with `entries` added; reads only tiles at the right edge.

        `stored` says that the tiles of the first so many leaves can be read again (default: of
        all of this tree's); what goes beyond them stays in memory.
        """
        grown = TileTree(self.size + len(entries), self._read)
        least = self.size if stored is None else stored
        # Copies, because other threads may read meanwhile, and keep what they read.
        for (level, index), held in self._hashes.copy().items():
            if len(held) < WIDTH:
                grown._hashes[level, index] = list(held)
            elif index >= (least >> (_HEIGHT * level)) // WIDTH:
                grown._hashes[level, index] = held
        for index, entry_list in self._bundles.copy().items():
            if len(entry_list) < WIDTH:
                grown._bundles[index] = list(entry_list)
            elif index >= least // WIDTH:
                grown._bundles[index] = entry_list
        for number, entry in enumerate(entries, start=self.size):
            index, offset = divmod(number, WIDTH)
            if index not in grown._bundles:
                grown._bundles[index] = list(self.bundle(index)) if offset else []
            grown._bundles[index].append(entry)
            grown._push(self, 0, number, leaf_hash(entry))
        return grown

    def tile_bytes(self, address: Tile) -> bytes:
        """Content of a tile or bundle as it is stored."""
        if address.level < 0:
            return encode_bundle(self.bundle(address.index)[: address.width])
        return b"".join(self.tile(address.level, address.index)[: address.width])

    def _read_hashes(self, level: int, index: int) -> list[bytes]:
        address = Tile(level, index, tile_width(level, index, self.size))
        data = self._read(address) if address.width else b""
        if len(data) != address.width * _HASH:
            raise LedgerError(f"ledger {address.path} has a wrong length")
        return [data[i : i + _HASH] for i in range(0, len(data), _HASH)]

    def _push(self, former: TileTree, level: int, number: int, value: bytes) -> None:
        index, offset = divmod(number, WIDTH)
        if (level, index) not in self._hashes:
            self._hashes[level, index] = list(former.tile(level, index)) if offset else []
        hashes = self._hashes[level, index]
        hashes.append(value)
        if len(hashes) == WIDTH:
            self._push(former, level + 1, index, subtrees_of(hashes)(0, WIDTH))
