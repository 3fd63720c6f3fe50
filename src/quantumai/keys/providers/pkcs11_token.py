"""One PKCS#11 token in this process: a pool of sessions that are logged in.

As many sessions as the settings have slots, spread over the slots that show the token, each used
by one thread at a time. A session is looked at before every use, and thrown away after any error,
because an error can spoil it. Waiting for a free one is bounded. What is not bounded is a call that
hangs inside the library: its thread hangs with it, and its session is gone until it comes back. To
hand calls to threads of our own, so that a caller could go away, would cost a good part of the
signatures per second.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from quantumai.errors import KeyUnavailableError, TokenBusyError
from quantumai.keys.providers.pkcs11_library import (
    Library,
    import_pkcs11,
    library_in_use,
    require_own_process,
)
from quantumai.keys.providers.pkcs11_numbers import attribute_mapper
from quantumai.keys.providers.token_pin import PinSource
from quantumai.keys.providers.token_settings import TokenSettings

if TYPE_CHECKING:
    from pkcs11 import Session


class TokenAnswerError(KeyUnavailableError):
    """The token answered with an error; its session was thrown away."""


class TokenStalledError(TokenBusyError):
    """No session became free, and none even came back, in all the time that was waited."""


@dataclass
class PooledSession:
    """A place in the pool with its session, and the key objects that are known in it."""

    number: int
    session: Session | None = None
    objects: dict[str, Any] = field(default_factory=dict)
    # Of the library's life and of the pool's: what is older is opened anew.
    born: tuple[int, int] = (0, 0)

    def now(self) -> Session:
        """The open session."""
        assert self.session is not None
        return self.session


@dataclass(frozen=True)
class TokenInformation:
    """What a token says of itself; `mechanisms` are PKCS#11's numbers."""

    label: str
    manufacturer: str
    model: str
    slots: int
    mechanisms: frozenset[int]


class Pkcs11Token:
    """Sessions of the token that `settings` name; `folder` is where relative names start.

    Everything raises `TokenAnswerError` for what the token answers, `TokenBusyError` if no session
    becomes free in `wait_s` seconds, and `KeyUnavailableError` if the token cannot be opened.
    """

    def __init__(self, settings: TokenSettings, folder: Path, wait_s: float = 5.0) -> None:
        self.settings = settings
        self._pin = PinSource(settings.pin, folder)
        self._wait_s = wait_s
        self._free: SimpleQueue[PooledSession] = SimpleQueue()
        for number in range(settings.slots):
            self._free.put(PooledSession(number))
        self._returned = 0
        self._renewed = 0

    def __repr__(self) -> str:
        return f"Pkcs11Token({self.settings.label!r})"

    @contextmanager
    def borrowed(self, wait_s: float | None = None) -> Iterator[PooledSession]:
        """A session of the pool, alone; after an error of the token it is thrown away."""
        require_own_process(self.settings)
        pooled = self._take(self._wait_s if wait_s is None else wait_s)
        try:
            with library_in_use(self.settings) as library, self._answers(pooled):
                self._make_ready(pooled, library)
                yield pooled
        finally:
            self._returned += 1
            self._free.put(pooled)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Like `borrowed`, the bare session."""
        with self.borrowed() as pooled:
            yield pooled.now()

    @contextmanager
    def in_every_slot(self) -> Iterator[tuple[Session, ...]]:
        """A fresh session in each slot that shows the token, whoever uses the pool's."""
        with library_in_use(self.settings) as library, self._answers(None):
            opened: list[Session] = []
            try:
                for token in library.tokens(self.settings.label):
                    library.log_in(token, self._pin)
                    opened.append(token.open(rw=True, attribute_mapper=attribute_mapper()))
                yield tuple(opened)
            finally:
                for session in opened:
                    session.close()

    def information(self) -> TokenInformation:
        """What the token says of itself."""
        with self.borrowed() as pooled, library_in_use(self.settings) as library:
            token = pooled.now().token
            return TokenInformation(
                token.label,
                token.manufacturer_id,
                token.model,
                len(library.tokens(self.settings.label)),
                frozenset(int(mechanism) for mechanism in token.slot.get_mechanisms()),
            )

    def renew(self) -> None:
        """Have every session opened anew before its next use; the login stays."""
        self._renewed += 1

    def _take(self, wait_s: float) -> PooledSession:
        returned = self._returned
        try:
            return self._free.get(timeout=wait_s)
        except Empty:
            pass
        if self._returned == returned:
            raise TokenStalledError(f"the token has not answered for {wait_s:g} s")
        raise TokenBusyError(f"no session of the token became free in {wait_s:g} s")

    def _make_ready(self, pooled: PooledSession, library: Library) -> None:
        born = (library.life, self._renewed)
        session = pooled.session
        if session is not None and pooled.born == born:
            if library.functions.is_logged_in(session):
                return
        elif session is not None and pooled.born[0] != library.life:
            # Its number may be that of another session by now.
            pooled.session = None
        _throw_away(pooled)
        tokens = library.tokens(self.settings.label)
        token = tokens[pooled.number % len(tokens)]
        library.log_in(token, self._pin)
        pooled.session = token.open(rw=True, attribute_mapper=attribute_mapper())
        pooled.born = born

    @contextmanager
    def _answers(self, pooled: PooledSession | None) -> Iterator[None]:
        """Say what the token answers in our own words."""
        pkcs11 = import_pkcs11()
        try:
            yield
        except pkcs11.PKCS11Error as error:
            if pooled is not None:
                _throw_away(pooled)
            # A code without a class of its own is named in the text.
            name = type(error).__name__
            raise TokenAnswerError(
                f"the token answers {str(error) if name == 'PKCS11Error' else name}",
                hint="look at `qai kms token status`",
            ) from None


def _throw_away(pooled: PooledSession) -> None:
    session, pooled.session = pooled.session, None
    pooled.objects.clear()
    if session is not None:
        with suppress(import_pkcs11().PKCS11Error):
            session.close()
