"""Where a token's PIN comes from: a private file, a file descriptor or a command.

The PIN never stands in an argument, an environment variable or the settings, and is read again for
each login, so that no longer-lived object holds it (a descriptor can be read only once: kept).
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from pathlib import Path

from quantumai.errors import BadInputError, KeyUnavailableError
from quantumai.keys.providers.sealing_key import require_private

_MOST_PIN_BYTES = 255
_KINDS = ("file", "fd", "command")


class PinSource:
    """Reads the PIN when it is needed; never shows it.

    `source` is "file:PATH", relative to `folder`, "fd:NUMBER", or "command:WORDS": a program and
    its arguments, quoted as for a shell but run without one, in `folder`. Its first line of output
    is the PIN; it has `command_s` seconds. Raises `BadInputError` for anything else.
    """

    def __init__(self, source: str, folder: Path, command_s: float = 20.0) -> None:
        self._kind, _, self._where = source.partition(":")
        if self._kind not in _KINDS or not self._where.strip():
            raise BadInputError(
                "the token's PIN source is not readable",
                hint='say "file:PATH", "fd:NUMBER" or "command:PROGRAM ARGUMENTS"',
            )
        if self._kind == "fd" and not self._where.isdecimal():
            raise BadInputError("the token's PIN descriptor is not a number")
        self._words = _words(self._where) if self._kind == "command" else []
        self._folder = folder
        self._command_s = command_s
        self._from_descriptor: str | None = None

    def __repr__(self) -> str:
        # A command's arguments may say more than they should.
        where = self._words[0] if self._words else self._where
        return f"PinSource({self._kind}:{where})"

    def read(self) -> str:
        """The PIN. Raises `KeyUnavailableError` if it cannot be read or others may read it."""
        if self._kind == "fd":
            if self._from_descriptor is None:
                self._from_descriptor = _decoded(self._descriptor_bytes())
            return self._from_descriptor
        return _decoded(self._command_line() if self._words else self._file_bytes())

    def _file_bytes(self) -> bytes:
        path = self._folder / self._where
        hint = "restore it, or correct token.toml"
        try:
            if path.exists() and not path.is_file():
                raise KeyUnavailableError("the token's PIN file is no regular file", hint=hint)
            require_private(path)
            return path.read_bytes()
        except OSError as error:
            raise KeyUnavailableError(
                f"cannot read the token's PIN file: {error.strerror}", hint=hint
            ) from None

    def _descriptor_bytes(self) -> bytes:
        try:
            with os.fdopen(int(self._where), "rb") as file:
                return file.read(_MOST_PIN_BYTES + 2)
        except OSError as error:
            raise KeyUnavailableError(f"cannot read the PIN: {error.strerror}") from None

    def _command_line(self) -> bytes:
        # Whatever it prints may hold the PIN: nothing of it reaches a log or an exception.
        hint = "run the command of token.toml by hand"
        try:
            process = subprocess.Popen(
                self._words,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                # A group of its own, to end what it starts as well.
                start_new_session=True,
            )
        except OSError as error:
            raise KeyUnavailableError(
                f"the PIN command does not run: {error.strerror}", hint=hint
            ) from None
        with process:
            try:
                output, _ = process.communicate(timeout=self._command_s)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                raise KeyUnavailableError(
                    f"the PIN command gave no answer in {self._command_s:g} s", hint=hint
                ) from None
        if process.returncode != 0:
            raise KeyUnavailableError(f"the PIN command failed ({process.returncode})", hint=hint)
        return output.partition(b"\n")[0]


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        raise BadInputError("the PIN command's quotes do not match") from None


def _decoded(data: bytes) -> str:
    try:
        pin = data.removesuffix(b"\n").decode()
    except UnicodeDecodeError:
        pin = ""
    if not 4 <= len(pin.encode()) <= _MOST_PIN_BYTES:
        raise KeyUnavailableError(
            "the token's PIN is not 4 to 255 bytes of UTF-8", hint="restore the PIN"
        ) from None
    return pin
