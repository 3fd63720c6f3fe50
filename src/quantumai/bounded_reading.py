"""Reading a file that a user named: a regular file within a size limit, or one line saying why not.

What is checked is the opened descriptor and not the path, so nothing can change in between, and
neither a FIFO nor a device such as /dev/zero can make a command wait or fill the memory.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from quantumai.errors import BadInputError

_LONGEST_SHOWN = 120


def read_bounded(path: Path | str, max_bytes: int, what: str) -> bytes:
    """The bytes of the file `path`; `what` names it in errors ("the manifest").

    Raises `BadInputError` for anything but a readable regular file of at most `max_bytes`.
    """
    shown = shown_path(path)
    hint = "give the path of a file"
    try:
        # O_NONBLOCK: opening a FIFO that nobody writes to would else never return.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise BadInputError(
                    f"cannot read {what} {shown}: it is not a regular file", hint=hint
                )
            data = b"" if status.st_size > max_bytes else _read(descriptor, max_bytes + 1)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise BadInputError(f"cannot read {what} {shown}: {error.strerror}", hint=hint) from None
    except ValueError as error:  # a zero byte, or characters that no file name has
        raise BadInputError(f"cannot read {what} {shown}: {error}", hint=hint) from None
    if max(status.st_size, len(data)) > max_bytes:
        raise BadInputError(f"{what} {shown} is larger than {max_bytes} bytes", hint=hint)
    return data


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
