"""A signed statement and its proof, as two new files in a folder.

Signing logs the statement for good, so the room is looked at before, and the folder made after.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from quantumai.bounded_reading import shown_path
from quantumai.cli.output_file import write_new_file
from quantumai.errors import BadInputError, QuantumAIError

_HINT = "name another folder"


def statement_files(folder: Path, name: str) -> tuple[Path, Path]:
    """Where `<name>.json` and `<name>.proof` will go; nothing is touched.

    Raises `BadInputError` where they cannot be written, or where one of them is.
    """
    from quantumai.storage.unwritable import cannot_write

    paths = (folder / f"{name}.json", folder / f"{name}.proof")
    try:
        _require_room(folder, paths)
    except (OSError, ValueError) as error:
        raise cannot_write(folder, error, hint=_HINT) from None
    return paths


def write_statement(paths: tuple[Path, Path], envelope: bytes, proof: bytes, what: str) -> None:
    """Write both; `what` names the statement in errors. Raises `QuantumAIError`."""
    from quantumai.storage.durable_files import make_folder
    from quantumai.storage.unwritable import cannot_write

    try:
        make_folder(paths[0].parent)
    except OSError as error:
        raise cannot_write(paths[0].parent, error, hint=_HINT) from None
    # What has a statement has its proof.
    write_new_file(paths[1], proof, f"the proof of {what}")
    try:
        write_new_file(paths[0], envelope, what)
    except QuantumAIError:
        paths[1].unlink(missing_ok=True)  # else the same command would not find its place free
        raise


def _require_room(folder: Path, paths: tuple[Path, ...]) -> None:
    for path in paths:
        if _is_taken(path):
            raise BadInputError(f"{shown_path(path)} is there already", hint=_HINT)
    nearest = next(place for place in (folder, *folder.parents) if _is_taken(place))
    if not nearest.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "a file stands where a folder is needed")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def _is_taken(path: Path) -> bool:
    try:
        path.lstat()  # a link to nowhere takes its place too
    except FileNotFoundError:
        return False
    return True
