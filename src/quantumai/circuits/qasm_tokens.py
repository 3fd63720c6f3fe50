"""Splits OpenQASM text into tokens, so that it can be judged before a real parser sees it.

Deliberately stricter than the parsers: whatever they could read differently from us (a lone
carriage return, a pragma, a block comment in OpenQASM 2) is refused, so nothing can hide in it.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from quantumai.errors import BadInputError

MAX_SOURCE_BYTES = 1_000_000
MAX_MESSAGE_CHARACTERS = 200
MAX_NESTING = 64
"""Deepest chain of gate definitions, and of brackets."""
MAX_QASM3_TOKENS = 100_000
"""The OpenQASM 3 parser is Python and needs about 30 microseconds a token."""

_SKIPPED = r"(?P<skipped>(?:[ \t\r\n]+|//[^\n]*|/\*.*?\*/)+)"
_TOKEN = re.compile(
    _SKIPPED + r"|(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[^\W\d]\w*|\$[0-9]+)"
    r"""|(?P<string>"[^"\n]*"|'[^'\n]*')"""
    r"|(?P<symbol>->|==|[-;,()\[\]{}+*/^=@:<>!&|~%])",
    re.DOTALL,
)
_VERSION = re.compile(
    f"(?:{_SKIPPED})?" + r"OPENQASM[ \t\r\n]+([23])(?:\.[0-9]+)?[ \t]*;", re.DOTALL
)
_OPENED = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}
_LONE_RETURN = re.compile(r"\r(?!\n)")


class Token(NamedTuple):
    """One token: its kind ("name", "number", "string", "symbol"), text and offset."""

    kind: str
    text: str
    offset: int


def one_line(message: str) -> str:
    """`message` without line breaks or control characters, cut to 200 characters."""
    flat = " ".join("".join(c if c.isprintable() else " " for c in message).split())
    if len(flat) <= MAX_MESSAGE_CHARACTERS:
        return flat
    return flat[: MAX_MESSAGE_CHARACTERS - 3] + "..."


def refused(text: str, offset: int, what: str, hint: str = "") -> BadInputError:
    """The error for something at `offset` of `text`, with its line number."""
    line = text.count("\n", 0, offset) + 1
    return BadInputError(one_line(f"line {line}: {what}"), hint=hint)


def check_size(num_bytes: int) -> None:
    """Raise `BadInputError` when a source is larger than `MAX_SOURCE_BYTES`."""
    if num_bytes > MAX_SOURCE_BYTES:
        raise BadInputError(
            f"circuit text is larger than {MAX_SOURCE_BYTES} bytes",
            hint="split the circuit, or write repeated parts as gate definitions",
        )


def qasm_version(text: str) -> Literal[2, 3]:
    """The language version that the leading `OPENQASM` line states."""
    match = _VERSION.match(text)
    if match is None:
        raise BadInputError(
            "not an OpenQASM 2 or 3 circuit",
            hint="the text must begin with 'OPENQASM 2.0;' or 'OPENQASM 3.0;'",
        )
    return 2 if match.group(2) == "2" else 3


def tokenise(text: str, version: Literal[2, 3]) -> list[Token]:
    """All tokens of `text` in order, comments and spaces left out.

    Raises `BadInputError` at the first one too many or too deep: what comes after costs nothing.
    """
    if lone := _LONE_RETURN.search(text):
        raise refused(text, lone.start(), "a carriage return without a line feed")
    tokens: list[Token] = []
    offset = open_brackets = 0
    while offset < len(text):
        match = _TOKEN.match(text, offset)
        if match is None:
            raise refused(text, offset, f"unexpected character {text[offset]!r}")
        kind = match.lastgroup or ""
        if kind != "skipped":
            tokens.append(token := Token(kind, match.group(), offset))
            open_brackets += _OPENED.get(token.text, 0)
            if open_brackets > MAX_NESTING:
                raise refused(text, offset, "brackets are nested too deeply")
            if version == 3 and len(tokens) > MAX_QASM3_TOKENS:
                raise BadInputError(
                    f"OpenQASM 3 text has more than {MAX_QASM3_TOKENS} tokens",
                    hint="OpenQASM 2 is read faster: use it for circuits of this size",
                )
        elif version == 2 and _has_block_comment(match.group()):
            raise refused(text, offset, "OpenQASM 2 has no /* */ comments", "use // comments")
        offset = match.end()
    return tokens


def _has_block_comment(skipped: str) -> bool:
    return any(line.lstrip().startswith("/*") for line in skipped.split("\n"))
