"""Writing to the terminal: JSON on stdout, tables in 100 columns, notes on stderr.

Tables are set by hand and not by Rich, whose import alone would be a fifth of a job's CPU time.
"""

from __future__ import annotations

import json
import os
import re
import sys
import textwrap
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Any, ClassVar

from quantumai.errors import QuantumAIError

WIDTH = 100
_LONGEST_WORD, _LONGEST_LINE = 200, 2000
_BOLD, _PLAIN = "\x1b[1m", "\x1b[0m"
_HEADING = re.compile(re.escape(_BOLD) + "(.*)" + re.escape(_PLAIN))
_BEYOND_ASCII = re.compile(r"[^\n -~]")


class OutputError(QuantumAIError):
    """What was done cannot be printed or written; it is done all the same."""

    code: ClassVar[str] = "output"


class ReaderGoneError(Exception):
    """Nobody reads our stdout any more; no `OSError`, from which Click would exit with 1."""


def prepare_streams() -> None:
    """Make any text printable, whatever the locale; a closed stderr swallows what it is told."""
    if getattr(sys, "stderr", None) is None:
        # Python would print to stdout instead, in the middle of JSON.
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def show(text: str = "") -> None:
    """Print to stdout, with escapes for all but new lines and headings that steers a terminal.

    Raises `OutputError` where stdout is full, `ReaderGoneError` where nobody reads.
    """
    text = "\n".join(map(_harmless, text.split("\n")))
    try:
        print(text if _writes("±") else text.replace("±", "+/-"))  # noqa: T201
    except BrokenPipeError:
        raise ReaderGoneError from None
    except OSError as error:
        raise unwritable(error) from None


def show_bytes(data: bytes) -> None:
    """Put exactly `data`, which is UTF-8, on stdout, as into a file; errors as of `show`."""
    try:
        sys.stdout.flush()
        if hasattr(sys.stdout, "buffer"):
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        else:  # a caller who collects text
            sys.stdout.write(data.decode())
    except BrokenPipeError:
        raise ReaderGoneError from None
    except OSError as error:
        raise unwritable(error) from None


def unwritable(error: OSError) -> OutputError:
    """The error for a stdout that takes nothing, such as a full disk."""
    hint = "what the command did is done; `qai jobs list` shows the jobs"
    return OutputError(f"cannot write to stdout: {error.strerror}", hint=hint)


def show_json(value: Any) -> None:
    """Print one JSON value to stdout; NaN and infinities cannot occur in it."""
    text = json.dumps(value, indent=2, ensure_ascii=not _writes("\U0001f600"), allow_nan=False)
    show(_BEYOND_ASCII.sub(_json_escape, text))


def note(text: str) -> None:
    """Print one line to stderr: progress and remarks."""
    print_line(text)


def print_line(text: str) -> None:
    """Print `text` as one visible line to stderr. Where nobody reads it, it is lost."""
    with suppress(OSError):
        print(visible(text), file=sys.stderr, flush=True)  # noqa: T201


def visible(text: str) -> str:
    """`text` on one line, without anything that could steer a terminal, and not endlessly long.

    Control characters, marks of writing direction and lone surrogates become escapes (`\\x1b`).
    """
    words = (word if len(word) <= _LONGEST_WORD else word[:60] + "..." for word in text.split())
    line = " ".join(words)
    shown = _escaped(line)
    return shown if len(shown) <= _LONGEST_LINE else shown[: _LONGEST_LINE - 3] + "..."


def _harmless(line: str) -> str:
    if line.isprintable():
        return line
    if found := _HEADING.fullmatch(line):
        return _BOLD + _escaped(found[1]) + _PLAIN
    return _escaped(line)


def _escaped(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _json_escape(found: re.Match[str]) -> str:
    return found[0] if found[0].isprintable() else json.dumps(found[0])[1:-1]


def _writes(sign: str) -> bool:
    """Whether stdout's encoding has `sign`."""
    try:
        sign.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def heading(text: str) -> str:
    """`text` in bold where stdout is a terminal that wants it."""
    plain = not sys.stdout.isatty() or "NO_COLOR" in os.environ
    return text if plain else _BOLD + text + _PLAIN


def wrapped(text: str, indent: str = "  ") -> list[str]:
    """`text` broken into lines of at most 100 columns, each after `indent`."""
    return textwrap.wrap(
        text, WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    )


def table(
    headers: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[int] = ()
) -> list[str]:
    """Lines of a table; columns in `right` are flush right, the last one is wrapped."""
    widths = [max(len(row[i]) for row in (headers, *rows)) for i in range(len(headers) - 1)]
    # At least 24 columns for the last one, even if the line gets longer than 100.
    room = max(24, WIDTH - 2 - sum(widths) - 2 * len(widths))
    lines = []
    for row in (headers, *rows):
        cells = [
            text.rjust(width) if i in right else text.ljust(width)
            for i, (text, width) in enumerate(zip(row, widths, strict=False))
        ]
        first, *rest = textwrap.wrap(row[-1], room, break_on_hyphens=False) or [""]
        start = "  " + "".join(cell + "  " for cell in cells)
        if len(headers) - 1 in right and not rest:
            first = first.rjust(max(len(r[-1]) for r in (headers, *rows)))
        lines.append((start + first).rstrip())
        lines.extend(" " * len(start) + more for more in rest)
    return lines
