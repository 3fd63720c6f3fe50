"""The key provider port: where private keys live and are used. No method returns a private key.

A provider knows key pairs by a handle, `name/version`, and nothing else: purposes, states, policies
and the audit log are the KMS's (`keys.management`), which also verifies every signature before
it is released. So a provider stays small, and a token of another kind is one more adapter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Protocol

import msgspec

from quantumai.errors import BadInputError
from quantumai.keys.algorithms import PublicKey

# A name of 63 characters, and room for what tells tenants apart.
_HANDLE = re.compile(r"[a-z0-9][a-z0-9-]{0,94}/[1-9][0-9]{0,5}")


class Ability(StrEnum):
    """What a provider can do with keys of one algorithm."""

    SIGN = "sign"
    CONTEXT = "context"  # ML-DSA and SLH-DSA with a context string
    EXTERNAL_MU = "external-mu"  # ML-DSA over the 64-byte mu that the caller computed
    DECAPSULATE = "decapsulate"


class ProviderKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One key pair in a provider, as far as it is public; `created_at` is ISO 8601 UTC."""

    handle: str
    created_at: str
    public_key: PublicKey


class KeyProvider(Protocol):
    """Makes key pairs, uses and destroys them. Safe for several threads, and processes, at once.

    All methods raise `KeyUnavailableError` when the token answers with an error, `TokenBusyError`
    when it does not answer in time, and `BadInputError` for a handle that is none. Those that take
    a handle raise `NotFoundError` when there is no such key.
    """

    @property
    def name(self) -> str:
        """Short name of the kind: "soft", "pkcs11" or "aws-kms"."""
        ...

    @property
    def validation(self) -> str:
        """The validation that stands behind the provider, in a sentence."""
        ...

    def abilities(self) -> Mapping[str, frozenset[Ability]]:
        """What can be done, by the name of each algorithm that keys can be made for."""
        ...

    def generate(self, handle: str, algorithm: str) -> ProviderKey:
        """Make the key pair `handle`, or return it if it is there already.

        Two callers at once get the same key. Raises `BadInputError` for an algorithm that the
        provider does not make and `ConflictError` when the handle has another algorithm.
        """
        ...

    def find(self, handle: str) -> ProviderKey:
        """The public half of a key."""
        ...

    def keys(self) -> tuple[ProviderKey, ...]:
        """All key pairs that the provider made, by handle."""
        ...

    def sign(self, handle: str, message: bytes, context: bytes = b"") -> bytes:
        """A signature, as it came: it is not verified here. ECDSA comes in DER.

        Raises `BadInputError` for a key that does not sign and for a context where the ability
        `CONTEXT` is missing.
        """
        ...

    def sign_mu(self, handle: str, mu: bytes) -> bytes:
        """An ML-DSA signature over a 64-byte external mu (FIPS 204, section 6.2).

        Raises `BadInputError` where the ability `EXTERNAL_MU` is missing.
        """
        ...

    def decapsulate(self, handle: str, ciphertext: bytes) -> bytes:
        """The 32-byte shared secret of an ML-KEM ciphertext (FIPS 203). It stays in the KMS."""
        ...

    def destroy(self, handle: str) -> None:
        """Destroy the private key and see that it is gone; a key that is gone already is fine."""
        ...

    def check(self) -> None:
        """Raise unless the token answers now; cheap."""
        ...

    def renew(self) -> None:
        """Forget sessions and what was read: after a wrong answer everything is opened anew."""
        ...


def check_handle(handle: str) -> str:
    """Return `handle` if it has the form `name/version`, else raise `BadInputError`."""
    if not _HANDLE.fullmatch(handle):
        raise BadInputError(f"not a key handle: {handle[:80]!r}")
    return handle
