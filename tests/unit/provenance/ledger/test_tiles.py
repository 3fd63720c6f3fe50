"""Tile paths, widths and contents against the C2SP tlog-tiles text and its formal definition."""

from __future__ import annotations

import pytest

from quantumai.errors import EvidenceError
from quantumai.merkle import leaf_hash, root_hash
from quantumai.provenance.ledger.tiles import (
    Tile,
    TileTree,
    decode_bundle,
    encode_bundle,
    tiles_of,
)


def test_path_of_the_specifications_example() -> None:
    assert Tile(0, 1234067, 256).path == "tile/0/x001/x234/067"
    assert Tile(3, 5, 7).path == "tile/3/005.p/7"
    assert Tile(-1, 1000, 256).path == "tile/entries/x001/000"


def test_tiles_of_the_specifications_example_tree() -> None:
    tiles = list(tiles_of(70_000))
    hashes = [tile for tile in tiles if tile.level >= 0]
    assert sum(t.level == 0 and t.width == 256 for t in hashes) == 273
    assert [t.width for t in hashes if t.width < 256] == [112, 17, 1]
    assert sum(t.level == 1 and t.width == 256 for t in hashes) == 1
    assert len([t for t in tiles if t.level < 0]) == 274
    assert [t.path for t in tiles_of(256) if t.level >= 0] == ["tile/0/000", "tile/1/000.p/1"]


def test_contents_follow_the_formal_definition() -> None:
    size = 256 * 256 + 300
    entries = [i.to_bytes(3, "big") for i in range(size)]
    hashes = [leaf_hash(entry) for entry in entries]
    tree = TileTree(0, _none).extended(entries)
    for tile in (
        Tile(0, 256, 256),
        Tile(0, 257, 44),
        Tile(1, 0, 256),
        Tile(1, 1, 1),
        Tile(2, 0, 1),
    ):
        span = 256**tile.level
        wanted = [
            root_hash(hashes[(tile.index * 256 + i) * span : (tile.index * 256 + i + 1) * span])
            for i in range(tile.width)
        ]
        assert tree.tile_bytes(tile) == b"".join(wanted)
    assert tree.root() == root_hash(hashes)
    assert tree.tile_bytes(Tile(-1, 257, 44)) == encode_bundle(entries[257 * 256 :])


@pytest.mark.parametrize("steps", [[1, 1, 254, 1], [255, 1, 300], [700]])
def test_growing_by_tiles_reads_only_the_stored_tree(steps: list[int]) -> None:
    store: dict[str, bytes] = {}
    tree, entries = TileTree(0, lambda tile: store[tile.path]), []
    for step in steps:
        fresh = [f"entry {len(entries) + i}".encode() for i in range(step)]
        grown = tree.extended(fresh)
        for tile in tiles_of(grown.size, tree.size):
            store[tile.path] = grown.tile_bytes(tile)
        entries += fresh
        assert grown.root() == root_hash([leaf_hash(entry) for entry in entries])
        tree = TileTree(grown.size, lambda tile: store[tile.path])
        assert tree.root() == grown.root()


def test_bundles() -> None:
    assert encode_bundle([b"ab", b""]) == b"\x00\x02ab\x00\x00"
    assert decode_bundle(b"\x00\x02ab\x00\x00") == [b"ab", b""]
    for cut in (b"\x00", b"\x00\x03ab"):
        with pytest.raises(EvidenceError):
            decode_bundle(cut)
    with pytest.raises(ValueError, match="65535"):
        encode_bundle([bytes(65536)])


def _none(tile: Tile) -> bytes:
    raise AssertionError(tile.path)
