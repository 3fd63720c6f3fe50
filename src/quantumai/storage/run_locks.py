"""Which jobs a living process is working on: a lock that dies with its process."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class RunLocks:
    """Advisory file locks (flock), one file per running job; the kernel drops them on kill -9."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def hold(self, job_id: str) -> Iterator[None]:
        """Hold the job's lock; blocks while another process looks at it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{job_id}.lock"
        with path.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                path.unlink(missing_ok=True)

    def is_held(self, job_id: str) -> bool:
        """Whether a living process holds the job's lock."""
        path = self._folder / f"{job_id}.lock"
        try:
            with path.open("r") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def forget(self, job_id: str) -> None:
        """Remove the lock file that a dead process left."""
        (self._folder / f"{job_id}.lock").unlink(missing_ok=True)
