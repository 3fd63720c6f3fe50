"""The key-encryption key of the soft provider: a random 0600 file, or scrypt of a passphrase.

One file, `key-encryption.json`, made once: it holds either the random key itself or the salt and
cost of scrypt (RFC 7914), and a check value, so that a wrong passphrase is noticed before use.
"""

from __future__ import annotations

import re
import secrets
import stat
from pathlib import Path

import msgspec

from quantumai.canonical import canonical_json
from quantumai.errors import KeyUnavailableError
from quantumai.storage.durable_files import create_file

FILE_NAME = "key-encryption.json"
# A sealed key, in the folder of its name: the version with at least four digits.
VERSION_FILE = re.compile(r"(?!0000)(\d{4}|[1-9]\d{4,5})\.json")
_CHECK_TEXT = b"quantumai key-encryption key v1"
_SCRYPT_LOG2_N = 17


class _KeyFile(msgspec.Struct, frozen=True, tag_field="kind", tag="key-file"):
    key: bytes

    def __repr__(self) -> str:
        return "<random key-encryption key>"


class _Scrypt(msgspec.Struct, frozen=True, tag_field="kind", tag="scrypt"):
    n: int
    r: int
    p: int
    salt: bytes
    check_nonce: bytes
    check: bytes

    def __repr__(self) -> str:
        return "<scrypt parameters>"


def open_key_encryption_key(folder: Path, passphrase: bytes | None) -> bytes:
    """Return the folder's 32-byte key-encryption key, making it on first use.

    Raises `KeyUnavailableError` for a wrong or missing passphrase, a damaged file, one that others
    may read, or one that is missing though keys were sealed with it, and `OSError` when the disk
    fails.
    """
    path = folder / FILE_NAME
    if not path.exists():
        require_key_encryption_file(folder)
        create_file(path, _fresh(passphrase), 0o600)
    require_private(path)
    try:
        form = msgspec.json.decode(path.read_bytes(), type=_KeyFile | _Scrypt)
    except msgspec.MsgspecError:
        raise KeyUnavailableError(
            f"the key-encryption file {path.name} is damaged", hint="restore it from a backup"
        ) from None
    if isinstance(form, _KeyFile):
        if passphrase is not None:
            raise KeyUnavailableError(
                "these keys are kept without a passphrase", hint="open them without one"
            )
        if len(form.key) != 32:
            raise KeyUnavailableError(f"the key-encryption file {path.name} is damaged")
        return form.key
    if passphrase is None:
        raise KeyUnavailableError("these keys need a passphrase", hint="give the passphrase")
    return _derive_checked(form, passphrase)


def require_key_encryption_file(folder: Path) -> None:
    """Raise `KeyUnavailableError` if keys are sealed in `folder` and what sealed them is gone.

    A fresh key-encryption key would open none of them.
    """
    sealed = any(VERSION_FILE.fullmatch(path.name) for path in folder.glob("*/*.json"))
    # Looked at in this order: who made the sealed key had made the key-encryption file before.
    if sealed and not (folder / FILE_NAME).exists():
        raise KeyUnavailableError(
            f"the key-encryption file {FILE_NAME} is missing",
            hint=f"restore {FILE_NAME} in the keys folder from a backup",
        )


def require_private(path: Path) -> None:
    """Raise `KeyUnavailableError` if anyone but the owner may read or write `path`."""
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise KeyUnavailableError(
            f"the key file {path.name} is open to other users", hint="chmod 600 it and rotate"
        )


def _fresh(passphrase: bytes | None) -> bytes:
    if passphrase is None:
        return _encode(_KeyFile(secrets.token_bytes(32)))
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    form = _Scrypt(1 << _SCRYPT_LOG2_N, 8, 1, secrets.token_bytes(16), secrets.token_bytes(12), b"")
    sealed = AESGCM(_derive(form, passphrase)).encrypt(form.check_nonce, _CHECK_TEXT, _costs(form))
    return _encode(msgspec.structs.replace(form, check=sealed))


def _derive_checked(form: _Scrypt, passphrase: bytes) -> bytes:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    # Bounds first: a damaged file must not make us ask for a terabyte of memory.
    if not (2**14 <= form.n <= 2**20 and form.r == 8 and 1 <= form.p <= 4):
        raise KeyUnavailableError("the scrypt cost in the key-encryption file is out of bounds")
    key = _derive(form, passphrase)
    try:
        AESGCM(key).decrypt(form.check_nonce, form.check, _costs(form))
    except (InvalidTag, ValueError):
        raise KeyUnavailableError(
            "wrong passphrase, or the key-encryption file is damaged"
        ) from None
    return key


def _derive(form: _Scrypt, passphrase: bytes) -> bytes:
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    return Scrypt(salt=form.salt, length=32, n=form.n, r=form.r, p=form.p).derive(passphrase)


def _costs(form: _Scrypt) -> bytes:
    return b"scrypt:%d:%d:%d:" % (form.n, form.r, form.p) + form.salt


def _encode(form: _KeyFile | _Scrypt) -> bytes:
    return canonical_json(msgspec.to_builtins(form))
