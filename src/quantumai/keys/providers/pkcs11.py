"""Keys in a PKCS#11 token: the private halves are made there and never leave it.

Looking and signing share a lock between all processes of the machine; making and destroying keys
take it alone (`token_lock`). A session keeps the objects of keys that it has used: what another
process destroyed since, the token does not find any more when a signature begins (measured on
kryoptic 1.5.4 and SoftHSM2 2.6.1), and after any error the key is looked for anew, once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from quantumai.errors import ConflictError, KeyUnavailableError, NotFoundError
from quantumai.keys.parameters import ParameterSet, parameter_set
from quantumai.keys.providers.circuit_breaker import CircuitBreaker
from quantumai.keys.providers.pkcs11_keys import generate_pair
from quantumai.keys.providers.pkcs11_objects import TokenObjects, new_object_id, objects_of
from quantumai.keys.providers.pkcs11_probe import TokenProbe
from quantumai.keys.providers.pkcs11_token import (
    Pkcs11Token,
    PooledSession,
    TokenAnswerError,
    TokenStalledError,
)
from quantumai.keys.providers.pkcs11_use import decapsulate_with, sign_with
from quantumai.keys.providers.port import Ability, ProviderKey, check_handle
from quantumai.keys.providers.request_checks import (
    require_ciphertext,
    require_made,
    require_mu,
    require_signing,
)
from quantumai.keys.providers.token_lock import TokenLock
from quantumai.keys.providers.token_status import TokenStatus, describe

_T = TypeVar("_T")
_TRIAL_WAIT_S = 1.0
_MOST_KNOWN_OBJECTS = 1024


class Pkcs11Keys:
    """`KeyProvider` on a token; safe for several threads, and processes of one machine, at once.

    `clock` returns aware UTC times, `monotonic_s` never goes back; `lock_file` is the same for all
    processes that use the token. Calls wait at most five seconds for a session, for the lock and
    for another thread's probe.
    """

    def __init__(
        self,
        token: Pkcs11Token,
        clock: Callable[[], datetime],
        lock_file: Path,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._token = token
        self._clock = clock
        self._lock = TokenLock(lock_file)
        self._breaker = CircuitBreaker(monotonic_s, (TokenAnswerError, TokenStalledError))
        self._objects = TokenObjects()
        self._probe = TokenProbe(token, self._breaker)

    def __repr__(self) -> str:
        return f"Pkcs11Keys({self._token!r})"

    @property
    def name(self) -> str:
        """Short name of the kind."""
        return "pkcs11"

    @property
    def validation(self) -> str:
        """What `token.toml` says that stands behind the token; only who set it up can know."""
        return self._token.settings.stated_validation()

    def abilities(self) -> Mapping[str, frozenset[Ability]]:
        """See `KeyProvider.abilities`: from the token's mechanisms, once it has been probed.

        That is done by one thread, once, and holds for good. A token that lets private keys out is
        refused: `InsecureRefusedError`, here and at every other call but `destroy`.
        """
        return self._probe.abilities()

    def generate(self, handle: str, algorithm: str) -> ProviderKey:
        """See `KeyProvider.generate`."""
        check_handle(handle)
        require_made(self.abilities(), algorithm)
        found = self._read(lambda pooled: self._objects.find(pooled.now(), handle))
        if found is None:
            found = self._make(handle, algorithm)
        if found.public_key.algorithm != algorithm:
            raise ConflictError(f"key {handle} exists with algorithm {found.public_key.algorithm}")
        return found

    def find(self, handle: str) -> ProviderKey:
        """See `KeyProvider.find`."""
        check_handle(handle)
        self.abilities()
        found = self._read(lambda pooled: self._objects.find(pooled.now(), handle))
        if found is None:
            raise _no_key(handle)
        return found

    def keys(self) -> tuple[ProviderKey, ...]:
        """See `KeyProvider.keys`."""
        self.abilities()
        return self._read(lambda pooled: self._objects.all(pooled.now()))

    def sign(self, handle: str, message: bytes, context: bytes = b"") -> bytes:
        """See `KeyProvider.sign`."""
        check_handle(handle)
        abilities = self.abilities()

        def sign_in(pooled: PooledSession) -> bytes:
            private, entry = self._usable(pooled, handle)
            require_signing(abilities, entry.name, context)
            return sign_with(private, entry, message, context)

        return self._read(sign_in)

    def sign_mu(self, handle: str, mu: bytes) -> bytes:
        """See `KeyProvider.sign_mu`: PKCS#11 3.2 has no such mechanism, so it is refused."""
        require_mu(self.abilities(), self.find(handle).public_key.algorithm, mu)
        raise KeyUnavailableError("no PKCS#11 mechanism signs an external mu")

    def decapsulate(self, handle: str, ciphertext: bytes) -> bytes:
        """See `KeyProvider.decapsulate`."""
        check_handle(handle)
        abilities = self.abilities()

        def decapsulate_in(pooled: PooledSession) -> bytes:
            private, entry = self._usable(pooled, handle)
            require_ciphertext(abilities, entry.name, ciphertext)
            return decapsulate_with(private, ciphertext)

        return self._read(decapsulate_in)

    def destroy(self, handle: str) -> None:
        """See `KeyProvider.destroy`: looked for afterwards in every slot that shows the token."""
        check_handle(handle)
        with self._changing() as pooled:
            for each in objects_of(pooled.now(), handle):
                each.destroy()
            # What sessions of this process know of the key is forgotten.
            self._token.renew()
            with self._token.in_every_slot() as sessions:
                left = sum(len(objects_of(session, handle)) for session in sessions)
        if left:
            raise KeyUnavailableError(f"key {handle} is still in the token", hint="try again")

    def check(self) -> None:
        """See `KeyProvider.check`."""
        with self._breaker.guard() as trial, self._borrowed(trial) as pooled:
            _look(pooled)

    def renew(self) -> None:
        """See `KeyProvider.renew`; what the probe found is kept."""
        self._token.renew()
        self._objects = TokenObjects()

    def status(self) -> TokenStatus:
        """Describe the token, after probing it. Raises as `keys` does."""
        abilities = self.abilities()
        return describe(
            self._token.information(),
            self._token.settings,
            abilities,
            keys=len(self.keys()),
            halves=self._read(lambda pooled: self._objects.halves(pooled.now())),
        )

    def _usable(self, pooled: PooledSession, handle: str) -> tuple[Any, ParameterSet]:
        """The private object of a key in this session."""
        known: tuple[Any, ParameterSet] | None = pooled.objects.get(handle)
        if known is None:
            found = self._objects.private_half(pooled.now(), handle)
            if found is None:
                raise _no_key(handle)
            private, public = found
            if len(pooled.objects) >= _MOST_KNOWN_OBJECTS:
                pooled.objects.clear()
            known = pooled.objects[handle] = (private, parameter_set(public.algorithm))
        return known

    def _make(self, handle: str, algorithm: str) -> ProviderKey:
        with self._changing() as pooled:
            session = pooled.now()
            # Another process may have been first.
            found = self._objects.find(session, handle)
            if found is None:
                generate_pair(session, algorithm, handle, new_object_id(self._clock()))
                found = self._objects.find(session, handle)
        if found is None:
            raise KeyUnavailableError(f"the token does not show the key {handle} that it made")
        return found

    def _read(self, action: Callable[[PooledSession], _T]) -> _T:
        """Do something that changes nothing; if the token answers with an error, once more.

        The error may mean that the session was spoilt, or that another program took the object.
        """
        with self._breaker.guard() as trial:
            try:
                with self._borrowed(trial) as pooled, self._lock.shared():
                    return action(pooled)
            except TokenAnswerError:
                with self._borrowed(trial) as pooled, self._lock.shared():
                    pooled.objects.clear()
                    return action(pooled)

    @contextmanager
    def _changing(self) -> Iterator[PooledSession]:
        with (
            self._breaker.guard() as trial,
            self._borrowed(trial) as pooled,
            self._lock.exclusive(),
        ):
            yield pooled

    @contextmanager
    def _borrowed(self, trial: bool) -> Iterator[PooledSession]:
        with self._token.borrowed(_TRIAL_WAIT_S if trial else None) as pooled:
            if trial:
                _look(pooled)
            yield pooled


def _look(pooled: PooledSession) -> None:
    """Have the token look into its store: for nothing, but it has to answer."""
    from pkcs11 import Attribute

    list(pooled.now().get_objects({Attribute.LABEL: "quantumai-check"}))


def _no_key(handle: str) -> NotFoundError:
    return NotFoundError(f"no key {handle} in the token", hint="make it first")
