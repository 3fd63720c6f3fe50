"""PKCS#11 libraries in this process: each loaded once, told of threads, logged in once per slot.

Measured traps, and what is done about each:
- python-pkcs11 calls C_Initialize(NULL), by which a library may assume a single thread (SoftHSM2
  then takes no locks): it is started again at once with CKF_OS_LOCKING_OK.
- A library does not survive a fork: it is loaded on first use, and refused in a child.
- The login belongs to the process and ends with the last session or with python-pkcs11's `close` of
  the session that logged in: that session is kept for the library's life and shared.
- Libraries find their token by an environment variable, read when they start: when another home
  is opened in the same process, the library starts anew, once nobody is using it.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quantumai.errors import KeyUnavailableError, TokenBusyError
from quantumai.keys.providers.pkcs11_functions import Functions
from quantumai.keys.providers.token_pin import PinSource
from quantumai.keys.providers.token_settings import TokenSettings

if TYPE_CHECKING:
    from pkcs11 import Session, Token

_WAIT_S = 5.0
# Held to start or end a library, and to begin or stop using one.
_CHANGE = threading.Condition()
_LOADED: dict[str, Library] = {}


class Library:
    """One loaded library; `life` counts how often it was started, handles are of one life."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.life = 0
        self.pid = os.getpid()
        self.functions = Functions(Path(path))
        self._environment: dict[str, str] | None = None
        self._module: Any = None
        self._users = 0
        self._logins: dict[int, Session] = {}
        self._refused_pin = b""
        self._salt = secrets.token_bytes(16)
        self._login_lock = threading.Lock()

    def tokens(self, label: str) -> list[Token]:
        """The token with this label, once for each slot that shows it, by slot number.

        Raises `KeyUnavailableError` if no slot does.
        """
        slots = self._module.get_slots(token_present=True)
        found = [token for token in (s.get_token() for s in slots) if token.label == label]
        if not found:
            raise KeyUnavailableError(
                f"no slot shows a token named {label}",
                hint="look at the library's configuration, and at the device",
            )
        return sorted(found, key=lambda token: int(token.slot.slot_id))

    def log_in(self, token: Token, pin: PinSource) -> None:
        """See that the process is logged in to a slot's token.

        A PIN that was refused is not tried twice, or the token would lock itself. Raises
        `KeyUnavailableError`.
        """
        with _held(self._login_lock):
            slot = int(token.slot.slot_id)
            kept = self._logins.get(slot)
            if kept is not None and self.functions.is_logged_in(kept):
                return
            session = token.open(rw=True)
            if not self.functions.is_logged_in(session):
                session.close()
                session = self._with_pin(token, pin.read())
            self._logins[slot] = session

    def _with_pin(self, token: Token, pin: str) -> Session:
        import pkcs11

        mark = blake2b(pin.encode(), key=self._salt, salt=self.life.to_bytes(16)).digest()
        if mark == self._refused_pin:
            raise _wrong_pin()
        try:
            return token.open(rw=True, user_pin=pin)
        except (pkcs11.PinIncorrect, pkcs11.PinLenRange, pkcs11.PinInvalid, pkcs11.PinLocked):
            self._refused_pin = mark
            raise _wrong_pin() from None

    def _serve(self, environment: dict[str, str]) -> None:
        """Start, or start anew, with this environment, once nobody uses it; holds `_CHANGE`."""
        if self._environment == environment:
            return
        self._end()
        os.environ.update(environment)
        pkcs11 = import_pkcs11()
        try:
            self._module = pkcs11.lib(self.path)
        except pkcs11.PKCS11Error as error:
            raise KeyUnavailableError(
                f"the token's library does not start: {type(error).__name__}",
                hint="run `make token` and look at the configuration file beside token.toml",
            ) from None
        self.functions.finalise()
        try:
            self.functions.initialise()
        except KeyUnavailableError:
            with suppress(pkcs11.PKCS11Error):
                self._module.finalize()
            raise
        self._environment = dict(environment)
        self.life += 1

    def _end(self) -> None:
        if self._environment is None:
            return
        if not _CHANGE.wait_for(lambda: self._users == 0, _WAIT_S):
            raise TokenBusyError("the token's library is in use for another home")
        self._environment = None
        self._logins.clear()
        self._module.finalize()


@contextmanager
def library_in_use(settings: TokenSettings) -> Iterator[Library]:
    """The library, started for these settings; while it is in use it is not started anew.

    Raises `KeyUnavailableError` in a child of the process that loaded a library first, and where
    the library or python-pkcs11 is missing; `TokenBusyError` while it serves another home.
    """
    require_own_process(settings)
    with _held(_CHANGE):
        library = _loaded(settings)
        library._serve(settings.environment)
        library._users += 1
    try:
        yield library
    finally:
        with _CHANGE:
            library._users -= 1
            if not library._users:
                _CHANGE.notify_all()


def finalize_library(path: str) -> None:
    """End a library's life in this process, if it has one; its sessions become invalid."""
    with _held(_CHANGE):
        library = _LOADED.get(path)
        if library is not None:
            library._end()


def require_own_process(settings: TokenSettings) -> None:
    """Raise `KeyUnavailableError` in a child of the process that loaded the library."""
    # Without any lock: in a child one may be held for ever.
    library = _LOADED.get(settings.library)
    if library is not None and library.pid != os.getpid():
        raise KeyUnavailableError(
            "the token's library was loaded before this process was forked",
            hint="open the home in the process that uses it",
        )


def import_pkcs11() -> Any:
    """The module `pkcs11`. Raises `KeyUnavailableError` where it is not installed."""
    try:
        import pkcs11
    except ImportError:
        raise KeyUnavailableError(
            "python-pkcs11 is not installed", hint="pip install 'quantumai[pkcs11]'"
        ) from None
    return pkcs11


def _loaded(settings: TokenSettings) -> Library:
    found = _LOADED.get(settings.library)
    if found is None:
        import_pkcs11()
        if not Path(settings.library).is_file():
            raise KeyUnavailableError(
                f"the token's library {settings.library} is gone",
                hint="run `make token`, or correct token.toml",
            )
        found = _LOADED[settings.library] = Library(settings.library)
    return found


@contextmanager
def _held(lock: threading.Lock | threading.Condition) -> Iterator[None]:
    """Whoever holds it may hang inside the library: nobody waits for ever."""
    if not lock.acquire(timeout=_WAIT_S):
        raise TokenBusyError("the token's library does not answer")
    try:
        yield
    finally:
        lock.release()


def _wrong_pin() -> KeyUnavailableError:
    return KeyUnavailableError(
        "the token refuses the PIN", hint="correct the PIN's source; do not try often"
    )
