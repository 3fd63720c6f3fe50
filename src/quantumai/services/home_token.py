"""Giving a home a token of its own: `QAI_HOME/token/`, with a PIN that nobody typed.

The folder holds the library's configuration, its key store, the PIN (0600) and, written last,
`token.toml`: once that exists the home signs with the token. Keys are never moved: a home that
has signed with soft keys keeps them.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from quantumai.errors import BadInputError, ConflictError, StorageError
from quantumai.keys.providers.pkcs11_token import finalize_library
from quantumai.keys.providers.token_settings import FILE_NAME, TokenSettings, write_settings
from quantumai.keys.providers.token_setup import initialise_token
from quantumai.storage.durable_files import create_file, make_folder, sync_folder

FOLDER = "token"
LOCK_FILE = "lock"
_LABEL = "quantumai"
_PIN_FILE = "pin"
_STORE = "store"
_PIN_BYTES = 24


@dataclass(frozen=True)
class _Kind:
    """How a software token is told where its store is."""

    variable: str
    configuration: str


# By a word in the library's file name. Other tokens come with their vendor's tools.
_KINDS = {
    "kryoptic": _Kind(
        "KRYOPTIC_CONF", '[[slots]]\nslot = 0\ndbtype = "sqlite"\ndbargs = "{store}/token.sqlite"\n'
    ),
    "softhsm": _Kind(
        "SOFTHSM2_CONF",
        "directories.tokendir = {store}\nobjectstore.backend = file\nlog.level = ERROR\n",
    ),
}


def init_home_token(root: Path, library: Path | None = None) -> TokenSettings:
    """Make and initialise the token of the home `root`; it signs from then on.

    `library` defaults to the one that `make token` built. Raises `ConflictError` if the home has a
    token, `BadInputError` if it has signed without one or the library is unknown, and
    `KeyUnavailableError` if the token cannot be initialised.
    """
    path = (library or built_library()).expanduser().absolute()
    kind = _kind_of(path)
    folder = root / FOLDER
    if '"' in str(folder) or "\\" in str(folder) or "\n" in str(folder):
        raise BadInputError("the home's path cannot stand in a configuration file")
    try:
        make_folder(folder, 0o700)
        folder.chmod(0o700)
        descriptor = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            return _initialise(root, folder, path, kind)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StorageError(f"cannot make the token: {error.strerror}") from error


def has_token(root: Path) -> bool:
    """Whether the home signs with a token."""
    return (root / FOLDER / FILE_NAME).exists()


def built_library(cache: Path | None = None) -> Path:
    """The library that `make token` built last. Raises `BadInputError` if there is none."""
    base = cache or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    path = base / "quantumai" / "token" / "current" / "libkryoptic_pkcs11.so"
    if not path.exists():
        raise BadInputError(
            "no token library was built here", hint="run `make token`, or give --library"
        )
    return path.resolve()


def _initialise(root: Path, folder: Path, library: Path, kind: _Kind) -> TokenSettings:
    if has_token(root):
        raise ConflictError(
            "this home has a token already", hint="look at it with `qai kms token status`"
        )
    if (root / "keys").exists() or (root / "objects" / "ledger").exists():
        raise BadInputError(
            "this home has signed with soft keys, and keys are not moved",
            hint="set QAI_HOME to a new folder for the token",
        )
    # Left by an initialisation that was interrupted: it never signed, so nothing is lost.
    shutil.rmtree(folder / _STORE, ignore_errors=True)
    for name in (_PIN_FILE, "library.conf"):
        (folder / name).unlink(missing_ok=True)
    store = folder / _STORE
    make_folder(store, 0o700)
    configuration = folder / "library.conf"
    create_file(configuration, kind.configuration.format(store=store).encode(), 0o600)
    pin = secrets.token_urlsafe(_PIN_BYTES)
    create_file(folder / _PIN_FILE, pin.encode() + b"\n", 0o600)
    environment = {kind.variable: str(configuration)}
    finalize_library(str(library))
    before = os.umask(0o077)
    try:
        initialise_token(library, environment, _LABEL, pin)
    finally:
        os.umask(before)
    sync_folder(store)
    settings = TokenSettings(str(library), _LABEL, f"file:{_PIN_FILE}", environment, str(folder))
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
