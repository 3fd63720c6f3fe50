"""Recheck a whole ledger from what is stored, believing nothing but the log's public keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from quantumai import merkle
from quantumai.errors import EvidenceError, QuantumAIError
from quantumai.provenance.ledger.checkpoint import stated_head, verify_checkpoint
from quantumai.provenance.ledger.commits import (
    COSIGNED_PREFIX,
    PREFIX,
    Commit,
    CommitLog,
    commit_digest,
    commit_key,
    cosigned_key,
)
from quantumai.provenance.ledger.note import VerifierKey
from quantumai.provenance.ledger.tiles import Tile, TileTree, tile_width, tiles_of
from quantumai.storage.objects import ObjectStore

# Below ledger/, what is derived from no commit: commits themselves, cosignatures, who writes now.
_NOT_CACHES = ("commits/", "cosigned/", "lease")


def check_ledger(objects: ObjectStore, origin: str, keys: Sequence[VerifierKey]) -> list[str]:
    """Return what is wrong, the first bad thing first; an empty list when everything holds.

    Checks the chain of commits, each checkpoint's signatures by all of `keys`, each root against
    the leaves up to it (hence the consistency of consecutive commits), and the derived
    `checkpoint`, tiles and entry bundles, older partial ones included. Of cosigned checkpoints it
    checks the ledger's part; `CosignedCheckpoints.problems` knows the witnesses.
    """
    return list(_problems(objects, origin, keys))


def _problems(objects: ObjectStore, origin: str, keys: Sequence[VerifierKey]) -> Iterator[str]:
    names = list(objects.keys(PREFIX))
    for number, name in enumerate(names, start=1):
        if name != commit_key(number):
            yield f"ledger commit {number} is missing (next is {name.removeprefix(PREFIX)})"
            return
    heads = {0: ""}
    log = CommitLog(objects)
    former: Commit | None = None
    whole = _Whole()
    for number in range(1, len(names) + 1):
        try:
            commit = log.read(number)
            problem = _commit_problem(commit, former, whole, origin, keys)
        except QuantumAIError as error:
            problem = str(error)
        if problem:
            yield problem
            return
        former = commit
        heads[commit.size] = commit.checkpoint
    yield from _cache_problems(objects, whole.tree(), heads)
    yield from _cosigned_problems(objects, heads, keys)


class _Whole:
    """All entries so far, and the head of the tree that they make."""

    def __init__(self) -> None:
        self.entries: list[bytes] = []
        self._frontier = merkle.Frontier()

    def add(self, entry: bytes) -> None:
        self.entries.append(entry)
        self._frontier.add(merkle.leaf_hash(entry))

    def root(self) -> bytes:
        return self._frontier.root()

    def tree(self) -> TileTree:
        return TileTree(0, _no_tile).extended(self.entries)


def _commit_problem(
    commit: Commit,
    former: Commit | None,
    whole: _Whole,
    origin: str,
    keys: Sequence[VerifierKey],
) -> str:
    where = f"ledger commit {commit.number}"
    if commit.previous != commit_digest(former):
        return f"{where} does not follow the commit before it"
    if former is not None and commit.epoch < former.epoch:
        return f"{where} is by a writer whose lease was over"
    if commit.first != len(whole.entries):
        return f"{where} starts at leaf {commit.first} instead of {len(whole.entries)}"
    head, by = verify_checkpoint(commit.checkpoint.encode(), keys)
    if head.origin != origin:
        return f"{where} has the origin {head.origin!r} instead of {origin!r}"
    if len(by) != len(keys):
        return f"{where} has a checkpoint that is not signed by all of the log's keys"
    for leaf in commit.entries:
        whole.add(leaf.entry)
    if head.root != whole.root():
        return f"{where} has a checkpoint whose root does not match the leaves"
    return ""


def _cache_problems(objects: ObjectStore, tree: TileTree, heads: dict[int, str]) -> Iterator[str]:
    stored = {name.removeprefix("ledger/") for name in objects.keys("ledger/")}
    complete = 0
    if "checkpoint" in stored:
        text = objects.get("ledger/checkpoint").decode(errors="replace")
        sizes = [size for size, head in heads.items() if head == text]
        if not sizes:
            yield "the ledger's checkpoint is that of no commit"
            return
        complete = sizes[0]
    # Up to the cached checkpoint every tile must be there; beyond it a crash may have cut off.
    for tile in tiles_of(complete):
        if tile.path not in stored:
            yield f"ledger {tile.path} is missing"
    addresses = {tile.path: tile for size in heads for tile in _edge_tiles(size)}
    addresses.update((tile.path, tile) for tile in tiles_of(tree.size))
    for name in sorted(stored):
        if name == "checkpoint" or name.startswith(_NOT_CACHES):
            continue
        if name not in addresses:
            yield f"ledger {name} belongs to no commit"
        elif objects.get(f"ledger/{name}") != tree.tile_bytes(addresses[name]):
            yield f"ledger {name} contradicts the commits"


def _cosigned_problems(
    objects: ObjectStore, heads: dict[int, str], keys: Sequence[VerifierKey]
) -> Iterator[str]:
    signed = {cosigned_key(size): checkpoint for size, checkpoint in heads.items()}
    for name in objects.keys(COSIGNED_PREFIX):
        try:
            checkpoint = objects.get(name)
            head, by = verify_checkpoint(checkpoint, keys)
        except EvidenceError as error:
            yield f"{name}: {error}"
            continue
        known = signed.get(name, "")
        if not known or stated_head(known.encode()) != head or len(by) != len(keys):
            yield f"{name} is the checkpoint of no commit"


def _edge_tiles(size: int) -> Iterator[Tile]:
    """The unfinished tiles and bundle of the tree of `size` leaves."""
    for level in range(-1, 64):
        hashes = size >> (8 * max(level, 0))
        if hashes == 0:
            return
        if hashes % 256:
            yield Tile(level, hashes // 256, tile_width(level, hashes // 256, size))


def _no_tile(tile: Tile) -> bytes:
    raise AssertionError(f"{tile.path} is held in memory")
