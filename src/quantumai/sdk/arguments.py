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
    raise BadInputError(
        f"a home is the path of a folder, not {shown(home)}", hint="leave it out for QAI_HOME"
    )


def job_text(job_id: Any) -> str:
    """A job's id, or the beginning of one. Raises `BadInputError`."""
    if isinstance(job_id, str) and job_id:
        return job_id
    raise BadInputError(
        f"a job is named by its id, not by {shown(job_id)}", hint="as report.job_id has it"
    )


def file_or_bytes(source: Any, what: str) -> Path | bytes:
    """The path or the bytes that `source` is; `what` names it. Raises `BadInputError`."""
    if isinstance(source, Path | bytes):
        return source
    if isinstance(source, str):
        return Path(source)
    raise BadInputError(f"{what} is no {type(source).__name__}", hint="give a path or bytes")


def check_names(names: Any) -> frozenset[str]:
    """The names of checks. Raises `BadInputError` for what is no set of text."""
    if isinstance(names, frozenset | set | list | tuple):
        texts = [name for name in names if isinstance(name, str)]
        if len(texts) == len(names):
            return frozenset(texts)
    raise BadInputError(
        f"allow_unchecked is a set of names of checks, not {shown(names)}", hint='{"ledger"}'
    )


def shown(value: Any) -> str:
    """A value for an error's one line; Python refuses to write out very long integers."""
    try:
        text = repr(value)[:40]
    except ValueError:
        return f"such a long {type(value).__name__}"
    return "".join(c if c.isprintable() else "?" for c in text)
