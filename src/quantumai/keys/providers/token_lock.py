"""Who looks into a token and who changes it, between all processes of one machine.

PKCS#11 has no create-only and no transactions, so makers and destroyers of keys exclude each other
and everybody else. That makes three promises: two callers never make the same key twice; nobody
searches while objects come and go, which not every token hides (SoftHSM2); and once a key is
destroyed no signature with it is under way anywhere.

Two flocks: readers pass the first, the turnstile, on their way to the second, and a writer holds
it while waiting. Without it a busy signer would keep a writer out for ever. A free lock costs a
reader next to nothing.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue

from quantumai.errors import StorageError, TokenBusyError

_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.0005, 0.01


class TokenLock:
    """The lock beside the file `path`; waits at most `wait_s` seconds for it.

    Raises `TokenBusyError` when it cannot be had in that time and `StorageError` when there can
    be no lock file.
    """

    def __init__(self, path: Path, wait_s: float = 5.0) -> None:
        self._paths = (path.with_name(f"{path.name}.turnstile"), path)
        self._wait_s = wait_s
        # Open pairs of files that nobody uses: a lock belongs to an open file, not to a process.
        self._spare: SimpleQueue[tuple[int, int]] = SimpleQueue()

    @contextmanager
    def shared(self) -> Iterator[None]:
        """To look into the token or to use a key."""
        turnstile, lock = files = self._files()
        try:
            deadline = time.monotonic() + self._wait_s
            _acquire(turnstile, fcntl.LOCK_SH, deadline)
            fcntl.flock(turnstile, fcntl.LOCK_UN)
            _acquire(lock, fcntl.LOCK_SH, deadline)
            yield
        finally:
            self._release(files)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """To make or destroy a key."""
        turnstile, lock = files = self._files()
        try:
            deadline = time.monotonic() + self._wait_s
            _acquire(turnstile, fcntl.LOCK_EX, deadline)
            _acquire(lock, fcntl.LOCK_EX, deadline)
            yield
        finally:
            self._release(files)

    def _files(self) -> tuple[int, int]:
        try:
            return self._spare.get_nowait()
        except Empty:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        try:
            first = os.open(self._paths[0], flags, 0o600)
            try:
                return first, os.open(self._paths[1], flags, 0o600)
            except OSError:
                os.close(first)
                raise
        except OSError as error:
            raise StorageError(f"cannot lock the token: {error.strerror}") from error

    def _release(self, files: tuple[int, int]) -> None:
        for file in files:
            fcntl.flock(file, fcntl.LOCK_UN)
        self._spare.put(files)


def _acquire(file: int, kind: int, deadline: float) -> None:
    pause_s = _SHORTEST_PAUSE_S
    while True:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise TokenBusyError("another process keeps the token locked") from None
            time.sleep(min(pause_s, left_s))
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        else:
            return
