"""The lock between processes that look into a token and those that change it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from quantumai.errors import StorageError, TokenBusyError
from quantumai.keys.providers.token_lock import TokenLock

# Two objects have files of their own, as two processes have.


def test_readers_share_and_a_writer_is_alone(tmp_path: Path) -> None:
    ours, theirs = TokenLock(tmp_path / "lock", 0), TokenLock(tmp_path / "lock", 0)
    with ours.shared(), ours.shared(), theirs.shared():
        assert not _can(theirs.exclusive)
    with ours.exclusive():
        for lock in (ours, theirs):
            assert not _can(lock.shared)
            assert not _can(lock.exclusive)
    # Whoever was refused left nothing locked.
    assert _can(theirs.exclusive)


def test_a_waiting_writer_comes_before_new_readers(tmp_path: Path) -> None:
    ours, theirs = TokenLock(tmp_path / "lock", 0), TokenLock(tmp_path / "lock", 30)
    written = threading.Event()

    def write() -> None:
        with theirs.exclusive():
            written.set()

    writer = threading.Thread(target=write)
    with ours.shared():
        writer.start()
        deadline = time.monotonic() + 30
        while _can(ours.shared):
            assert time.monotonic() < deadline
        assert not written.is_set()
    writer.join(timeout=30)
    assert written.is_set()
    assert _can(ours.shared)


def test_a_body_that_fails_gives_the_lock_back(tmp_path: Path) -> None:
    lock = TokenLock(tmp_path / "lock", 0)
    for hold in (lock.shared, lock.exclusive):
        with pytest.raises(ZeroDivisionError), hold():
            raise ZeroDivisionError
    assert _can(lock.exclusive)


def test_no_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot lock"):
        _can(TokenLock(tmp_path / "missing" / "lock").shared)


def _can(hold: Callable[[], AbstractContextManager[None]]) -> bool:
    try:
        with hold():
            return True
    except TokenBusyError:
        return False
