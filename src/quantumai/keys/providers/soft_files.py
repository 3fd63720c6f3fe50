"""The folder of the soft provider: one file `<name>/<version>.json` for each sealed private key.

A file is created once and never changed. The secret is sealed with AES-256-GCM under the folder's
key-encryption key (`sealing_key`); everything else in the file is bound to it.
"""

from __future__ import annotations

import binascii
import contextlib
import secrets
import threading
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

import msgspec

from quantumai.canonical import canonical_json
from quantumai.errors import BadInputError, KeyUnavailableError, NotFoundError, StorageError
from quantumai.keys.algorithms import PublicKey
from quantumai.keys.providers.port import ProviderKey, check_handle
from quantumai.keys.providers.sealing_key import (
    VERSION_FILE,
    open_key_encryption_key,
    require_key_encryption_file,
    require_private,
)
from quantumai.keys.software_keys import SoftwareKey
from quantumai.storage.durable_files import (
    TEMPORARY_PREFIX,
    create_file,
    make_folder,
    sync_folder,
)


class StoredKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file of one key; `sealed` is the AES-256-GCM ciphertext of `SoftwareKey.secret`."""

    schema: int
    alias: str
    version: int
    algorithm: str
    created_at: str
    spki: str
    nonce: bytes
    sealed: bytes

    @property
    def handle(self) -> str:
        """`name/version`."""
        return f"{self.alias}/{self.version}"

    def bound(self) -> bytes:
        """Additional authenticated data: everything that must not change beside the secret."""
        return canonical_json(
            [self.schema, self.alias, self.version, self.algorithm, self.created_at, self.spki]
        )

    def public(self) -> ProviderKey:
        """What may be known of it. Raises `KeyUnavailableError` if that is damaged."""
        try:
            public_key = PublicKey.of(self.algorithm, b64decode(self.spki, validate=True))
        except binascii.Error:
            raise KeyUnavailableError(f"the file of key {self.handle} is damaged") from None
        return ProviderKey(self.handle, self.created_at, public_key)


class SealedKeyFiles:
    """The key files of one folder; a disk that fails raises `StorageError`."""

    def __init__(self, folder: Path, passphrase: bytes | None) -> None:
        self._folder = folder
        self._passphrase = passphrase
        self._kek: bytes | None = None
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"SealedKeyFiles({str(self._folder)!r})"

    def exists(self, handle: str) -> bool:
        """Whether there is a file of this key."""
        return self._path(handle).exists()

    def handles(self) -> list[str]:
        """Handles of all key files, by name and version; versions may be missing in between."""
        try:
            folders = [path for path in self._folder.iterdir() if path.is_dir()]
            found = sorted((path.name, n) for path in folders for n in _versions_in(path))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StorageError(f"cannot list the key folder: {error.strerror}") from error
        return [f"{name}/{version}" for name, version in found if _is_handle(name, version)]

    def read(self, handle: str) -> StoredKey:
        """The file of a key; `NotFoundError` if there is none, `KeyUnavailableError` if damaged."""
        path = self._path(handle)
        try:
            require_private(path)
            stored = msgspec.json.decode(path.read_bytes(), type=StoredKey)
        except FileNotFoundError:
            raise NotFoundError(f"no key {handle}", hint="create it first") from None
        except OSError as error:
            raise StorageError(f"cannot read key {handle}: {error.strerror}") from error
        except msgspec.MsgspecError:
            raise KeyUnavailableError(f"the file of key {handle} is damaged") from None
        if (stored.schema, stored.handle) != (1, handle):
            raise KeyUnavailableError(f"the file of key {handle} belongs to another key")
        return stored

    def create(self, handle: str, private: SoftwareKey, created_at: str) -> None:
        """Seal and write a key; if there is one already, that one stays."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        path = self._path(handle)
        name, version = handle.split("/")
        spki = PublicKey.of(private.algorithm, private.spki_der).spki
        stored = StoredKey(
            schema=1,
            alias=name,
            version=int(version),
            algorithm=private.algorithm,
            created_at=created_at,
            spki=spki,
            nonce=secrets.token_bytes(12),
            sealed=b"",
        )
        try:
            make_folder(path.parent, 0o700)
            cipher = AESGCM(self._key_encryption_key())
            sealed = cipher.encrypt(stored.nonce, private.secret, stored.bound())
            stored = msgspec.structs.replace(stored, sealed=sealed)
            create_file(path, canonical_json(msgspec.to_builtins(stored)), 0o600)
        except OSError as error:
            raise StorageError(f"cannot store key {handle}: {error.strerror}") from error

    def unseal(self, stored: StoredKey) -> bytes:
        """The secret in a file. Raises `KeyUnavailableError` if anything in it was changed."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        cipher = AESGCM(self._key_encryption_key())
        try:
            return cipher.decrypt(stored.nonce, stored.sealed, stored.bound())
        except (InvalidTag, ValueError):
            raise KeyUnavailableError(
                f"the file of key {stored.handle} was changed or sealed by another key",
                hint="restore the key folder from a backup",
            ) from None

    def remove(self, handle: str) -> None:
        """Remove a key, durably; one that is gone already is fine."""
        path = self._path(handle)
        try:
            with contextlib.suppress(FileNotFoundError):
                _unlink_every_name(path)
            if path.parent.is_dir():
                sync_folder(path.parent)
        except OSError as error:
            raise StorageError(f"cannot remove key {handle}: {error.strerror}") from error

    def require_openable(self) -> None:
        """Raise `KeyUnavailableError` if there are keys and what sealed them is gone."""
        require_key_encryption_file(self._folder)

    def check(self) -> None:
        """Raise unless the keys, if there are any, could be opened now."""
        self.require_openable()
        if self.handles():
            self._key_encryption_key()

    def renew(self) -> None:
        """Forget the key-encryption key."""
        with self._lock:
            self._kek = None

    def _path(self, handle: str) -> Path:
        name, version = check_handle(handle).split("/")
        return self._folder / name / f"{int(version):04d}.json"

    def _key_encryption_key(self) -> bytes:
        with self._lock:
            if self._kek is None:
                try:
                    self._kek = open_key_encryption_key(self._folder, self._passphrase)
                except OSError as error:
                    raise StorageError(f"cannot open the key folder: {error.strerror}") from error
            return self._kek


def _versions_in(folder: Path) -> Iterator[int]:
    for path in folder.iterdir():
        if VERSION_FILE.fullmatch(path.name):
            yield int(path.name.removesuffix(".json"))


def _is_handle(name: str, version: int) -> bool:
    """Whether it is one of ours: other folders may lie beside."""
    try:
        check_handle(f"{name}/{version}")
    except BadInputError:
        return False
    return True


def _unlink_every_name(path: Path) -> None:
    """Remove a key file, and before it any name that a maker who was killed left on it."""
    file = path.stat().st_ino
    for other in path.parent.glob(f"{TEMPORARY_PREFIX}*"):
        with contextlib.suppress(FileNotFoundError):
            if other.stat().st_ino == file:
                other.unlink()
    path.unlink()
