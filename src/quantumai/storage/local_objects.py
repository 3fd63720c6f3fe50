"""Object store in a local folder: the embedded default.

What is promised: an object appears whole or not at all, since it is written under another name and
then linked (create) or renamed (replace); a create-only write succeeds for exactly one process,
since a hard link is made once; when a write returns, the data, and the entry of every folder on
its way, were handed to `fsync`. It needs a POSIX file system with hard links, on this machine.

What is not: a disk that confirms an `fsync` before it has the data breaks the promise, and so may a
network file system. Whoever may write to the folder may also change and delete (see `retain`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from quantumai.errors import ConflictError, NotFoundError, StorageError
from quantumai.storage.durable_files import create_file, make_folder, replace_file
from quantumai.storage.objects import check_key


class LocalObjects:
    """`ObjectStore` whose keys are file paths under `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put_once(self, key: str, data: bytes) -> None:
        """See `ObjectStore.put_once`."""
        if not self.create(key, data) and self.get(key) != data:
            raise ConflictError(
                f"object {key} already exists with other content",
                hint="stored evidence is never overwritten; use a new name",
            )

    def create(self, key: str, data: bytes) -> bool:
        """See `ObjectStore.create`."""
        path = self._path(key)
        try:
            make_folder(path.parent)
            return create_file(path, data)
        except OSError as error:
            raise _failed("write", key, error) from error

    def get(self, key: str) -> bytes:
        """See `ObjectStore.get`."""
        try:
            return self._path(key).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise NotFoundError(f"no object {key}") from None
        except OSError as error:
            raise _failed("read", key, error) from error

    def exists(self, key: str) -> bool:
        """See `ObjectStore.exists`."""
        try:
            return self._path(key).is_file()
        except OSError as error:
            raise _failed("read", key, error) from error

    def keys(self, prefix: str) -> Iterator[str]:
        """See `ObjectStore.keys`."""
        # Walk only the folder part of the prefix; the rest is a filter on names.
        folder = prefix.rpartition("/")[0]
        start = self._path(folder) if folder else self._root
        yield from sorted(key for key in self._walk(start) if key.startswith(prefix))

    def replace(self, key: str, data: bytes) -> None:
        """See `ObjectStore.replace`."""
        path = self._path(key)
        try:
            make_folder(path.parent)
            replace_file(path, data)
        except OSError as error:
            raise _failed("write", key, error) from error

    def retain(self, key: str) -> None:
        """See `ObjectStore.retain`: a folder has no retention; whoever may write may delete."""
        if not self.exists(key):
            raise NotFoundError(f"no object {key}")

    def locate(self, key: str) -> str:
        """See `ObjectStore.locate`."""
        return str(self._path(key))

    def _path(self, key: str) -> Path:
        return self._root / check_key(key)

    def _walk(self, start: Path) -> Iterator[str]:
        for folder, folders, files in os.walk(start):
            folders[:] = [name for name in folders if not name.startswith(".")]
            base = Path(folder).relative_to(self._root)
            for name in files:
                if not name.startswith("."):
                    yield (base / name).as_posix()


def _failed(what: str, key: str, error: OSError) -> StorageError:
    return StorageError(
        f"cannot {what} object {key}: {error.strerror or error}",
        hint="check free space, permissions and the health of the disk",
    )
