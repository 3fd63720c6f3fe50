"""Encryption of tenants' data at rest: AES-256-GCM under data keys that the KMS wraps.

A tenant has numbered data keys, `data-keys/<tenant>/<n>`, each wrapped by the tenant's wrapping
key; a new one follows a rotation of that key. What is encrypted is `QAIE1`, the number of the data
key in 4 bytes, a random nonce of 12 bytes, and the ciphertext with its tag (NIST SP 800-38D).
Tenant and purpose are associated data: moved to another place, it does not open. With random nonces
a data key serves 2^32 encryptions (section 8.3).
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from quantumai.errors import ArtefactError, BadInputError, NotFoundError, StorageError
from quantumai.keys.management import data_keys
from quantumai.keys.management.wrapping_key import WrappingKey
from quantumai.storage.objects import ObjectStore

_MAGIC = b"QAIE1"
_NUMBER_BYTES, _NONCE_BYTES, _KEY_BYTES = 4, 12, 32
_HEADER_BYTES = len(_MAGIC) + _NUMBER_BYTES + _NONCE_BYTES
_DIGITS = 10
_MOST_ATTEMPTS = 100
_RESTORE = "restore the object store from a backup"


def is_encrypted(data: bytes) -> bool:
    """Whether stored bytes say that they are encrypted; JSON, as manifests are, never does."""
    return data.startswith(_MAGIC)


@dataclass(frozen=True)
class _DataKey:
    """A data key in the open, kept out of repr, and in the form in which it is stored."""

    number: int
    wrapped: bytes
    key: bytes = field(repr=False)


class TenantCipher:
    """Encrypts and decrypts for tenants, whose keys `wrapping_key` gives; for several threads.

    Data keys stay in memory for the life of this object, and are used only while the wrapping key
    would still unwrap them.
    """

    def __init__(self, objects: ObjectStore, wrapping_key: Callable[[str], WrappingKey]) -> None:
        self._objects = objects
        self._wrapping_key = wrapping_key
        self._opened: dict[tuple[str, int], _DataKey] = {}
        self._newest: dict[str, int] = {}
        self._lock = threading.RLock()

    def make_ready(self, tenant: str) -> None:
        """Make what `encrypt` needs. Raises as it does, before there is anything to encrypt."""
        self._current(tenant)

    def encrypt(self, tenant: str, purpose: str, data: bytes) -> bytes:
        """Encrypted form of `data`; another one at every call.

        Raises `ErasedError` where the tenant's data were erased, `DeniedError` where the wrapping
        key may not be used.
        """
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        current = self._current(tenant)
        number = current.number.to_bytes(_NUMBER_BYTES, "big")
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = AESGCM(current.key).encrypt(nonce, data, _bound(tenant, purpose))
        return _MAGIC + number + nonce + sealed

    def decrypt(self, tenant: str, purpose: str, stored: bytes) -> bytes:
        """What was encrypted for this tenant and purpose.

        Raises `ErasedError` and `DeniedError` as above, `ArtefactError` if the bytes or their data
        key were changed, or belong elsewhere.
        """
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        opened = self._open(tenant, _number_of(stored))
        nonce = stored[_HEADER_BYTES - _NONCE_BYTES : _HEADER_BYTES]
        try:
            return AESGCM(opened.key).decrypt(
                nonce, stored[_HEADER_BYTES:], _bound(tenant, purpose)
            )
        except InvalidTag:
            raise ArtefactError("it was changed, or belongs elsewhere", hint=_RESTORE) from None

    def require_opens(self, tenant: str, stored: bytes) -> None:
        """Raise as `decrypt` does where the key of this is not to be had; nothing is decrypted."""
        self._open(tenant, _number_of(stored))

    def _current(self, tenant: str) -> _DataKey:
        """The data key to encrypt with: the newest, if today's version wrapped it, else a new one.

        Of several processes that make one, one is first, and the others take that.
        """
        with self._lock:
            for _ in range(_MOST_ATTEMPTS):
                version = self._wrapping_key(tenant).current()
                number = self._newest.get(tenant) or self._newest_number(tenant)
                if number:
                    opened = self._open(tenant, number)
                    if data_keys.version_of(opened.wrapped) == version:
                        self._newest[tenant] = number
                        # It has to last as long as what is encrypted with it today.
                        self._objects.retain(_key_of(tenant, number))
                        return opened
                self._newest.pop(tenant, None)
                self._make(tenant, self._newest_number(tenant) + 1)
        raise StorageError(f"the data keys of tenant {tenant} do not come to rest")

    def _make(self, tenant: str, number: int) -> None:
        wrapping_key, key = self._wrapping_key(tenant), secrets.token_bytes(_KEY_BYTES)
        wrapped = wrapping_key.wrap(key, bound_data_key(tenant, number))
        if self._objects.create(_key_of(tenant, number), wrapped):
            self._opened[tenant, number] = _DataKey(number, wrapped, key)

    def _open(self, tenant: str, number: int) -> _DataKey:
        wrapping_key = self._wrapping_key(tenant)
        with self._lock:
            known = self._opened.get((tenant, number))
            if known is not None:
                wrapping_key.require_opens(known.wrapped)
                return known
            name = f"data key {number} of tenant {tenant}"
            try:
                wrapped = self._objects.get(_key_of(tenant, number))
                key = wrapping_key.unwrap(wrapped, bound_data_key(tenant, number))
            except NotFoundError:
                raise ArtefactError(f"{name} is missing", hint=_RESTORE) from None
            except BadInputError as error:
                raise ArtefactError(f"{name} is damaged: {error}", hint=_RESTORE) from None
            self._opened[tenant, number] = _DataKey(number, wrapped, key)
            return self._opened[tenant, number]

    def _newest_number(self, tenant: str) -> int:
        numbers = [key.rpartition("/")[2] for key in self._objects.keys(f"data-keys/{tenant}/")]
        return max((int(number) for number in numbers if number.isdecimal()), default=0)


def _number_of(stored: bytes) -> int:
    """The number of the data key. Raises `ArtefactError` if this is nothing encrypted."""
    if not is_encrypted(stored) or len(stored) < _HEADER_BYTES:
        raise ArtefactError("it is not encrypted as it should be", hint=_RESTORE)
    return int.from_bytes(stored[len(_MAGIC) : len(_MAGIC) + _NUMBER_BYTES], "big")


def _key_of(tenant: str, number: int) -> str:
    return f"data-keys/{tenant}/{number:0{_DIGITS}d}"


def bound_data_key(tenant: str, number: int) -> bytes:
    """Associated data of a wrapped data key: it opens under no other tenant or number."""
    return _bound(tenant, f"data key {number}")


def _bound(tenant: str, purpose: str) -> bytes:
    """Associated data. Neither name can hold a NUL, so no two pairs give the same bytes."""
    return b"\0".join((b"quantumai tenant data v1", tenant.encode(), purpose.encode()))
