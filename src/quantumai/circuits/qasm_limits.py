"""Judges OpenQASM tokens before parsing: includes, sizes, and what a job cannot run.

The real parsers open included files, allocate what registers ask for and expand definitions;
a hostile text must be refused before that. Everything here costs time linear in the text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from quantumai.circuits.qasm_expansion import (
    QasmOutline,
    add_call,
    define_gate,
    split_statements,
)
from quantumai.circuits.qasm_tokens import Token, qasm_version, refused, tokenise
from quantumai.errors import BadInputError

MAX_QUBITS = 1000
MAX_NUMBER_CHARACTERS = 64
MAX_INTEGER_DIGITS = 15
"""Qiskit's parser panics on integers beyond a machine word."""

_INCLUDES = {2: "qelib1.inc", 3: "stdgates.inc"}
_CONTROL_FLOW = "classical control flow is not supported"
_TIMING = "explicit timing is not supported"
_STATIC = "give a circuit of gates with measurements at the end only"
_REFUSED_WORDS: dict[int, dict[str, str]] = {
    2: {
        "if": _CONTROL_FLOW,
        "reset": "reset is not supported",
        "opaque": "opaque gates have no definition to run",
    },
    3: {
        **dict.fromkeys(
            ("if", "else", "for", "while", "switch", "break", "continue", "end", "return"),
            _CONTROL_FLOW,
        ),
        **dict.fromkeys(("delay", "box", "stretch", "duration", "durationof"), _TIMING),
        **dict.fromkeys(
            ("def", "extern", "cal", "defcal", "defcalgrammar", "pragma"),
            "subroutines, calibrations and pragmas are not supported",
        ),
        "reset": "reset is not supported",
        "input": "free parameters are not supported",
        "pow": "the modifier pow is not supported",
    },
}


def outline(text: str) -> QasmOutline:
    """Check `text` against every limit and return its outline; raises `BadInputError`."""
    version = qasm_version(text)
    tokens = tokenise(text, version)
    _check_words(text, tokens, version)
    result = QasmOutline(version, num_qubits=_physical_qubits(text, tokens))
    num_clbits = 0
    for statement in split_statements(tokens):
        head = statement[0]
        if head.text in ("qreg", "creg", "qubit", "bit"):
            name, size = _declaration(text, statement)
            result.registers[name] = size
            if head.text in ("qreg", "qubit"):
                result.num_qubits += size
            else:
                num_clbits += size
            if max(result.num_qubits, num_clbits) > MAX_QUBITS:
                raise refused(text, head.offset, f"more than {MAX_QUBITS} qubits or bits")
        elif head.text == "gate":
            define_gate(text, statement, result)
        elif head.text not in ("OPENQASM", "include"):
            add_call(text, statement, result)
    if result.num_qubits == 0:
        raise BadInputError("the circuit has no qubits", hint="declare a quantum register")
    return result


def _check_words(text: str, tokens: Sequence[Token], version: Literal[2, 3]) -> None:
    words = _REFUSED_WORDS[version]
    allowed = _INCLUDES[version]
    for i, token in enumerate(tokens):
        if token.kind == "name":
            if token.text == "include":
                target = tokens[i + 1] if i + 1 < len(tokens) else token
                if target.kind != "string" or target.text[1:-1] != allowed:
                    raise refused(
                        text,
                        token.offset,
                        f"only {allowed} may be included",
                        "paste the definitions you need into the circuit",
                    )
            elif token.text in words:
                raise refused(text, token.offset, words[token.text], _STATIC)
        elif token.kind == "number":
            limit = MAX_INTEGER_DIGITS if token.text.isdigit() else MAX_NUMBER_CHARACTERS
            if len(token.text) > limit:
                raise refused(text, token.offset, "a number is too long")
        elif token.kind == "string":
            if i == 0 or tokens[i - 1].text != "include":
                raise refused(text, token.offset, "strings are not supported here")
        elif token.text == "@" and text[token.offset + 1 : token.offset + 2].isidentifier():
            raise refused(text, token.offset, "annotations are not supported")


def _physical_qubits(text: str, tokens: Sequence[Token]) -> int:
    """One more than the highest OpenQASM 3 physical qubit `$n`; `$n` becomes qubit n."""
    count = 0
    for token in tokens:
        if token.text[0] == "$":
            digits = token.text[1:]
            if len(digits) > MAX_INTEGER_DIGITS or int(digits) >= MAX_QUBITS:
                raise refused(text, token.offset, f"more than {MAX_QUBITS} qubits or bits")
            count = max(count, int(digits) + 1)
    return count


def _declaration(text: str, statement: Sequence[Token]) -> tuple[str, int]:
    """Name and size of a register; sizes must be plain numbers so that they can be judged."""
    head, rest = statement[0], [token.text for token in statement[1:]]
    if head.text in ("qreg", "creg") and len(rest) >= 4 and rest[1] == "[" and rest[3] == "]":
        name, size = rest[0], rest[2]
    elif len(rest) >= 4 and rest[0] == "[" and rest[2] == "]":
        name, size = rest[3], rest[1]
    elif rest and rest[0] != "[":
        name, size = rest[0], "1"
    else:
        name, size = "", ""
    if not (size.isascii() and size.isdigit()) or len(size) > 18:
        raise refused(text, head.offset, "a register's size must be a plain number", "such as q[4]")
    return name, int(size)
