"""One PKCS#11 token in this process: loaded once, logged in once, one call at a time.

Measured traps, and what is done about each:
- python-pkcs11 calls C_Initialize(NULL), by which a library may assume a single thread (SoftHSM2
  then takes no locks): all calls of the process are serialised. Threads gain nothing anyway.
- A library does not survive a fork: it is loaded on first use, and refused in a child.
- Closing the last session logs out, and a second login fails: a keeper session stays open.
- An error can spoil a session: the working session is thrown away after any.
- Libraries find their token by an environment variable, read at initialisation: when another home
  is opened in the same process, the library is initialised anew.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from quantumai.errors import KeyUnavailableError
from quantumai.keys.providers.token_settings import PinSource, TokenSettings

if TYPE_CHECKING:
    from pkcs11 import Session, Token

_LOCK = threading.RLock()
_MOST_VANISHED = 3
_T = TypeVar("_T")


class _VanishedError(KeyUnavailableError):
    """An object's handle became invalid between finding it and using it."""


class _Loaded:
    """What this process has loaded: its pid, and per library its settings and how often."""

    pid = 0
    environments: ClassVar[dict[str, tuple[dict[str, str] | None, int]]] = {}


class Pkcs11Token:
    """Sessions of the token that `settings` name; `folder` is where relative names start."""

    def __init__(self, settings: TokenSettings, folder: Path) -> None:
        self.settings = settings
        self._pin = PinSource(settings.pin, folder)
        self._keeper: Session | None = None
        self._worker: Session | None = None
        self._generation = 0

    def __repr__(self) -> str:
        return f"Pkcs11Token({self.settings.label!r})"

    @contextlib.contextmanager
    def session(self) -> Iterator[Session]:
        """The logged-in session, alone; after any error inside it is thrown away.

        Raises `KeyUnavailableError` for everything that the token or its library answers.
        """
        with _LOCK:
            pkcs11 = _import_pkcs11()
            try:
                yield self._open_worker()
            except pkcs11.PKCS11Error as error:
                self._drop_worker()
                if isinstance(error, pkcs11.ObjectHandleInvalid):
                    raise _VanishedError("an object in the token vanished") from None
                # A code without a class of its own is named in the text.
                name = type(error).__name__
                raise KeyUnavailableError(
                    f"the token answers {str(error) if name == 'PKCS11Error' else name}",
                    hint="look at `qai kms token status`",
                ) from None
            except BaseException:
                self._drop_worker()
                raise

    def read(self, action: Callable[[Session], _T]) -> _T:
        """Do something that changes nothing; again, in a new session, if an object vanished.

        Another program may add or destroy objects in the middle, which not every token hides.
        Raises as `session` does.
        """
        for _ in range(_MOST_VANISHED):
            try:
                with self.session() as session:
                    return action(session)
            except _VanishedError:
                continue
        raise KeyUnavailableError("the token's objects come and go", hint="try again")

    def information(self) -> tuple[str, str, str, frozenset[int]]:
        """Label, manufacturer, model and mechanism numbers of the token."""
        with self.session() as session:
            token = session.token
            mechanisms = frozenset(int(m) for m in token.slot.get_mechanisms())
            return token.label, token.manufacturer_id, token.model, mechanisms

    def renew(self) -> None:
        """Throw the working session away; the login stays."""
        with _LOCK:
            self._drop_worker()

    def close(self) -> None:
        """Close the sessions, which logs out; the next call opens them again."""
        with _LOCK:
            self._drop_worker()
            self._close_quietly(self._keeper)
            self._keeper = None

    def _open_worker(self) -> Session:
        import pkcs11

        library, generation = load_library(self.settings)
        if generation != self._generation:
            # The library was initialised anew: the handles are of another life.
            self._keeper = self._worker = None
            self._generation = generation
        token: Token | None = None
        if self._keeper is None:
            token = library.get_token(token_label=self.settings.label)
            self._keeper = self._login(token)
        if self._worker is None:
            try:
                self._worker = self._keeper.token.open(rw=True)
            except pkcs11.PKCS11Error:
                # The token was taken away or reset: from the beginning, once.
                self._close_quietly(self._keeper)
                self._keeper = None
                self._keeper = self._login(library.get_token(token_label=self.settings.label))
                self._worker = self._keeper.token.open(rw=True)
        return self._worker

    def _login(self, token: Token) -> Session:
        import pkcs11

        try:
            return token.open(rw=True, user_pin=self._pin.read())
        except pkcs11.UserAlreadyLoggedIn:
            # By another object of this process on the same token; login belongs to the process.
            return token.open(rw=True)
        except (pkcs11.PinIncorrect, pkcs11.PinLenRange, pkcs11.PinInvalid):
            raise KeyUnavailableError(
                "the token refuses the PIN", hint="restore the PIN file; do not try often"
            ) from None

    def _drop_worker(self) -> None:
        self._close_quietly(self._worker)
        self._worker = None

    def _close_quietly(self, session: Session | None) -> None:
        if session is not None and _is_current(self.settings, self._generation):
            with contextlib.suppress(Exception):
                session.close()


def load_library(settings: TokenSettings) -> tuple[Any, int]:
    """The initialised library and the number of its initialisation.

    Raises `KeyUnavailableError` in a child of the process that loaded a library first, and where
    the library or python-pkcs11 is missing.
    """
    with _LOCK:
        pkcs11 = _import_pkcs11()
        if _Loaded.pid not in (0, os.getpid()):
            raise KeyUnavailableError(
                "the token's library was loaded before this process was forked",
                hint="open the home in the process that uses it",
            )
        if not Path(settings.library).is_file():
            raise KeyUnavailableError(
                f"the token's library {settings.library} is gone",
                hint="run `make token`, or correct token.toml",
            )
        _Loaded.pid = os.getpid()
        known, generation = _Loaded.environments.get(settings.library, (None, 0))
        if known == settings.environment:
            return pkcs11.lib(settings.library), generation
        finalize_library(settings.library)
        os.environ.update(settings.environment)
        try:
            library = pkcs11.lib(settings.library)
        except pkcs11.PKCS11Error as error:
            raise KeyUnavailableError(
                f"the token's library does not start: {type(error).__name__}",
                hint="run `make token` and look at the configuration file beside token.toml",
            ) from None
        _Loaded.environments[settings.library] = (dict(settings.environment), generation + 1)
        return library, generation + 1


def finalize_library(path: str) -> None:
    """End a library's life in this process, if it has one; its sessions become invalid."""
    with _LOCK:
        pkcs11 = _import_pkcs11()
        known, generation = _Loaded.environments.get(path, (None, 0))
        if known is not None:
            _Loaded.environments[path] = (None, generation)
            pkcs11.lib(path).finalize()


def _import_pkcs11() -> Any:
    try:
        import pkcs11
    except ImportError:
        raise KeyUnavailableError(
            "python-pkcs11 is not installed", hint="pip install 'quantumai[pkcs11]'"
        ) from None
    return pkcs11


def _is_current(settings: TokenSettings, generation: int) -> bool:
    if _Loaded.pid != os.getpid():
        return False
    return _Loaded.environments.get(settings.library) == (settings.environment, generation)
