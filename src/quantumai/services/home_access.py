"""Whether this process may read a whole home: what it may not read would look like damage."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from quantumai.bounded_reading import shown_path
from quantumai.errors import StorageError
from quantumai.services.existing_home import DATABASE, home_exists


def require_access(root: Path) -> None:
    """Raise `StorageError` for a home that may not be read, or whose database not be written.

    SQLite writes beside a database that it only reads. A home that is not there
    passes.
    """
    if root.exists():
        _require_readable(root)
    if not home_exists(root):
        return
    for path in (root, root / DATABASE):
        if path.exists() and not os.access(path, os.W_OK):
            raise StorageError(
                f"{shown_path(path)} cannot be written, which its database needs to be read",
                hint="copy the home, and set QAI_HOME to the copy",
            )
    for path in _entries(root):
        _require_readable(path)


def _require_readable(path: Path) -> None:
    if not os.access(path, os.R_OK | (os.X_OK if path.is_dir() else 0)):
        raise StorageError(
            f"{shown_path(path)} cannot be read",
            hint="look as the user whose home it is, or correct the permissions",
        )


def _entries(root: Path) -> Iterator[Path]:
    """Everything in the home; of a folder that cannot be listed, itself. No link is followed."""
    for folder, folders, files in os.walk(root):
        # Another process may have taken a file away since; whoever misses it will say so.
        paths = (Path(folder) / name for name in (*folders, *files))
        yield from (path for path in paths if path.exists())
