"""The key provider port: who can sign. No method returns a private key."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

import msgspec

from quantumai.keys.algorithms import PublicKey


class KeyState(StrEnum):
    """What a key version may still do."""

    ACTIVE = "active"
    VERIFY_ONLY = "verify-only"


class KeyRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known in public about one key version; `created_at` is ISO 8601 UTC."""

    key_id: str
    alias: str
    version: int
    algorithm: str
    state: KeyState
    created_at: str
    public_key: PublicKey


class KeyProvider(Protocol):
    """Creates, keeps and uses signing keys; an alias has versions 1, 2, 3... of one algorithm."""

    @property
    def validation(self) -> str:
        """The validation that stands behind the provider, such as a certificate, or "none"."""
        ...

    def create(self, alias: str, algorithm: str) -> KeyRecord:
        """Make version 1 of `alias`, or return the current version if the alias exists.

        Two callers at once get the same key. Raises `BadInputError` for a bad alias or
        algorithm and `ConflictError` when the alias exists with another algorithm.
        """
        ...

    def sign(self, key_id: str, message: bytes) -> bytes:
        """Sign with an active key; the signature was verified before it is returned.

        Raises `NotFoundError` for an unknown key and `KeyUnavailableError` for one that is
        verify-only or cannot be opened.
        """
        ...

    def public_key(self, key_id: str) -> PublicKey:
        """The public half. Raises `NotFoundError`."""
        ...

    def rotate(self, alias: str) -> KeyRecord:
        """Make the next version of `alias`; the former one becomes verify-only for ever."""
        ...

    def list(self) -> tuple[KeyRecord, ...]:
        """Every version of every alias, by alias and version."""
        ...

    def current(self, alias: str) -> KeyRecord:
        """The newest version of `alias`. Raises `NotFoundError`."""
        ...
