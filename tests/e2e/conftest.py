from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.qai_command import TFIM, qai


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with one finished job, shared by tests that only add to it."""
    folder = tmp_path_factory.mktemp("home") / "qai"
    done = qai("run", TFIM, "--observable", "ZZIIII", "--shots", 500, "--json", home=folder)
    assert done.code == 0, done.err
    return folder
