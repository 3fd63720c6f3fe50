"""Writing to the terminal: JSON on stdout, tables in 100 columns, notes on stderr.

Tables are set by hand and not by Rich, whose import alone would be a fifth of a job's CPU time.
"""

from __future__ import annotations

import json
import os
import sys
import textwrap
from collections.abc import Collection, Sequence
from typing import Any

WIDTH = 100


def show(text: str = "") -> None:
    """Print to stdout."""
    print(text)  # noqa: T201


def show_json(value: Any) -> None:
    """Print one JSON value to stdout; NaN and infinities cannot occur in it."""
    show(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def note(text: str) -> None:
    """Print one line to stderr: progress and remarks."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def heading(text: str) -> str:
    """`text` in bold where stdout is a terminal that wants it."""
    plain = not sys.stdout.isatty() or "NO_COLOR" in os.environ
    return text if plain else f"\x1b[1m{text}\x1b[0m"


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
