"""What the SDK's functions are handed, checked at the door: a slip is told in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from quantumai.errors import BadInputError


def home_folder(home: Any) -> Path | None:
    """The folder of a home; None for the one that QAI_HOME names. Raises `BadInputError`."""
    if home is None or isinstance(home, Path):
        return home
    if isinstance(home, str) and home and "\0" not in home:
        return Path(home)
    raise BadInputError(f"a home is the path of a folder, not {home!r:.60}")


def job_text(job_id: Any) -> str:
    """A job's id, or the beginning of one. Raises `BadInputError`."""
    if isinstance(job_id, str) and job_id:
        return job_id
    raise BadInputError(
        f"a job is named by its id, not by {job_id!r:.60}", hint="as report.job_id has it"
    )
