"""Soft keys for development: private keys in files, encrypted at rest (AES-256-GCM).

Each key is one create-only file `<name>/<version>.json`; to destroy it is to remove the file. Every
use reads the file, so that a key which another process destroyed is gone here too. Python cannot
wipe memory, a disk may keep what was removed, and whoever may read the folder without a passphrase
has the keys: hence the name, the warning and the refusal of production.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

from quantumai.errors import (
    BadInputError,
    ConflictError,
    InsecureRefusedError,
    KeyUnavailableError,
    NotFoundError,
)
from quantumai.keys.environment import Environment, parse_environment
from quantumai.keys.parameters import PARAMETER_SETS, Family, ParameterSet
from quantumai.keys.providers.port import Ability, ProviderKey
from quantumai.keys.providers.request_checks import (
    require_ciphertext,
    require_made,
    require_mu,
    require_signing,
)
from quantumai.keys.providers.soft_files import SealedKeyFiles, StoredKey
from quantumai.keys.software_keys import SoftwareKey, generate, restore


def _abilities(entry: ParameterSet) -> frozenset[Ability]:
    if not entry.signs:
        return frozenset({Ability.DECAPSULATE})
    context = {Ability.CONTEXT} if entry.takes_context else set()
    external_mu = {Ability.EXTERNAL_MU} if entry.family is Family.ML_DSA else set()
    return frozenset({Ability.SIGN, *context, *external_mu})


_ABILITIES = {name: _abilities(entry) for name, entry in PARAMETER_SETS.items()}


class InsecureKeysWarning(UserWarning):
    """Signing keys are kept in software."""


class InsecureSoftKeys:
    """`KeyProvider` on a folder; safe for several threads and processes at once.

    `clock` returns aware UTC times. A disk that fails raises `StorageError`.
    """

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
        self._files = SealedKeyFiles(folder, passphrase)
        self._clock = clock
        # Each with the file that it was opened from: another file is another key.
        self._opened: dict[str, tuple[StoredKey, SoftwareKey]] = {}

    def __repr__(self) -> str:
        return f"InsecureSoftKeys({self._files!r})"

    @property
    def name(self) -> str:
        """Short name of the kind."""
        return "soft"

    @property
    def validation(self) -> str:
        """No validation stands behind keys in software."""
        return "none"

    def abilities(self) -> Mapping[str, frozenset[Ability]]:
        """See `KeyProvider.abilities`: everything that the libraries can do."""
        return _ABILITIES

    def generate(self, handle: str, algorithm: str) -> ProviderKey:
        """See `KeyProvider.generate`."""
        present = self._files.exists(handle)
        require_made(_ABILITIES, algorithm)
        if not present:
            created_at = self._clock().strftime("%Y-%m-%dT%H:%M:%SZ")
            # If another process was first, its key is the key and ours is forgotten.
            self._files.create(handle, generate(algorithm), created_at)
        # A key that cannot be opened later is better refused before work is done for it.
        self._files.require_openable()
        found = self.find(handle)
        if found.public_key.algorithm != algorithm:
            raise ConflictError(f"key {handle} exists with algorithm {found.public_key.algorithm}")
        return found

    def find(self, handle: str) -> ProviderKey:
        """See `KeyProvider.find`."""
        return self._read(handle).public()

    def keys(self) -> tuple[ProviderKey, ...]:
        """See `KeyProvider.keys`."""
        found = []
        for handle in self._files.handles():
            # One that is destroyed while we list is none any more.
            with contextlib.suppress(NotFoundError):
                found.append(self.find(handle))
        return tuple(found)

    def sign(self, handle: str, message: bytes, context: bytes = b"") -> bytes:
        """See `KeyProvider.sign`."""
        stored = self._read(handle)
        require_signing(_ABILITIES, stored.algorithm, context)
        return self._open(stored).sign(message, context)

    def sign_mu(self, handle: str, mu: bytes) -> bytes:
        """See `KeyProvider.sign_mu`."""
        stored = self._read(handle)
        require_mu(_ABILITIES, stored.algorithm, mu)
        return self._open(stored).sign_mu(mu)

    def decapsulate(self, handle: str, ciphertext: bytes) -> bytes:
        """See `KeyProvider.decapsulate`."""
        stored = self._read(handle)
        require_ciphertext(_ABILITIES, stored.algorithm, ciphertext)
        return self._open(stored).decapsulate(ciphertext)

    def destroy(self, handle: str) -> None:
        """See `KeyProvider.destroy`: the file is removed, durably; the disk may keep its blocks."""
        self._files.remove(handle)
        self._opened.pop(handle, None)

    def check(self) -> None:
        """See `KeyProvider.check`: what seals the keys is there and opens."""
        self._files.check()

    def renew(self) -> None:
        """See `KeyProvider.renew`."""
        self._opened.clear()
        self._files.renew()

    def _read(self, handle: str) -> StoredKey:
        try:
            return self._files.read(handle)
        except NotFoundError:
            self._opened.pop(handle, None)
            raise

    def _open(self, stored: StoredKey) -> SoftwareKey:
        opened = self._opened.get(stored.handle)
        if opened is not None and opened[0] == stored:
            return opened[1]
        secret = self._files.unseal(stored)
        try:
            private = restore(stored.algorithm, secret)
        except (ValueError, BadInputError):
            raise KeyUnavailableError(f"key {stored.handle} cannot be read") from None
        self._opened[stored.handle] = (stored, private)
        return private
