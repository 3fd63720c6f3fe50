"""Reading a file that a user named: a regular file within a size limit, or one line saying why not.

What is checked is the opened descriptor and not the path, so nothing can change in between, and
neither a FIFO nor a device such as /dev/zero can make a command wait or fill the memory.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from quantumai.errors import BadInputError

_LONGEST_SHOWN = 120
_HINT = "give the path of a file"


def read_bounded(path: Path | str, max_bytes: int, what: str) -> bytes:
    """The bytes of the file `path`; `what` names it in errors ("the manifest").

    Raises `BadInputError` for anything but a readable regular file of at most `max_bytes`.
    """
    with open_regular(path, what) as stream:
        try:
            size = os.fstat(stream.fileno()).st_size
            data = b"" if size > max_bytes else _read(stream.fileno(), max_bytes + 1)
        except OSError as error:
            raise _unreadable(path, what, error.strerror) from None
    if max(size, len(data)) > max_bytes:
        message = f"{what} {shown_path(path)} is larger than {max_bytes} bytes"
        raise BadInputError(message, hint=_HINT)
    return data


def open_regular(path: Path | str, what: str) -> BinaryIO:
    """The file `path`, opened for reading in pieces, without a limit of its size.

    Raises `BadInputError` for anything but a readable regular file.
    """
    try:
        # O_NONBLOCK: opening a FIFO that nobody writes to would else never return.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise _unreadable(path, what, "it is not a regular file")
    except OSError as error:
        raise _unreadable(path, what, error.strerror) from None
    except ValueError as error:  # a zero byte, or characters that no file name has
        raise _unreadable(path, what, str(error)) from None
    return os.fdopen(descriptor, "rb")


def sha256_of_file(path: Path | str, what: str) -> str:
    """SHA-256 (hex) of a file of any size, read in pieces. Raises as `open_regular`."""
    import hashlib

    digest = hashlib.sha256()
    with open_regular(path, what) as stream:
        try:
            while piece := stream.read(1 << 20):
                digest.update(piece)
        except OSError as error:
            raise _unreadable(path, what, error.strerror) from None
    return digest.hexdigest()


def _unreadable(path: Path | str, what: str, why: str | None) -> BadInputError:
    return BadInputError(f"cannot read {what} {shown_path(path)}: {why}", hint=_HINT)


def shown_path(path: Path | str) -> str:
    """`path` for a message, on one line, without control characters, its end if it is long."""
    text = "".join(c if c.isprintable() else "?" for c in str(path))
    return text if len(text) <= _LONGEST_SHOWN else "..." + text[3 - _LONGEST_SHOWN :]


def _read(descriptor: int, most: int) -> bytes:
    """Up to `most` bytes; the file may be another size than it said."""
    parts = []
    while most > 0 and (part := os.read(descriptor, min(most, 1 << 20))):
        parts.append(part)
        most -= len(part)
    return b"".join(parts)
