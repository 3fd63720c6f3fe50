"""A home that was encrypted stays so, and what is no part of a home is told."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from quantumai.errors import StorageError
from quantumai.jobs.run_job import run_job
from quantumai.services import verify_all
from quantumai.services.home_objects import HomeObjects, init_home_objects
from quantumai.services.verify_all import verify_home
from quantumai.services.wiring import open_home
from tests.unit.jobs.conftest import Finished
from tests.unit.jobs.finished_jobs import silent, small_job

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::quantumai.keys.providers.soft.InsecureKeysWarning"),
]


def _problems(root: Path) -> list[str]:
    return [problem for part in verify_home(root) for problem in part.problems]


def test_an_encrypted_home_does_not_become_a_clear_one(tmp_path: Path) -> None:
    init_home_objects(tmp_path, HomeObjects(encrypt=True))
    with open_home(tmp_path, {}) as home:
        run_job(home.desk(), small_job(), silent)
    assert _problems(tmp_path) == []
    settings = tmp_path / "objects.toml"
    written = settings.read_text()
    for text in (None, written.replace("encrypt = true", "encrypt = false")):
        settings.unlink()
        if text is not None:
            settings.write_text(text)
        with pytest.raises(StorageError, match="does not say so any more"):
            open_home(tmp_path, {})
        assert "does not say so any more" in _problems(tmp_path)[0]
        settings.write_text(written)
    keys = tmp_path / "objects/data-keys"
    for name, data in (
        ("local/0000000002", b"garbage"),
        ("local/second", b"QAIW1\0\0\0\1"),
        ("0000000001", b"QAIW1\0\0\0\1"),
    ):
        (keys / name).write_bytes(data)
        assert any(name in problem for problem in _problems(tmp_path)), name
        (keys / name).unlink()
    assert _problems(tmp_path) == []


def test_a_clear_home_does_not_become_an_encrypted_one(finished: Finished) -> None:
    root = finished.home.root
    (root / "objects.toml").write_text('kind = "local"\nencrypt = true\n')
    with pytest.raises(StorageError, match="has jobs in clear"):
        open_home(root, {})


def test_a_home_that_cannot_be_written_is_no_broken_one(
    finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    def access(path: Path, mode: int) -> bool:  # root may write anything
        return mode != os.W_OK or path != finished.home.root

    monkeypatch.setattr(verify_all, "os", SimpleNamespace(access=access, W_OK=os.W_OK))
    with pytest.raises(StorageError, match="cannot be written") as caught:
        verify_home(finished.home.root)
    assert caught.value.exit_code == 1
