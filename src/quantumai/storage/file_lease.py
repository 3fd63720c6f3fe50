"""A writer's lease on one machine: a file lock (flock), taken for each write.

The kernel drops the lock with its process, so nobody waits after a crash, and a process between
two writes holds nobody up. One that is stopped in the middle of a write does, until it goes on or
is killed. The file remembers the epoch and who had it last; the epoch rises when that changes.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from quantumai.errors import StorageError
from quantumai.storage.durable_files import make_folder, sync_folder
from quantumai.storage.writer_lease import LeaseError

_RECORD = re.compile(rb"(\d{15}) ([0-9a-f]{16})\n")
_POLL_S = 0.002


class FileLease:
    """`WriterLease` by the files `path` and `path`.turn, made where they do not exist."""

    def __init__(
        self,
        path: Path,
        *,
        patience_s: float = 60.0,
        wait: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._patience_s = patience_s
        self._wait = wait
        self._monotonic = monotonic
        self._holder = secrets.token_hex(8).encode()
        self._threads = threading.Lock()
        self._held: tuple[int, int] | None = None  # epoch and open file

    @contextmanager
    def writing(self, least: int) -> Iterator[int]:
        """See `WriterLease.writing`."""
        with self._threads, ExitStack() as files:
            deadline = self._monotonic() + self._patience_s
            # Whoever waits holds the turn, so a busy writer cannot pass by who stands by.
            with ExitStack() as turn:
                self._locked(self._path.with_name(self._path.name + ".turn"), deadline, turn)
                file = self._locked(self._path, deadline, files)
            try:
                epoch = self._taken(file, least)
            except OSError as error:
                raise _failed(self._path, error) from None
            self._held = epoch, file
            try:
                yield epoch
            finally:
                self._held = None

    def require(self, epoch: int) -> None:
        """See `WriterLease.require`."""
        held = self._held
        if held is None or held[0] != epoch or not _is_at(held[1], self._path):
            raise LeaseError("the writer's lease was lost", hint="try again")

    def close(self) -> None:
        """See `WriterLease.close`; nothing is held between two writes."""

    def _locked(self, path: Path, deadline: float, files: ExitStack) -> int:
        while True:
            try:
                make_folder(path.parent)
                file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            except OSError as error:
                raise _failed(path, error) from None
            with ExitStack() as unlocked:
                unlocked.callback(os.close, file)
                self._lock(path, file, deadline)
                if _is_at(file, path):
                    files.push(unlocked.pop_all())
                    return file
            # Somebody removed the file meanwhile: its lock says nothing any more.

    def _lock(self, path: Path, file: int, deadline: float) -> None:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if self._monotonic() > deadline:
                    raise LeaseError(
                        "another process is writing and does not come to an end",
                        hint="try again, or look for a process that was stopped",
                    ) from None
            except OSError as error:
                raise _failed(path, error) from None
            self._wait(_POLL_S)

    def _taken(self, file: int, least: int) -> int:
        """The epoch of this holder, durably in the file."""
        record = _RECORD.fullmatch(os.pread(file, 64, 0))
        # What is damaged or was lost counts from the epochs that were written under.
        epoch, holder = (int(record[1]), record[2]) if record else (0, b"")
        if holder == self._holder and epoch >= least:
            return epoch
        epoch = max(epoch, least) + 1
        os.ftruncate(file, 0)
        os.pwrite(file, b"%015d %s\n" % (epoch, self._holder), 0)
        os.fsync(file)
        sync_folder(self._path.parent)
        return epoch


def _is_at(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except OSError:
        return False


def _failed(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"cannot lock {path.name}: {error.strerror or error}",
        hint="check free space and permissions of the home",
    )
