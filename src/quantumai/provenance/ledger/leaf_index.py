"""Where each leaf hash stands in the ledger, so that nothing is appended twice.

Filled from the hash tiles, which are caches: what it says is a hint, to be checked against the
signed root. Costs 16 bytes a leaf, at most 10 MiB for the newest ones, and at the first append of
a process one read of 8 KiB for each 256 leaves: about a second for 10^6 leaves on a local disk.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MOST_RECENT = 1 << 16
_PREFIX_BYTES = 8


class LeafIndex:
    """Indices by leaf hash of the first `size` leaves; not for several threads at once."""

    def __init__(self) -> None:
        self.size = 0
        self._recent: dict[bytes, int] = {}
        # Older ones: sorted first 8 bytes of the hashes, and the index of each.
        self._older: tuple[NDArray[np.uint64], NDArray[np.int64]] | None = None

    def add(self, hashes: Iterable[bytes]) -> None:
        """Take the hashes of the leaves from index `size` on."""
        for value in hashes:
            self._recent.setdefault(value, self.size)
            self.size += 1
        if len(self._recent) >= _MOST_RECENT:
            self._settle()

    def candidates(self, value: bytes) -> list[int]:
        """Indices at which leaf hash `value` may stand, the first one first; often none."""
        found = self._among_older(value) if self._older is not None else []
        if value in self._recent:
            found.append(self._recent[value])
        return found

    def _among_older(self, value: bytes) -> list[int]:
        import numpy as np

        assert self._older is not None
        prefixes, indices = self._older
        wanted = np.uint64(int.from_bytes(value[:_PREFIX_BYTES], "big"))
        low, high = (int(np.searchsorted(prefixes, wanted, side)) for side in ("left", "right"))
        return sorted(int(index) for index in indices[low:high])

    def _settle(self) -> None:
        """Move the recent ones to the older ones. NumPy is late: small ledgers never need it."""
        import numpy as np

        joined = b"".join(value[:_PREFIX_BYTES] for value in self._recent)
        prefixes = np.frombuffer(joined, ">u8").astype(np.uint64)
        indices = np.fromiter(self._recent.values(), np.int64, len(self._recent))
        if self._older is not None:
            prefixes = np.concatenate((self._older[0], prefixes))
            indices = np.concatenate((self._older[1], indices))
        order = np.argsort(prefixes, kind="stable")
        self._older = prefixes[order], indices[order]
        self._recent = {}
