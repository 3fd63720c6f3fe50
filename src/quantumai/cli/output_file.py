"""A file that a command writes for its user: looked at before anything is done, written whole."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from quantumai.bounded_reading import read_bounded, shown_path
from quantumai.cli.terminal import OutputError
from quantumai.errors import BadInputError


def require_writable(path: Path, what: str, *inputs: Path, hint: str = "") -> None:
    """Raise `BadInputError` unless a file can be written at `path`; touches nothing.

    `what` names it in errors ("the signature"); it may not be one of the `inputs`. A regular file
    that is there will be replaced.
    """
    try:
        reason = _why_not(path, inputs)
    except OSError as error:
        reason = str(error.strerror)
    except ValueError as error:  # a zero byte, or characters that no file name has
        reason = str(error)
    if reason:
        raise BadInputError(
            f"cannot write {what} {shown_path(path)}: {reason}", hint=hint or "give another --out"
        )


def write_file(path: Path, data: bytes, what: str, mode: int = 0o644) -> None:
    """Put `data` at `path`: all of it or nothing. Raises `OutputError`."""
    from quantumai.storage.durable_files import replace_file

    try:
        target = path.resolve()  # a link stays a link
        if target.exists() and not target.is_file():  # such as /dev/null, which has to stay
            target.write_bytes(data)
        else:
            replace_file(target, data, mode)
    except OSError as error:
        raise OutputError(
            f"cannot write {what} {shown_path(path)}: {error.strerror}",
            hint="make room, or name another place, and run the command again",
        ) from None


def write_new_file(path: Path, data: bytes, what: str) -> None:
    """Put `data` at `path` where nothing is, all of it or nothing; a file that is there stays.

    One that holds just `data` already is as good. Raises `BadInputError` for any other, and
    `OutputError` where writing fails.
    """
    from quantumai.storage.durable_files import create_file

    require_writable(path, what)
    if path.exists() and not path.is_file():  # such as /dev/null
        return write_file(path, data, what)
    try:
        created = create_file(path, data)
    except OSError as error:
        raise OutputError(
            f"cannot write {what} {shown_path(path)}: {error.strerror}",
            hint="make room, or name another place, and run the command again",
        ) from None
    if not created and not _holds(path, data, what):
        raise BadInputError(
            f"cannot write {what} {shown_path(path)}: another file is there",
            hint="give another --out",
        )
    return None


def _holds(path: Path, data: bytes, what: str) -> bool:
    return path.stat().st_size == len(data) and read_bounded(path, len(data), what) == data


def _why_not(path: Path, inputs: tuple[Path, ...]) -> str:
    try:
        status = path.stat()
    except FileNotFoundError:
        return _why_no_new_file(path.resolve().parent)
    kind = status.st_mode
    if stat.S_ISDIR(kind):
        return "it is a directory"
    if stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind):
        return "it is no file"
    if any(_is_same(status, file) for file in inputs):
        return "it is the input itself"
    if not os.access(path, os.W_OK):
        return "it may not be written"
    return _why_no_new_file(path.resolve().parent) if stat.S_ISREG(kind) else ""


def _why_no_new_file(folder: Path) -> str:
    if not folder.is_dir():
        return f"there is no directory {shown_path(folder)}"
    allowed = os.access(folder, os.W_OK | os.X_OK)
    return "" if allowed else f"{shown_path(folder)} may not be written"


def _is_same(status: os.stat_result, file: Path) -> bool:
    try:
        return os.path.samestat(status, file.stat())
    except (OSError, ValueError):
        return False
