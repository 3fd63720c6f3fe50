"""The object store port: named byte strings, written once and durably.

Evidence (commits, envelopes, artefacts) is only ever created; what can be derived again
(checkpoints, partial tiles) may be replaced.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Protocol

from quantumai.errors import BadInputError

# No segment may be empty or start with a dot, so neither "..", "/x" nor hidden names pass.
_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
_LONGEST_SEGMENT = 200
_LONGEST_KEY = 900


def check_key(key: str) -> str:
    """Return `key` if it is a legal object name, else raise `BadInputError`."""
    if (
        not _KEY.fullmatch(key)
        or len(key) > _LONGEST_KEY
        or any(len(segment) > _LONGEST_SEGMENT for segment in key.split("/"))
    ):
        raise BadInputError(
            f"not an object name: {key[:80]!r}",
            hint="use letters, digits, '.', '_' and '-' in segments joined by '/'",
        )
    return key


class ObjectStore(Protocol):
    """Objects by key. Every write is durable and complete when the call returns, or absent.

    All methods raise `BadInputError` for an illegal key and `StorageError` when the medium fails.
    After a `StorageError` from a write the object is either complete or absent; over a network
    one that is absent may still appear, complete.
    """

    def put_once(self, key: str, data: bytes) -> None:
        """Store `data`; the same bytes again are fine, different ones raise `ConflictError`."""
        ...

    def create(self, key: str, data: bytes) -> bool:
        """Store `data` if `key` is free; True for the one caller that created it."""
        ...

    def get(self, key: str) -> bytes:
        """Return the object's bytes, or raise `NotFoundError`."""
        ...

    def exists(self, key: str) -> bool:
        """Whether the object exists, complete."""
        ...

    def keys(self, prefix: str) -> Iterator[str]:
        """All keys that start with `prefix`, in sorted order."""
        ...

    def replace(self, key: str, data: bytes) -> None:
        """Store `data` in place of whatever is there; only for caches such as `checkpoint`."""
        ...

    def retain(self, key: str) -> None:
        """Keep evidence for the whole retention period from now on, where the store has one.

        For what was stored before and is used as evidence again. Raises `NotFoundError`.
        """
        ...

    def locate(self, key: str) -> str:
        """Where a person finds the object: a file path or a URL. It need not exist."""
        ...
