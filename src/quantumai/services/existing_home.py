"""Opening a home only where there is one: looking at a home never makes it."""

from __future__ import annotations

from pathlib import Path

from quantumai.bounded_reading import shown_path
from quantumai.errors import NotFoundError
from quantumai.services.wiring import Home, home_root, open_home

DATABASE = "quantumai.db"


def home_exists(root: Path) -> bool:
    """Whether `root` holds a home, even one that lost its database; False if it cannot be seen."""
    try:
        return (root / DATABASE).exists() or (root / "objects").exists()
    except OSError:
        return False


def open_existing_home(root: Path | None = None) -> Home:
    """Open a home (by default the one that QAI_HOME names), or raise `NotFoundError`."""
    folder = home_root() if root is None else root
    if not home_exists(folder):
        raise NotFoundError(
            f"no home at {shown_path(folder)}",
            hint="set QAI_HOME to the folder of a home; the first `qai run` makes one",
        )
    return open_home(folder)
