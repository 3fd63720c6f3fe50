"""Which jobs a living process is working on: a lock that dies with its process."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from quantumai.errors import StorageError


class RunLocks:
    """Advisory file locks (flock), one file per running job; the kernel drops them on kill -9."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def hold(self, job_id: str) -> Iterator[None]:
        """Hold the job's lock; blocks while another process looks at it.

        Raises `StorageError` if there can be no lock file; the body has then not begun.
        """
        path = self._path(job_id)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            file = path.open("w")
        except OSError as error:
            raise _failed("lock", job_id, error) from None
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                self.forget(job_id)

    def is_held(self, job_id: str) -> bool:
        """Whether a living process holds the job's lock."""
        try:
            with self._path(job_id).open("r") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        except OSError as error:
            raise _failed("read the lock of", job_id, error) from None
        return False

    def forget(self, job_id: str) -> None:
        """Remove the lock file, where that is possible: only the lock on it says anything."""
        with suppress(OSError):
            self._path(job_id).unlink(missing_ok=True)

    def _path(self, job_id: str) -> Path:
        return self._folder / f"{job_id}.lock"


def _failed(what: str, job_id: str, error: OSError) -> StorageError:
    return StorageError(
        f"cannot {what} job {job_id}: {error.strerror or error}",
        hint="check free space and permissions of the home",
    )
