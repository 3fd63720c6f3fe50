"""Which stored objects are evidence that nobody may delete, decided by their names alone.

Everything is, unless it can be derived again or says who works just now. What is left out here
can be deleted and replaced wherever it lies.
"""

from __future__ import annotations

import re

_NOT_RETAINED = re.compile(
    r"ledger/checkpoint"  # the newest commit has it
    r"|ledger/tile/.+\.p/[0-9]+"  # partial tiles and bundles (C2SP tlog-tiles)
    r"|ledger/cosigned/.+"  # a witness gives its cosignature again
    r"|ledger/leases?(/.*)?"  # who writes now
)


def is_retained(key: str) -> bool:
    """Whether the object called `key` has to be kept for the whole retention period."""
    return _NOT_RETAINED.fullmatch(key) is None
