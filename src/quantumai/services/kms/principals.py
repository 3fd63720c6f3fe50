"""Who calls: bearer tokens, of which a file knows only the SHA-256.

The file is TOML, readable by its owner alone, one table for each token; several may name the same
principal, so that a token can be replaced without a gap. It is read when the service starts.

    [[token]]
    sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    tenant = "default"
    principal = "alice"

A token has 256 random bits, so a fast hash is enough: there is nothing to guess.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from quantumai.bounded_reading import open_regular, shown_path
from quantumai.errors import BadInputError
from quantumai.keys.management.records import Caller
from quantumai.services.kms.problems import UnauthenticatedError

_MAX_FILE_BYTES = 2**20
_HASH = re.compile(r"[0-9a-f]{64}")
_BEARER = re.compile(r"Bearer +([A-Za-z0-9._~+/-]{1,200}=*)", re.IGNORECASE)
_PREFIX = "qaikms_"  # so that scanners find a token that was published by mistake


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    sha256: str
    tenant: str
    principal: str


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    token: tuple[_Entry, ...] = ()


@dataclass(frozen=True)
class Principals:
    """The principals of a service by the hash of their tokens."""

    entries: tuple[tuple[bytes, Caller], ...]

    @classmethod
    def of(cls, tokens: Mapping[str, Caller]) -> Principals:
        """From the tokens themselves; they are not kept."""
        return cls(tuple((_digest(token), caller) for token, caller in tokens.items()))

    def caller(self, authorization: str, request_id: str) -> Caller:
        """Who the header `Authorization` names. Raises `UnauthenticatedError`.

        Every hash is compared, each in constant time: the time taken tells nothing of the tokens.
        """
        shown = _BEARER.fullmatch(authorization)
        digest = _digest(shown[1] if shown else "")
        found = None
        for known, caller in self.entries:
            if hmac.compare_digest(known, digest):
                found = caller
        if found is None or shown is None:
            raise UnauthenticatedError(
                "no known token was sent", hint="send Authorization: Bearer and your token"
            )
        return Caller(found.tenant, found.principal, request_id, is_remote=True)


def new_token() -> str:
    """A fresh token of 256 random bits; show it once and store it nowhere."""
    return _PREFIX + secrets.token_urlsafe(32)


def token_entry(token: str, tenant: str, principal: str) -> str:
    """The table that makes `token` known, as text to append to the file.

    Raises `BadInputError` for a name that no tenant or principal can have.
    """
    caller = Caller(tenant, principal)
    return (
        f'\n[[token]]\nsha256 = "{_digest(token).hex()}"\n'
        f'tenant = "{caller.tenant}"\nprincipal = "{caller.principal}"\n'
    )


def add_principal(path: Path, tenant: str, principal: str) -> str:
    """Append a fresh token for a principal to the file, making it (0600), and return the token."""
    token = new_token()
    entry = token_entry(token, tenant, principal).encode()
    if path.exists():
        read_principals(path)
    try:
        path.parent.mkdir(0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, entry)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise BadInputError(
            f"cannot write the tokens file {shown_path(path)}: {error.strerror}"
        ) from None
    return token


def read_principals(path: Path) -> Principals:
    """Read the file. Raises `BadInputError` for a file that others may read or that is damaged."""
    with open_regular(path, "the tokens file") as stream:
        status = os.fstat(stream.fileno())
        if status.st_mode & 0o077 or status.st_uid != os.geteuid():
            raise BadInputError(
                f"the tokens file {shown_path(path)} is open to others",
                hint="it must be yours alone: chmod 600",
            )
        text = stream.read(_MAX_FILE_BYTES + 1)
    if len(text) > _MAX_FILE_BYTES:
        raise BadInputError(f"the tokens file is larger than {_MAX_FILE_BYTES} bytes")
    try:
        found = msgspec.convert(tomllib.loads(text.decode()), _File)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise BadInputError(f"the tokens file {shown_path(path)} is damaged: {error}") from None
    return Principals(tuple(_checked(found.token)))


def _checked(entries: Iterable[_Entry]) -> Iterable[tuple[bytes, Caller]]:
    seen = set()
    for number, entry in enumerate(entries, start=1):
        if not _HASH.fullmatch(entry.sha256) or entry.sha256 in seen:
            raise BadInputError(
                f"token {number} of the tokens file has no sha256 of its own",
                hint="64 lower-case hexadecimal digits, no two the same",
            )
        seen.add(entry.sha256)
        yield bytes.fromhex(entry.sha256), Caller(entry.tenant, entry.principal)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
