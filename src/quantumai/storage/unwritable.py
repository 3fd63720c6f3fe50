"""Why a place that a user named cannot be written: another place helps, or only another disk."""

from __future__ import annotations

import errno
from pathlib import Path

from quantumai.bounded_reading import shown_path
from quantumai.errors import BadInputError, QuantumAIError, StorageError

# Whatever else goes wrong is wrong with the place that was named.
_OF_THE_MACHINE = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EFBIG,
        errno.EIO,
        errno.ENOMEM,
        errno.EMFILE,
        errno.ENFILE,
    }
)


def cannot_write(
    path: Path, error: Exception, what: str = "to", *, hint: str = ""
) -> QuantumAIError:
    """The error to raise: `StorageError` where the machine is at its end, else `BadInputError`.

    `what` names the place in words ("the state file"), `hint` another one. `error` is what a write
    or a look raised: `OSError`, or `ValueError` and `RuntimeError` for paths that cannot be.
    """
    reason = f"cannot write {what} {shown_path(path)}: {getattr(error, 'strerror', None) or error}"
    if isinstance(error, OSError) and error.errno in _OF_THE_MACHINE:
        return StorageError(reason, hint="make room, and run the command again")
    return BadInputError(reason, hint=hint or "name another place")
