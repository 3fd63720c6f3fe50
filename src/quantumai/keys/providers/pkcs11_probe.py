"""What a token can do, once it has been tried whether it lets private keys out.

The probe makes throw-away keys, which takes a token a while: one thread does it, once in the life
of a process, and the others wait for what it finds.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

from quantumai.keys.providers.circuit_breaker import CircuitBreaker
from quantumai.keys.providers.pkcs11_keys import probe_token
from quantumai.keys.providers.pkcs11_numbers import abilities_of
from quantumai.keys.providers.pkcs11_token import Pkcs11Token, TokenStalledError
from quantumai.keys.providers.port import Ability


class TokenProbe:
    """The abilities of `token`, for several threads; what it answers counts for `breaker`."""

    def __init__(self, token: Pkcs11Token, breaker: CircuitBreaker, wait_s: float = 5.0) -> None:
        self._token = token
        self._breaker = breaker
        self._wait_s = wait_s
        self._lock = threading.Lock()
        self._found: Mapping[str, frozenset[Ability]] | None = None

    def abilities(self) -> Mapping[str, frozenset[Ability]]:
        """What can be done, by algorithm.

        Raises `InsecureRefusedError` if the token lets private keys out, and `TokenBusyError` if
        another thread's probe does not end in `wait_s` seconds. What failed is done again.
        """
        return self._found if self._found is not None else self._wait()

    def _wait(self) -> Mapping[str, frozenset[Ability]]:
        with self._breaker.guard():
            if not self._lock.acquire(timeout=self._wait_s):
                raise TokenStalledError(f"the token's probe has not ended for {self._wait_s:g} s")
            try:
                if self._found is None:
                    self._found = self._probe()
                return self._found
            finally:
                self._lock.release()

    def _probe(self) -> Mapping[str, frozenset[Ability]]:
        found = abilities_of(self._token.information().mechanisms)
        with self._token.session() as session:
            probe_token(session, frozenset(found))
        # The probe provokes errors on purpose: nothing else happens in that session.
        self._token.renew()
        return found
