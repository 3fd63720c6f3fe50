"""Where a home's token is: `token.toml` and the PIN, which comes from a file or a descriptor.

The PIN never stands in an argument, an environment variable or this file, and is read again for
each login, so that no longer-lived object holds it (a descriptor can be read only once: kept).
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import msgspec

from quantumai.errors import BadInputError, KeyUnavailableError
from quantumai.keys.providers.sealing_key import require_private
from quantumai.storage.durable_files import create_file

FILE_NAME = "token.toml"
_MOST_PIN_BYTES = 255


class TokenSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A token: library path, token label, PIN source, what the library reads of the environment.

    `pin` is "file:PATH", relative to the folder of the settings, or "fd:NUMBER". `folder`, if
    given, is where the settings belong: a software token's configuration names it.
    """

    library: str
    label: str
    pin: str
    environment: dict[str, str]
    folder: str = ""


class PinSource:
    """Reads the PIN when it is needed; never shows it."""

    def __init__(self, source: str, folder: Path) -> None:
        self._kind, _, self._where = source.partition(":")
        if self._kind not in ("file", "fd") or not self._where:
            raise BadInputError(
                "the token's PIN source is not readable", hint='say "file:PATH" or "fd:NUMBER"'
            )
        if self._kind == "fd" and not self._where.isdecimal():
            raise BadInputError("the token's PIN descriptor is not a number")
        self._folder = folder
        self._from_descriptor: str | None = None

    def __repr__(self) -> str:
        return f"PinSource({self._kind}:{self._where})"

    def read(self) -> str:
        """The PIN. Raises `KeyUnavailableError` if it cannot be read or others may read it."""
        if self._kind == "fd":
            if self._from_descriptor is None:
                self._from_descriptor = self._decoded(self._descriptor_bytes())
            return self._from_descriptor
        path = self._folder / self._where
        try:
            require_private(path)
            return self._decoded(path.read_bytes())
        except OSError as error:
            raise KeyUnavailableError(
                f"cannot read the token's PIN file: {error.strerror}",
                hint="restore it, or correct token.toml",
            ) from None

    def _descriptor_bytes(self) -> bytes:
        try:
            with os.fdopen(int(self._where), "rb") as file:
                return file.read(_MOST_PIN_BYTES + 2)
        except OSError as error:
            raise KeyUnavailableError(f"cannot read the PIN: {error.strerror}") from None

    def _decoded(self, data: bytes) -> str:
        try:
            pin = data.removesuffix(b"\n").decode()
        except UnicodeDecodeError:
            pin = ""
        if not 4 <= len(pin.encode()) <= _MOST_PIN_BYTES:
            raise KeyUnavailableError(
                "the token's PIN is not 4 to 255 bytes of UTF-8", hint="restore the PIN file"
            ) from None
        return pin


def read_settings(folder: Path) -> TokenSettings:
    """Read `token.toml` in `folder`. Raises `BadInputError` if it is damaged."""
    try:
        data = tomllib.loads((folder / FILE_NAME).read_text())
        settings = msgspec.convert(data, TokenSettings)
    except (ValueError, msgspec.ValidationError) as error:
        raise BadInputError(f"{FILE_NAME}: {error}", hint="correct it, or restore it") from None
    except OSError as error:
        raise KeyUnavailableError(f"cannot read {FILE_NAME}: {error.strerror}") from None
    # A copy would go on with the original's store, unnoticed.
    if settings.folder and Path(settings.folder).resolve() != folder.resolve():
        raise KeyUnavailableError(
            f"this token was set up in {settings.folder}",
            hint="move the home back: a copy cannot sign",
        )
    return settings


def write_settings(folder: Path, settings: TokenSettings) -> bool:
    """Create `token.toml`, durably; False if there was one. Raises `OSError`."""
    lines = ["# Which token signs for this home. Written by `qai kms token init`."]
    lines += [
        f"{name} = {_quoted(getattr(settings, name))}"
        for name in ("library", "label", "pin", "folder")
    ]
    lines += ["", "[environment]"]
    lines += [f"{name} = {_quoted(value)}" for name, value in sorted(settings.environment.items())]
    return create_file(folder / FILE_NAME, "\n".join([*lines, ""]).encode(), 0o600)


def _quoted(text: str) -> str:
    # A TOML basic string takes JSON's escapes.
    return msgspec.json.encode(text).decode()
