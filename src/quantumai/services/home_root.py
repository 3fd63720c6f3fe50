"""The root of a home: its token is in a folder that is kept elsewhere and is normally off line.

The home notes the root's public half in `root.json`, once. Whoever brings the folder back has to
bring the very token that was made then.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from quantumai.errors import (
    BadInputError,
    ConflictError,
    KeyUnavailableError,
    NotFoundError,
    StorageError,
)
from quantumai.keys.algorithms import PublicKey
from quantumai.keys.management.root import ROOT_ALGORITHM, ROOT_HANDLE, RootKey, make_root
from quantumai.keys.providers.port import KeyProvider
from quantumai.keys.providers.token_settings import read_settings
from quantumai.services.home_token import FOLDER, has_token, init_home_token, move_token_in
from quantumai.services.wiring import open_token_keys
from quantumai.storage.durable_files import create_file, make_folder

FILE_NAME = "root.json"


def init_root(root: Path, folder: Path, library: Path | None = None, pin: str = "") -> PublicKey:
    """Make a token in `folder`, the root key in it, and note that in the home `root`.

    What is there already is taken: killed on its way, the same call goes on. `pin` is a
    `PinSource`; without one the PIN is made here and kept in `folder`, beside the root. Raises
    `ConflictError` if the home has a root, `BadInputError` for a folder inside the home and for a
    token there with another `pin`, and as `init_home_token` does.
    """
    if (root / FILE_NAME).exists():
        raise ConflictError("this home has a root already", hint="look at `qai kms root show`")
    if folder.absolute().resolve().is_relative_to(root.resolve()):
        raise BadInputError(
            "the root's token must not lie in the home", hint="name a folder that can be taken away"
        )
    folder = folder.absolute()
    if not has_token(folder):
        init_home_token(folder, library, slots=1, pin=pin)
    elif pin and read_settings(folder / FOLDER).pin != pin:
        raise BadInputError(
            "the token in that folder was made with another PIN source",
            hint="leave --pin out to go on with it, or name a new folder",
        )
    public = _root_in(open_token_keys(folder))
    try:
        make_folder(root, 0o700)
        made = create_file(root / FILE_NAME, msgspec.json.encode(public), 0o600)
    except OSError as error:
        raise StorageError(f"cannot write {FILE_NAME}: {error.strerror}") from error
    if not made:
        raise ConflictError("another process has made this home's root")
    return public


def _root_in(keys: KeyProvider) -> PublicKey:
    """The root in a token, made unless a call that was killed has left it there."""
    try:
        public = keys.find(ROOT_HANDLE).public_key.check()
    except NotFoundError:
        return make_root(keys)
    if public.algorithm != ROOT_ALGORITHM:
        raise ConflictError(f"the root in that token is no {ROOT_ALGORITHM} key")
    return public


def root_public_key(root: Path) -> PublicKey:
    """The root's public half. Raises `NotFoundError` if the home has no root."""
    try:
        return msgspec.json.decode((root / FILE_NAME).read_bytes(), type=PublicKey).check()
    except FileNotFoundError:
        raise NotFoundError(
            "this home has no root", hint="make one: qai kms root init FOLDER"
        ) from None
    except msgspec.MsgspecError as error:
        raise BadInputError(f"{FILE_NAME}: {error}", hint="restore it from a backup") from None
    except OSError as error:
        raise KeyUnavailableError(f"cannot read {FILE_NAME}: {error.strerror}") from None


def open_root(root: Path, folder: Path) -> RootKey:
    """The root, with its token brought to `folder`."""
    public = root_public_key(root)
    if not has_token(folder):
        raise NotFoundError(
            "there is no root token in that folder", hint="name the folder of `qai kms root init`"
        )
    move_token_in(folder)
    return RootKey(open_token_keys(folder.absolute()), public)
