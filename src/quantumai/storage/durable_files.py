"""Files that appear whole or not at all, and stay after a power cut (POSIX file systems)."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

# Left over temporary names start with this; nothing ever reads them.
TEMPORARY_PREFIX = ".tmp-"


def create_file(path: Path, data: bytes, mode: int = 0o644) -> bool:
    """Create `path` with `data`, durably; False if it already existed, whatever its content.

    A hard link gives create-only semantics that hold between processes. Raises `OSError`.
    """
    if path.exists():
        sync_folder(path.parent)
        return False
    temporary = _write_temporary(path.parent, data, mode)
    try:
        os.link(temporary, path)
        created = True
    except FileExistsError:
        created = False
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
    # Also when another process was first: its link must be durable before we build on it.
    sync_folder(path.parent)
    return created


def replace_file(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Put `data` at `path` in one step, durably. Raises `OSError`."""
    temporary = _write_temporary(path.parent, data, mode)
    try:
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(path.parent)


def make_folder(folder: Path, mode: int = 0o755) -> None:
    """Create `folder` and its parents, each entry synced into its parent. Raises `OSError`."""
    if folder.is_dir():
        return
    if folder.parent != folder:
        make_folder(folder.parent, mode)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode)
    if not folder.is_dir():
        raise NotADirectoryError(20, "a file stands where a folder is needed", str(folder))
    sync_folder(folder.parent)


def create_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Make `folder` with `files` (paths in it -> contents), durably: all or nothing.

    An empty folder that is there stays, as it may be a mount or the one that somebody works in: the
    files are written apart in it and moved up in their order, so that the last one means all.
    Raises `OSError`, also for a folder that is not empty.
    """
    is_there = folder.is_dir()
    if is_there and any(folder.iterdir()):
        raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), str(folder))
    place = folder if is_there else folder.parent
    make_folder(place)
    temporary = place / f"{TEMPORARY_PREFIX}{os.getpid()}-{secrets.token_hex(6)}"
    temporary.mkdir()
    moved: list[Path] = []
    try:
        for name, data in files.items():
            make_folder((temporary / name).parent)
            create_file(temporary / name, data)
        moves = {folder: temporary}
        if is_there:
            moves = {folder / top: temporary / top for top in (Path(n).parts[0] for n in files)}
        for target, source in moves.items():
            source.rename(target)
            moved.append(target)
    except BaseException:
        for path in (temporary, *moved):
            _remove(path)
        raise
    if is_there:
        temporary.rmdir()
        sync_folder(folder)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make the folder's entries durable. Raises `OSError`."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def _write_temporary(folder: Path, data: bytes, mode: int) -> Path:
    temporary = folder / f"{TEMPORARY_PREFIX}{os.getpid()}-{secrets.token_hex(6)}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    finally:
        os.close(descriptor)
    return temporary
