"""A home with keys and a ledger, small enough to make for every test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from quantumai.keys.management.internal_keys import InternalKeys
from quantumai.keys.management.kms import Kms
from quantumai.provenance.sealing.opening import open_sealer
from quantumai.provenance.sealing.sealer import Sealer
from quantumai.storage.local_objects import LocalObjects
from tests.key_management import ALICE, BOB, soft_kms, standing_clock


@pytest.fixture
def internal_keys() -> Callable[[Path], InternalKeys]:
    """The keys of the home in a folder (`keys/` and `kms.db`), as its sealing uses them."""
    return lambda home: soft_kms(home).internal()


@pytest.fixture
def new_sealer(internal_keys: Callable[[Path], InternalKeys]) -> Callable[[Path], Sealer]:
    def make(home: Path) -> Sealer:
        return open_sealer(internal_keys(home), LocalObjects(home / "objects"), standing_clock)

    return make


@pytest.fixture
def sealer(tmp_path: Path, new_sealer: Callable[[Path], Sealer]) -> Sealer:
    return new_sealer(tmp_path / "home")


@pytest.fixture
def mark_compromised() -> Callable[..., None]:
    """Two people void a version of the statement key, and the ledger is told."""

    def mark(sealer: Sealer, version: int, from_index: int | None = None) -> None:
        kms = Kms(sealer.keys._parts)
        from quantumai.errors import ApprovalNeededError

        with pytest.raises(ApprovalNeededError):
            kms.of(ALICE).mark_compromised("statement", version, from_index=from_index)
        kms.of(BOB).mark_compromised("statement", version, from_index=from_index)
        sealer.ensure_ready()

    return mark


@pytest.fixture
def rotate() -> Callable[..., str]:
    """Rotate the statement key and tell the ledger; the new key's id."""

    def rotate_and_log(sealer: Sealer) -> str:
        key = Kms(sealer.keys._parts).of(ALICE).rotate("statement")
        sealer.ensure_ready()
        return key.key_id

    return rotate_and_log
