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
MAX_OPERATORS = 1000
"""In one statement: the parsers recurse on them, and Qiskit's crashes the process at 300,000."""
MAX_SEMICOLONS = 110_000
"""Above what a circuit of the most operations and registers needs; counted before all else."""
MAX_STATEMENT_TOKENS = 20_000
"""A barrier on a thousand qubits, each by name, has 5,000."""
MAX_QASM3_TOKENS = 100_000
"""The OpenQASM 3 parser is Python and needs about 30 microseconds a token."""

# Atomic groups, (?>...): what was skipped is never tried in another way, which would take time
# exponential in its length.
_SPACE = r"[ \t\r\n]+|//[^\n]*"
_SPACE_OR_BLOCK = _SPACE + r"|/\*.*?\*/"
_TOKEN = (
    r"(?:(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[^\W\d]\w*|\$[0-9]+)"
    r"""|(?P<string>"[^"\n]*"|'[^'\n]*')"""
    r"|(?P<block>/\*)"
    r"|(?P<symbol>->|==|[-;,()\[\]{}+*/^=@:<>!&|~%])"
    r"|(?P<end>\Z)|(?P<unexpected>.))"
)
_TOKENS = {
    version: re.compile(f"(?>(?:{skipped})*)" + _TOKEN, re.DOTALL)
    for version, skipped in ((2, _SPACE), (3, _SPACE_OR_BLOCK))
}
_VERSION = re.compile(
    f"(?>(?:{_SPACE_OR_BLOCK})*)OPENQASM" + r"[ \t\r\n]+([23])(?:\.[0-9]+)?[ \t]*;", re.DOTALL
)
_BLOCK = {
    2: ("OpenQASM 2 has no /* */ comments", "use // comments"),
    3: ("a /* comment is not closed", ""),
}
_OPENED = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}
_OPERATORS = frozenset("+-*/^!~%&|<>")
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
    return 2 if match.group(1) == "2" else 3


def tokenise(text: str, version: Literal[2, 3]) -> list[Token]:
    """All tokens of `text` in order, comments and spaces left out.

    Raises `BadInputError` at the first one too many or too deep: what comes after costs nothing.
    """
    if lone := _LONE_RETURN.search(text):
        raise refused(text, lone.start(), "a carriage return without a line feed")
    if text.count(";") > MAX_SEMICOLONS:
        raise BadInputError(
            f"the circuit has more than {MAX_SEMICOLONS} semicolons",
            hint="split the circuit, or write repeated parts as gate definitions",
        )
    most_tokens = MAX_QASM3_TOKENS if version == 3 else len(text)
    tokens: list[Token] = []
    open_brackets = operators = statement = 0
    for match in _TOKENS[version].finditer(text):
        kind = match.lastgroup or ""
        found, offset = match[kind], match.start(kind)
        if kind == "symbol":
            open_brackets += _OPENED.get(found, 0)
            operators += found in _OPERATORS
            if found == ";":
                operators, statement = 0, len(tokens)
            elif open_brackets > MAX_NESTING:
                raise refused(text, offset, "brackets are nested too deeply")
            elif operators > MAX_OPERATORS:
                raise refused(text, offset, f"more than {MAX_OPERATORS} operators in a statement")
        elif kind == "end":
            break
        elif kind == "block":
            raise refused(text, offset, *_BLOCK[version])
        elif kind == "unexpected":
            raise refused(text, offset, f"unexpected character {found!r}")
        if len(tokens) - statement > MAX_STATEMENT_TOKENS:
            raise refused(text, offset, "a statement is too long")
        if len(tokens) == most_tokens:
            raise BadInputError(
                f"OpenQASM 3 text has more than {MAX_QASM3_TOKENS} tokens",
                hint="OpenQASM 2 is read faster: use it for circuits of this size",
            )
        tokens.append(Token(kind, found, offset))
    return tokens
