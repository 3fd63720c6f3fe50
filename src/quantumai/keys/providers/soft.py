"""Soft keys for development: private keys in files, encrypted at rest (AES-256-GCM).

Each key version is one create-only file `<alias>/<version>.json`, so a rotation is one atomic
step and the state is derived: the highest version is active, the others are verify-only. Python
cannot wipe memory, and whoever may read the folder without a passphrase has the keys: hence the
name, the warning and the refusal of production.
"""

from __future__ import annotations

import re
import secrets
import threading
import warnings
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import msgspec

from quantumai.canonical import canonical_json
from quantumai.errors import (
    BadInputError,
    ConflictError,
    InsecureRefusedError,
    KeyUnavailableError,
    NotFoundError,
    StorageError,
)
from quantumai.keys.algorithms import (
    PrivateKey,
    PublicKey,
    from_seed,
    generate,
    spki_of,
    verify_signature,
)
from quantumai.keys.environment import Environment, parse_environment
from quantumai.keys.port import KeyRecord, KeyState
from quantumai.keys.providers.sealing_key import (
    VERSION_FILE,
    open_key_encryption_key,
    require_key_encryption_file,
    require_private,
)
from quantumai.storage.durable_files import create_file, make_folder

_ALIAS = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class InsecureKeysWarning(UserWarning):
    """Signing keys are kept in software."""


