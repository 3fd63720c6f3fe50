"""Which objects are retained: one table of every kind of name that a home writes."""

from __future__ import annotations

import pytest

from quantumai.storage.retention import is_retained

JOB = "11111111-1111-1111-1111-111111111111"
DIGEST = "ab" * 32
TABLE = {
    f"artefacts/local/{DIGEST}": True,
    f"artefacts/_public/{DIGEST}": True,
    f"artefacts/{DIGEST}": True,
    f"manifests/local/{JOB}/manifest.json": True,
    f"manifests/local/{JOB}/proof.json": True,
    f"manifests/local/{JOB}/artefacts/{DIGEST}": True,
    "data-keys/local/0000000001": True,
    f"key-events/{DIGEST}": True,
    f"key-rotations/{DIGEST}": True,
    f"audit-checkpoints/{DIGEST}": True,
    f"ledger-anchors/{DIGEST}": True,
    "ledger/commits/00000000000000000001": True,
    "ledger/tile/0/000": True,
    "ledger/tile/2/x001/067": True,
    "ledger/tile/entries/x001/067": True,
    "ledger/tile/0/000.p/1": False,
    "ledger/tile/2/x001/067.p/255": False,
    "ledger/tile/entries/x001/067.p/8": False,
    "ledger/checkpoint": False,
    "ledger/lease": False,
    "ledger/lease/3": False,
    "ledger/leases/3": False,
    "ledger/cosigned/00000000000000000009": False,
    # Names that only look like caches.
    "ledger/checkpoints": True,
    "archive/ledger/checkpoint": True,
    "artefacts/ledger/checkpoint": True,
    "artefacts/local/000.p/1": True,
    "ledger/tile/0/000.p": True,
    "ledger/commits/000.p/1": True,
    "artefacts/lease/3": True,
}


@pytest.mark.parametrize(("key", "retained"), TABLE.items())
def test_what_is_retained(key: str, retained: bool) -> None:
    assert is_retained(key) is retained
