"""A provider that keys of this home are in and that cannot be opened: nothing is put in its place.

What was signed can still be looked at and verified, since public keys are in the register.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from quantumai.errors import KeyUnavailableError
from quantumai.keys.providers.port import Ability, ProviderKey


class AbsentProvider:
    """`KeyProvider` that answers every call with why it is not there."""

    def __init__(self, name: str, reason: KeyUnavailableError) -> None:
        self._name = name
        self._reason = reason

    @property
    def name(self) -> str:
        """Short name of the kind that it stands for."""
        return self._name

    @property
    def validation(self) -> str:
        """Nothing can be said of what cannot be opened."""
        return "not known: the provider cannot be opened"

    def abilities(self) -> Mapping[str, frozenset[Ability]]:
        """See `KeyProvider.abilities`."""
        self._refuse()

    def generate(self, handle: str, algorithm: str) -> ProviderKey:
        """See `KeyProvider.generate`."""
        self._refuse()

    def find(self, handle: str) -> ProviderKey:
        """See `KeyProvider.find`."""
        self._refuse()

    def keys(self) -> tuple[ProviderKey, ...]:
        """See `KeyProvider.keys`."""
        self._refuse()

    def sign(self, handle: str, message: bytes, context: bytes = b"") -> bytes:
        """See `KeyProvider.sign`."""
        self._refuse()

    def sign_mu(self, handle: str, mu: bytes) -> bytes:
        """See `KeyProvider.sign_mu`."""
        self._refuse()

    def decapsulate(self, handle: str, ciphertext: bytes) -> bytes:
        """See `KeyProvider.decapsulate`."""
        self._refuse()

    def destroy(self, handle: str) -> None:
        """See `KeyProvider.destroy`."""
        self._refuse()

    def check(self) -> None:
        """See `KeyProvider.check`."""
        self._refuse()

    def renew(self) -> None:
        """See `KeyProvider.renew`; there is nothing to renew."""

    def _refuse(self) -> NoReturn:
        raise KeyUnavailableError(str(self._reason), hint=self._reason.hint)
