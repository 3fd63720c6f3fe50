"""Where a home's token is: `token.toml`. The PIN does not stand in it, only where it comes from."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated

import msgspec

from quantumai.errors import BadInputError, KeyUnavailableError
from quantumai.storage.durable_files import create_file

FILE_NAME = "token.toml"
NOT_STATED = f"not stated: write `validation` into {FILE_NAME}"
_VALIDATION = re.compile(r"[ -~]{0,300}")


class TokenSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A token: library path, token label, PIN source, what the library reads of the environment.

    `pin` is what `PinSource` takes. `folder`, if given, is where the settings belong: a software
    token's configuration names it. `slots` is how many sessions work at once; they are spread over
    the slots that show the token, so one each where the library shows it that often. `validation`
    is what stands behind the token, in words that key events and manifests repeat: one line of at
    most 300 printable ASCII characters.
    """

    library: str
    label: str
    pin: str
    environment: dict[str, str]
    folder: str = ""
    slots: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    validation: str = ""

    def __post_init__(self) -> None:
        if not _VALIDATION.fullmatch(self.validation):
            raise ValueError("validation is one line of at most 300 printable ASCII characters")

    def stated_validation(self) -> str:
        """What stands behind the token, or that nobody has said it."""
        return self.validation.strip() or NOT_STATED


def read_settings(folder: Path, *, may_have_moved: bool = False) -> TokenSettings:
    """Read `token.toml` in `folder`.

    Raises `BadInputError` if it is damaged, and `KeyUnavailableError` if others may write it (it
    names a library that is loaded, and maybe a command that is run) or if it belongs elsewhere.
    """
    path = folder / FILE_NAME
    try:
        if path.stat().st_mode & 0o022:
            raise KeyUnavailableError(
                f"{FILE_NAME} can be written by other users", hint=f"chmod 600 {FILE_NAME}"
            )
        data = tomllib.loads(path.read_text())
        settings = msgspec.convert(data, TokenSettings)
    except (ValueError, msgspec.ValidationError) as error:
        raise BadInputError(f"{FILE_NAME}: {error}", hint="correct it, or restore it") from None
    except OSError as error:
        raise KeyUnavailableError(f"cannot read {FILE_NAME}: {error.strerror}") from None
    # A copy would go on with the original's store, unnoticed.
    moved = settings.folder and Path(settings.folder).resolve() != folder.resolve()
    if moved and not may_have_moved:
        raise KeyUnavailableError(
            f"this token was set up in {settings.folder}",
            hint="move the home back: a copy cannot sign",
        )
    return settings


def write_settings(folder: Path, settings: TokenSettings) -> bool:
    """Create `token.toml`, durably; False if there was one. Raises `OSError`."""
    return create_file(folder / FILE_NAME, settings_text(settings), 0o600)


def settings_text(settings: TokenSettings) -> bytes:
    """The text of `token.toml`."""
    lines = ["# Which token signs for this home. Written by `qai kms token init`."]
    lines += [
        f"{name} = {_quoted(getattr(settings, name))}"
        for name in ("library", "label", "pin", "folder")
    ]
    lines += [f"slots = {settings.slots}"]
    if settings.validation:
        lines += [f"validation = {_quoted(settings.validation)}"]
    lines += ["", "[environment]"]
    lines += [f"{name} = {_quoted(value)}" for name, value in sorted(settings.environment.items())]
    return "\n".join([*lines, ""]).encode()


def _quoted(text: str) -> str:
    # A TOML basic string takes JSON's escapes.
    return msgspec.json.encode(text).decode()
