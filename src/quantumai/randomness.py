"""Named random streams of one 256-bit root seed, so that a replay draws the same numbers."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from quantumai.errors import BadInputError

if TYPE_CHECKING:
    import numpy as np

_FORM = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class RootSeed:
    """A job's root seed; `text` is its manifest form `sha256:<64 hex digits>`."""

    text: str

    def __post_init__(self) -> None:
        if not _FORM.fullmatch(self.text):
            raise BadInputError(f"not a root seed: {self.text!r}", hint="sha256:<64 hex digits>")

    @classmethod
    def of(cls, seed: str | None) -> RootSeed:
        """Root seed of a user's `--seed` text, or of fresh randomness when there is none."""
        material = secrets.token_bytes(32) if seed is None else seed.encode()
        if seed is not None and _FORM.fullmatch(seed):
            return cls(seed)
        return cls("sha256:" + hashlib.sha256(material).hexdigest())

    def integer(self, stream: str) -> int:
        """A 256-bit integer belonging to `stream`: SHA-256(root || 0x00 || stream)."""
        root = bytes.fromhex(self.text.removeprefix("sha256:"))
        return int.from_bytes(hashlib.sha256(root + b"\0" + stream.encode()).digest())

    def generator(self, stream: str) -> np.random.Generator:
        """A NumPy generator (PCG64) for `stream`; the same root and name draw the same numbers."""
        import numpy as np

        return np.random.Generator(np.random.PCG64(self.integer(stream)))