class _StoredKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file of one key version; `sealed` is the AES-256-GCM ciphertext of the 32-byte seed."""

    schema: int
    alias: str
    version: int
    algorithm: str
    created_at: str
    spki: str
    nonce: bytes
    sealed: bytes

    def bound(self) -> bytes:
        """Additional authenticated data: everything that must not change beside the seed."""
        return canonical_json(
            [self.schema, self.alias, self.version, self.algorithm, self.created_at, self.spki]
        )


class InsecureSoftKeys:
    """`KeyProvider` on a folder; safe for several processes at once."""

    def __init__(
        self,
        folder: Path,
        clock: Callable[[], datetime],
        passphrase: bytes | None = None,
        environment: str = "",
    ) -> None:
        if parse_environment(environment) is Environment.PRODUCTION:
            raise InsecureRefusedError(
                "soft keys refuse to work in production",
                hint="use an HSM key provider, or unset QAI_ENV",
            )
        warnings.warn(
            "signing keys are kept in software, not in an HSM: for development only",
            InsecureKeysWarning,
            stacklevel=2,
        )
        self._folder = folder
        self._clock = clock
        self._passphrase = passphrase
        self._kek: bytes | None = None
        self._opened: dict[str, PrivateKey] = {}
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"InsecureSoftKeys({str(self._folder)!r})"

    @property
    def validation(self) -> str:
        """No validation stands behind keys in software."""
        return "none"

    def create(self, alias: str, algorithm: str) -> KeyRecord:
        """See `KeyProvider.create`."""
        if not _ALIAS.fullmatch(alias):
            raise BadInputError(f"not a key alias: {alias[:80]!r}", hint="use a-z, 0-9 and '-'")
        if not self._versions(alias):
            self._write(alias, 1, algorithm)
        # A key that cannot be opened later is better refused before work is done for it.
        require_key_encryption_file(self._folder)
        record = self.current(alias)
        if record.algorithm != algorithm:
            raise ConflictError(f"key {alias} exists with algorithm {record.algorithm}")
        return record

    def rotate(self, alias: str) -> KeyRecord:
        """See `KeyProvider.rotate`; of two rotations at once both return the one new version."""
        former = self.current(alias)
        self._write(alias, former.version + 1, former.algorithm)
        return self.current(alias)

    def sign(self, key_id: str, message: bytes) -> bytes:
        """See `KeyProvider.sign`."""
        stored = self._find(key_id)
        if self._path(stored.alias, stored.version + 1).exists():
            raise KeyUnavailableError(
                f"key {stored.alias} version {stored.version} is verify-only",
                hint="sign with the current version",
            )
        signature = self._open(key_id, stored).sign(message)
        spki_der = PublicKey(key_id, stored.algorithm, stored.spki).spki_der
        if not verify_signature(stored.algorithm, spki_der, message, signature):
            raise KeyUnavailableError(f"key {stored.alias} made a signature that does not verify")
        return signature

    def public_key(self, key_id: str) -> PublicKey:
        """See `KeyProvider.public_key`."""
        return _public(self._find(key_id))

    def list(self) -> tuple[KeyRecord, ...]:
        """See `KeyProvider.list`."""
        if not self._folder.is_dir():
            return ()
        aliases = sorted(path.name for path in self._folder.iterdir() if path.is_dir())
        return tuple(record for alias in aliases for record in self._records(alias))

    def current(self, alias: str) -> KeyRecord:
        """See `KeyProvider.current`."""
        records = self._records(alias) if _ALIAS.fullmatch(alias) else ()
        if not records:
            raise NotFoundError(f"no key named {alias[:80]!r}", hint="create it first")
        return records[-1]

    def _records(self, alias: str) -> tuple[KeyRecord, ...]:
        versions = self._versions(alias)
        return tuple(
            _record(self._read(alias, version), active=version == versions[-1])
            for version in versions
        )

    def _versions(self, alias: str) -> tuple[int, ...]:
        try:
            names = [path.name for path in (self._folder / alias).iterdir()]
        except FileNotFoundError:
            return ()
        found = sorted(int(name[:4]) for name in names if VERSION_FILE.fullmatch(name))
        if found != list(range(1, len(found) + 1)):
            raise KeyUnavailableError(f"a version of key {alias} is missing from its folder")
        return tuple(found)

    def _find(self, key_id: str) -> _StoredKey:
        for record in self.list():
            if record.key_id == key_id:
                return self._read(record.alias, record.version)
        raise NotFoundError(f"no key {key_id[:16]!r}")

    def _path(self, alias: str, version: int) -> Path:
        return self._folder / alias / f"{version:04d}.json"

    def _read(self, alias: str, version: int) -> _StoredKey:
        path = self._path(alias, version)
        try:
            require_private(path)
            stored = msgspec.json.decode(path.read_bytes(), type=_StoredKey)
        except OSError as error:
            raise StorageError(f"cannot read key {alias}: {error.strerror}") from error
        except msgspec.MsgspecError:
            raise KeyUnavailableError(f"the file of key {alias} is damaged") from None
        if (stored.schema, stored.alias, stored.version) != (1, alias, version):
            raise KeyUnavailableError(f"the file of key {alias} belongs to another key")
        return stored

    def _write(self, alias: str, version: int, algorithm: str) -> None:
        private = generate(algorithm)
        public = PublicKey.of(algorithm, spki_of(private))
        created_at = self._clock().strftime("%Y-%m-%dT%H:%M:%SZ")
        stored = _StoredKey(
            1, alias, version, algorithm, created_at, public.spki, secrets.token_bytes(12), b""
        )
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        path = self._path(alias, version)
        try:
            make_folder(path.parent, 0o700)
            sealed = AESGCM(self._key_encryption_key()).encrypt(
                stored.nonce, private.private_bytes_raw(), stored.bound()
            )
            stored = msgspec.structs.replace(stored, sealed=sealed)
            data = canonical_json(msgspec.to_builtins(stored))
            # If another process was first, its key is the key and ours is forgotten.
            create_file(path, data, 0o600)
        except OSError as error:
            raise StorageError(f"cannot store key {alias}: {error.strerror}") from error

    def _open(self, key_id: str, stored: _StoredKey) -> PrivateKey:
        if key_id not in self._opened:
            from cryptography.exceptions import InvalidTag
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM

            try:
                seed = AESGCM(self._key_encryption_key()).decrypt(
                    stored.nonce, stored.sealed, stored.bound()
                )
            except (InvalidTag, ValueError):
                raise KeyUnavailableError(
                    f"the file of key {stored.alias} was changed or sealed by another key",
                    hint="restore the key folder from a backup",
                ) from None
            self._opened[key_id] = from_seed(stored.algorithm, seed)
        return self._opened[key_id]

    def _key_encryption_key(self) -> bytes:
        with self._lock:
            if self._kek is None:
                try:
                    self._kek = open_key_encryption_key(self._folder, self._passphrase)
                except OSError as error:
                    raise StorageError(f"cannot open the key folder: {error.strerror}") from error
            return self._kek


def _public(stored: _StoredKey) -> PublicKey:
    from base64 import b64decode

    return PublicKey.of(stored.algorithm, b64decode(stored.spki))


def _record(stored: _StoredKey, *, active: bool) -> KeyRecord:
    public = _public(stored)
    return KeyRecord(
        key_id=public.key_id,
        alias=stored.alias,
        version=stored.version,
        algorithm=stored.algorithm,
        state=KeyState.ACTIVE if active else KeyState.VERIFY_ONLY,
        created_at=stored.created_at,
        public_key=public,
    )
