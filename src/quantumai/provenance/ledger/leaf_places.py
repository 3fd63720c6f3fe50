"""The index that a leaf has in the ledger already, proved against the signed root."""

from __future__ import annotations

from quantumai import merkle
from quantumai.errors import LedgerError
from quantumai.provenance.ledger.caches import Edge, LedgerCaches
from quantumai.provenance.ledger.commits import Leaf
from quantumai.provenance.ledger.leaf_index import LeafIndex
from quantumai.provenance.ledger.tiles import WIDTH, TileTree


class LeafPlaces:
    """Looks leaves up by their hashes, in the stored tiles; for one thread at a time.

    A damaged tile cannot make a leaf seem to be there: what is found has to be proved. It can hide
    a leaf, which is then appended once more.
    """

    def __init__(self, caches: LedgerCaches) -> None:
        self._caches = caches
        self._index = LeafIndex()

    def of(self, leaf: Leaf, edge: Edge) -> int | None:
        """The first index of `leaf` in the tree at `edge`, or None."""
        value = merkle.leaf_hash(leaf.entry)
        try:
            self._follow(edge.tree)
            return self._proved(value, edge)
        except LedgerError:  # the tiles are damaged, and the index may be
            self._index = LeafIndex()
            mended = self._caches.rebuilt(edge.commit, start=0)
            self._follow(mended.tree)
            return self._proved(value, mended)

    def _follow(self, tree: TileTree) -> None:
        if self._index.size < tree.size:
            for hashes in tree.leaf_hashes(self._index.size):
                self._index.add(hashes)

    def _proved(self, value: bytes, edge: Edge) -> int | None:
        tree = edge.tree
        for index in self._index.candidates(value):
            if index < tree.size and tree.tile(0, index // WIDTH)[index % WIDTH] == value:
                path = merkle.inclusion_proof(index, tree.size, tree.subtree)
                if merkle.verify_inclusion(value, index, tree.size, path, edge.commit.head.root):
                    return index
                raise LedgerError(f"ledger leaf {index} contradicts the signed root")
        return None
