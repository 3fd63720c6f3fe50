"""One at a time in a folder: an advisory lock on the folder itself (POSIX `flock`)."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Hold `folder`, which must be there, alone until the block ends.

    Waits for threads and processes that hold it: each call opens the folder anew. The system
    lets go of it when a process dies. Raises `OSError`.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
