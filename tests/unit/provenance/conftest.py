"""A home with keys and a ledger, small enough to make for every test."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from quantumai.keys.providers.soft import InsecureSoftKeys
from quantumai.provenance.sealing import Sealer, open_sealer
from quantumai.storage.local_objects import LocalObjects


def clock() -> datetime:
    return datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


@pytest.fixture
def soft_keys() -> Callable[[Path], InsecureSoftKeys]:
    def make(folder: Path) -> InsecureSoftKeys:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return InsecureSoftKeys(folder, clock)

    return make


@pytest.fixture
def new_sealer(soft_keys: Callable[[Path], InsecureSoftKeys]) -> Callable[[Path], Sealer]:
    def make(home: Path) -> Sealer:
        return open_sealer(soft_keys(home / "keys"), LocalObjects(home / "objects"), clock)

    return make


@pytest.fixture
def sealer(tmp_path: Path, new_sealer: Callable[[Path], Sealer]) -> Sealer:
    return new_sealer(tmp_path / "home")
