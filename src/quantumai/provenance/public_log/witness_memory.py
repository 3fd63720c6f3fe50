"""What a witness remembers, in a folder: one file for each log, named by the SHA-256 of its origin.

A lock on the folder keeps threads and processes apart. Each file is replaced whole and durably.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from quantumai.bounded_reading import shown_path
from quantumai.canonical import sha256_hex
from quantumai.errors import EvidenceError, StorageError
from quantumai.provenance.ledger.checkpoint import TreeHead
from quantumai.provenance.ledger.note import Note
from quantumai.storage.durable_files import make_folder, replace_file
from quantumai.storage.folder_lock import locked_folder


class FolderMemory:
    """`WitnessMemory` in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def hold(self, origin: str) -> Iterator[_Held]:
        """See `WitnessMemory.hold`. Raises `StorageError`."""
        with ExitStack() as held:
            try:
                make_folder(self._folder, 0o700)
                held.enter_context(locked_folder(self._folder))
            except OSError as error:
                raise _failed("use", self._folder, error) from error
            yield _Held(self._folder / sha256_hex(origin.encode()), origin)


class _Held:
    def __init__(self, path: Path, origin: str) -> None:
        self._path = path
        self._origin = origin

    def newest(self) -> bytes | None:
        try:
            data = self._path.read_bytes()
            head = TreeHead.parse_extended(Note.parse(data).text)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _failed("read", self._path, error) from error
        except EvidenceError as error:
            raise _damaged(self._path, str(error)) from None
        if head.origin != self._origin:
            raise _damaged(self._path, "it is of another log")
        return data

    def remember(self, checkpoint: bytes) -> None:
        try:
            replace_file(self._path, checkpoint, 0o600)
        except OSError as error:
            raise _failed("write", self._path, error) from error


def _failed(what: str, path: Path, error: OSError) -> StorageError:
    return StorageError(f"cannot {what} the witness's {shown_path(path)}: {error.strerror}")


def _damaged(path: Path, why: str) -> StorageError:
    # Cosigning on would be to forget what was cosigned.
    return StorageError(
        f"the witness's {shown_path(path)} is damaged: {why}", hint="restore it from a backup"
    )
