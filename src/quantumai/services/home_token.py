"""Giving a home a token of its own: `QAI_HOME/token/`, with a PIN that nobody typed.

The folder holds the library's configuration, its key store, the PIN (0600, unless it comes from
elsewhere) and, written last, `token.toml`: once that exists the home signs with the token. Keys are
never moved: a home that has signed with soft keys keeps them.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from quantumai.errors import BadInputError, ConflictError, KeyUnavailableError, StorageError
from quantumai.keys.providers.pkcs11_library import finalize_library
from quantumai.keys.providers.token_library import packaged_library
from quantumai.keys.providers.token_pin import PinSource
from quantumai.keys.providers.token_settings import (
    FILE_NAME,
    TokenSettings,
    read_settings,
    settings_text,
    write_settings,
)
from quantumai.keys.providers.token_setup import initialise_token
from quantumai.storage.durable_files import create_file, make_folder, replace_file, sync_folder

FOLDER = "token"
LOCK_FILE = "lock"
_LABEL = "quantumai"
_PIN_FILE = "pin"
_STORE = "store"
_PIN_BYTES = 24
DEFAULT_SLOTS = 2
_MOST_SLOTS = 64


@dataclass(frozen=True)
class _Kind:
    """How a software token is told where its store is, once or once for each slot, and what can be
    said of its validation."""

    variable: str
    configuration: str
    validation: str
    slot: str = ""

    def written(self, store: Path, slots: int) -> str:
        """The text of the configuration file."""
        lines = [self.configuration, *(self.slot.replace("{slot}", str(n)) for n in range(slots))]
        return "".join(lines).replace("{store}", str(store))


# By a word in the library's file name. Other tokens come with their vendor's tools. Each slot of
# kryoptic has a lock and a database connection of its own, on the same store.
_KINDS = {
    "kryoptic": _Kind(
        "KRYOPTIC_CONF",
        "",
        "none certified: kryoptic, a software token whose ML-KEM, ML-DSA, SLH-DSA and Ed25519 "
        "(FIPS 203, 204, 205 and 186-5) we test with vectors; no CMVP certificate is claimed",
        '[[slots]]\nslot = {slot}\ndbtype = "sqlite"\ndbargs = "{store}/token.sqlite"\n',
    ),
    "softhsm": _Kind(
        "SOFTHSM2_CONF",
        "directories.tokendir = {store}\nobjectstore.backend = file\nlog.level = ERROR\n",
        "none certified: SoftHSM2, a software token; no CMVP certificate is claimed",
    ),
}


def init_home_token(
    root: Path, library: Path | None = None, *, slots: int = DEFAULT_SLOTS, pin: str = ""
) -> TokenSettings:
    """Make and initialise the token of the home `root`; it signs from then on.

    `library` defaults to the one that `make token` built or the package `quantumai-token` brought.
    `slots` is how many calls the token works on at once, where its kind can do that. `pin` is a
    `PinSource` that gives the PIN, now and later; without one it is made here and kept in a file.
    Raises `ConflictError` if the home has a token, `BadInputError` if it has signed without one or
    the library is unknown, and `KeyUnavailableError` if the token cannot be initialised.
    """
    path = (library or default_library()).expanduser().absolute()
    kind = _kind_of(path)
    folder = root / FOLDER
    if '"' in str(folder) or "\\" in str(folder) or "\n" in str(folder):
        raise BadInputError("the home's path cannot stand in a configuration file")
    if not 1 <= slots <= _MOST_SLOTS:
        raise BadInputError(f"a token has 1 to {_MOST_SLOTS} slots here")
    source = PinSource(pin, folder) if pin else None
    request = _Request(folder, path, kind, slots if kind.slot else 1, pin, source)
    try:
        make_folder(folder, 0o700)
        folder.chmod(0o700)
        descriptor = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            _require_fresh(root)
            return _initialise(request)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StorageError(f"cannot make the token: {error.strerror}") from error


def has_token(root: Path) -> bool:
    """Whether the home signs with a token."""
    return (root / FOLDER / FILE_NAME).exists()


def move_token_in(root: Path) -> None:
    """Make a token that was brought in another folder usable there: a root's, off its disk.

    Its configuration names its store by absolute path, so both are written anew. Never for a home:
    a copy that goes on with the original's store would be noticed by nobody.
    """
    folder = root.absolute() / FOLDER
    settings = read_settings(folder, may_have_moved=True)
    if not settings.folder or Path(settings.folder).resolve() == folder.resolve():
        return
    kind = _kind_of(Path(settings.library))
    configuration = folder / "library.conf"
    text = kind.written(folder / _STORE, settings.slots if kind.slot else 1)
    moved = replace(settings, folder=str(folder), environment={kind.variable: str(configuration)})
    try:
        replace_file(configuration, text.encode(), 0o600)
        replace_file(folder / FILE_NAME, settings_text(moved), 0o600)
    except OSError as error:
        raise StorageError(f"cannot write into {folder}: {error.strerror}") from error


def default_library() -> Path:
    """The library that was built here, else the packaged one; `BadInputError` without either."""
    found = built_library() or packaged_library()
    if found is None:
        raise BadInputError(
            "no token library was built or installed here",
            hint="run `make token`, install quantumai-token, or give --library",
        )
    return found


def built_library(cache: Path | None = None) -> Path | None:
    """The library that `make token` built last, if it did."""
    base = cache or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    path = base / "quantumai" / "token" / "current" / "libkryoptic_pkcs11.so"
    return path.resolve() if path.exists() else None


@dataclass(frozen=True)
class _Request:
    """What is to be made; `source` is None for a PIN that is made too."""

    folder: Path
    library: Path
    kind: _Kind
    slots: int
    pin: str
    source: PinSource | None


def _require_fresh(root: Path) -> None:
    if has_token(root):
        raise ConflictError(
            "this home has a token already", hint="look at it with `qai kms token status`"
        )
    if (root / "keys").exists() or (root / "objects" / "ledger").exists():
        raise BadInputError(
            "this home has signed with soft keys, and keys are not moved",
            hint="set QAI_HOME to a new folder for the token",
        )


def _initialise(request: _Request) -> TokenSettings:
    folder = request.folder
    store, configuration = folder / _STORE, folder / "library.conf"
    # Left by an initialisation that was interrupted: it never signed, so nothing is lost.
    shutil.rmtree(store, ignore_errors=True)
    for name in (folder / _PIN_FILE, configuration):
        name.unlink(missing_ok=True)
    make_folder(store, 0o700)
    create_file(configuration, request.kind.written(store, request.slots).encode(), 0o600)
    if request.source is None:
        pin = secrets.token_urlsafe(_PIN_BYTES)
        create_file(folder / _PIN_FILE, pin.encode() + b"\n", 0o600)
    else:
        pin = request.source.read()
    environment = {request.kind.variable: str(configuration)}
    finalize_library(str(request.library))
    before = os.umask(0o077)
    try:
        shown = initialise_token(request.library, environment, _LABEL, pin)
    finally:
        os.umask(before)
    if shown != request.slots:
        raise KeyUnavailableError(f"{shown} slots show the token, not {request.slots}")
    sync_folder(store)
    settings = TokenSettings(
        library=str(request.library),
        label=_LABEL,
        pin=request.pin or f"file:{_PIN_FILE}",
        environment=environment,
        folder=str(folder),
        slots=request.slots,
        validation=request.kind.validation,
    )
    write_settings(folder, settings)
    return settings


def _kind_of(library: Path) -> _Kind:
    if not library.is_file():
        raise BadInputError(f"there is no library {library}", hint="give another --library")
    for word, kind in _KINDS.items():
        if word in library.name:
            return kind
    raise BadInputError(
        f"{library.name} is a token that is not initialised here",
        hint="initialise it with its vendor's tool and write token/token.toml in the home",
    )
