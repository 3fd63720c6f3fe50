"""What verifying costs: one manifest with all its evidence, and inclusion in ever larger logs."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _reporting import spread

from quantumai import merkle
from quantumai.provenance.manifest.verification import verify_manifest
from quantumai.provenance.verification.trust import TrustFile

GOLDEN = Path(__file__).resolve().parents[1] / "tests" / "vectors" / "manifests" / "v1"
_BLOCK = 256


def manifest_ms(repeats: int) -> dict[str, dict[str, float]]:
    """Milliseconds of `verify_manifest`, offline, on a manifest that is kept as a test vector."""
    envelope, proof = ((GOLDEN / f"{name}.json").read_bytes() for name in ("manifest", "proof"))
    trust = TrustFile.parse((GOLDEN / "trust.json").read_bytes())
    stored = {path.name: path.read_bytes() for path in (GOLDEN / "artefacts").iterdir()}

    def whole() -> bool:
        return verify_manifest(envelope, stored.get, proof, trust).verified

    def apart() -> bool:
        allowed = frozenset({"artefacts"})
        report = verify_manifest(envelope, lambda _: None, proof, trust, allow_unchecked=allowed)
        return report.verified

    return {
        "with its artefacts": _timed_ms(whole, repeats),
        "artefacts apart": _timed_ms(apart, repeats),
    }


def _timed_ms(verify: Callable[[], bool], repeats: int) -> dict[str, float]:
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        held = verify()
        times.append(1e3 * (time.perf_counter() - began))
        if not held:
            raise SystemExit("the manifest that is kept as a test vector does not verify")
    return spread(times)


class _CountedTree:
    """The tree of the leaves 0, 1, 2, ...: roots of blocks in memory, the leaves made again."""

    def __init__(self) -> None:
        self._blocks: list[bytes] = []
        self._known: dict[tuple[int, int], bytes] = {}

    def grow(self, size: int) -> None:
        """Hash blocks until the full ones of the first `size` leaves are there."""
        while (len(self._blocks) + 1) * _BLOCK <= size:
            first = len(self._blocks) * _BLOCK
            self._blocks.append(merkle.root_hash(_leaves(first, first + _BLOCK)))

    def subtree(self, low: int, high: int) -> bytes:
        """Tree hash of [low, high), a range met in RFC 6962's recursion."""
        if high - low <= _BLOCK:
            whole = high - low == _BLOCK
            return self._blocks[low // _BLOCK] if whole else merkle.root_hash(_leaves(low, high))
        if (low, high) not in self._known:
            middle = low + merkle.split_point(high - low)
            halves = self.subtree(low, middle), self.subtree(middle, high)
            self._known[low, high] = merkle.node_hash(*halves)
        return self._known[low, high]


def _leaves(low: int, high: int) -> list[bytes]:
    return [leaf_of(n) for n in range(low, high)]


def leaf_of(number: int) -> bytes:
    """Leaf hash of the entry that says `number`."""
    return hashlib.sha256(b"\x00%d" % number).digest()


def inclusion_curve(largest: int, proofs: int, repeats: int) -> list[dict[str, Any]]:
    """Proof lengths and microseconds of checking one, for logs of 10^3, 10^4, ... leaves."""
    tree, found = _CountedTree(), []
    chosen = random.Random(5)
    size = 1000
    while size <= largest:
        began = time.perf_counter()
        tree.grow(size)
        root = tree.subtree(0, size)
        built_s = time.perf_counter() - began
        times, lengths = [], []
        for _ in range(proofs):
            index = chosen.randrange(size)
            path = merkle.inclusion_proof(index, size, tree.subtree)
            leaf = leaf_of(index)
            began = time.perf_counter()
            for _ in range(repeats):
                held = merkle.verify_inclusion(leaf, index, size, path, root)
            times.append(1e6 * (time.perf_counter() - began) / repeats)
            lengths.append(len(path))
            if not held or merkle.verify_inclusion(leaf, index ^ 1, size, path, root):
                raise SystemExit(f"the proof of leaf {index} among {size} is not what it should be")
        found.append(
            {
                "leaves": size,
                "hashes": spread(lengths),
                "bytes": spread([32 * length for length in lengths]),
                "us": spread(times),
                "built_s": float(f"{built_s:.3g}"),
            }
        )
        size *= 10
    return found
