"""Merkle tree hashes and proofs of RFC 6962, section 2.1 (SHA-256).

Proofs are built from a function `subtree(low, high)` that returns the tree hash of the leaves
[low, high), so that they can be read from tiles as well as from a list of leaves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

Subtree = Callable[[int, int], bytes]

EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    """Hash of one entry: SHA-256(0x00 || entry)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node: SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def split_point(size: int) -> int:
    """The largest power of two smaller than `size` (>= 2)."""
    return 1 << ((size - 1).bit_length() - 1)


def subtrees_of(hashes: Sequence[bytes]) -> Subtree:
    """`subtree(low, high)` over leaf hashes that are held in memory."""

    def subtree(low: int, high: int) -> bytes:
        level = list(hashes[low:high])
        if not level:
            return EMPTY_ROOT
        # Pairing from the left and carrying an odd one up equals the RFC's recursive definition.
        while len(level) > 1:
            paired = [
                node_hash(left, right) for left, right in zip(level[::2], level[1::2], strict=False)
            ]
            level = paired + level[len(level) & ~1 :]
        return level[0]

    return subtree


def root_hash(hashes: Sequence[bytes]) -> bytes:
    """Tree head of leaf hashes: MTH of RFC 6962, section 2.1."""
    return subtrees_of(hashes)(0, len(hashes))


class Frontier:
    """A tree that only grows: the roots of its complete subtrees from left to right, no leaves.

    Adding a leaf costs two hashes on average, and `root` at most one for each subtree.
    """

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[tuple[int, bytes]] = []  # heights fall, so at most 64 of them

    def add(self, leaf: bytes) -> None:
        """Append a leaf by its hash."""
        height, value = 0, leaf
        while self._peaks and self._peaks[-1][0] == height:
            height, value = height + 1, node_hash(self._peaks.pop()[1], value)
        self._peaks.append((height, value))
        self.size += 1

    def root(self) -> bytes:
        """Tree head of all leaves so far."""
        if not self._peaks:
            return EMPTY_ROOT
        value = self._peaks[-1][1]
        for _, left in reversed(self._peaks[:-1]):
            value = node_hash(left, value)
        return value


def inclusion_proof(index: int, size: int, subtree: Subtree) -> list[bytes]:
    """Audit path of leaf `index` in the tree of `size` leaves (RFC 6962, section 2.1.1)."""
    if not 0 <= index < size:
        raise ValueError("leaf index outside the tree")
    path: list[bytes] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + split_point(high - low)
        if index < middle:
            path.append(subtree(middle, high))
            high = middle
        else:
            path.append(subtree(low, middle))
            low = middle
    return path[::-1]


def consistency_proof(first: int, second: int, subtree: Subtree) -> list[bytes]:
    """Proof that the tree of `second` leaves extends that of `first` (RFC 6962, section 2.1.2).

    Empty when `first` is 0 or equals `second`.
    """
    if not 0 <= first <= second:
        raise ValueError("tree sizes out of order")
    if first in (0, second):
        return []
    path: list[bytes] = []
    low, high, whole = 0, second, True
    while first != high:
        middle = low + split_point(high - low)
        if first <= middle:
            path.append(subtree(middle, high))
            high = middle
        else:
            path.append(subtree(low, middle))
            low, whole = middle, False
    if not whole:
        path.append(subtree(low, high))
    return path[::-1]


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> bool:
    """Whether leaf hash `leaf` is at `index` in the tree of `size` leaves with head `root`.

    The algorithm of RFC 9162, section 2.1.3.2, which holds for RFC 6962 trees.
    """
    if not 0 <= index < size or not _are_hashes(leaf, root, *proof):
        return False
    node, last, computed = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if node & 1 or node == last:
            computed = node_hash(sibling, computed)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            computed = node_hash(computed, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and computed == root


def verify_consistency(
    first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Whether the tree (`second`, `second_root`) extends (`first`, `first_root`).

    The algorithm of RFC 9162, section 2.1.4.2. An empty first tree is extended by every tree.
    """
    if not 0 <= first <= second or (first == 0 and first_root != EMPTY_ROOT):
        return False
    if first == second:
        return not proof and first_root == second_root
    if not _are_hashes(first_root, second_root, *proof):
        return False
    if first == 0:
        return not proof
    path = list(proof)
    if first & (first - 1) == 0:
        path.insert(0, first_root)
    if not path:
        return False
    node, last = first - 1, second - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and old == first_root and new == second_root


def _are_hashes(*values: bytes) -> bool:
    # Else a "leaf" of any length would be in the tree of one leaf with that head.
    return all(len(value) == len(EMPTY_ROOT) for value in values)
