"""Counts what OpenQASM gate definitions expand to, without expanding them.

A few nested definitions can stand for more gates than memory holds ("billion laughs").
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from quantumai.circuits.qasm_tokens import MAX_NESTING, Token, refused

MAX_OPERATIONS = 100_000

# A control turns each gate of a definition into several; generous for what Qiskit writes.
_CONTROL_FACTOR = 16


@dataclass
class QasmOutline:
    """What can be told about a text without parsing it.

    `operations` counts every gate after full expansion of definitions and registers, and each
    definition used on the way.
    """

    version: Literal[2, 3]
    registers: dict[str, int] = field(default_factory=dict)
    num_qubits: int = 0
    operations: int = 0
    gate_costs: dict[str, int] = field(default_factory=dict)
    gate_depths: dict[str, int] = field(default_factory=dict)


def split_statements(tokens: Sequence[Token]) -> Iterator[Sequence[Token]]:
    """Split at semicolons; a gate definition is one statement up to its closing brace."""
    start = 0
    braces = 0
    for i, token in enumerate(tokens):
        is_gate = tokens[start].text == "gate"
        if is_gate and token.text == "{":
            braces += 1
        elif is_gate and token.text == "}":
            braces -= 1
            if braces <= 0:
                yield tokens[start : i + 1]
                start, braces = i + 1, 0
        elif token.text == ";" and braces == 0:
            if i > start:
                yield tokens[start:i]
            start = i + 1
    if start < len(tokens):
        yield tokens[start:]


def define_gate(text: str, statement: Sequence[Token], known: QasmOutline) -> None:
    """Count what one use of a gate definition expands to, itself included."""
    head = statement[0]
    opening = next((i for i, token in enumerate(statement) if token.text == "{"), None)
    if opening is None or len(statement) < 3:
        raise refused(text, head.offset, "a gate definition has no body")
    cost, depth = 1, 0
    for inner in split_statements(statement[opening + 1 : -1]):
        inner_cost, inner_depth = _cost(inner, known, broadcast=False)
        cost += inner_cost
        depth = max(depth, inner_depth)
    _check_cost(text, head, cost)
    if depth + 1 > MAX_NESTING:
        raise refused(text, head.offset, f"gate definitions nest deeper than {MAX_NESTING}")
    name = statement[1].text
    known.gate_costs[name] = max(cost, known.gate_costs.get(name, 0))
    known.gate_depths[name] = max(depth + 1, known.gate_depths.get(name, 0))


def add_call(text: str, statement: Sequence[Token], known: QasmOutline) -> None:
    """Count what one gate call of the main program expands to; raises above the limit."""
    cost, _ = _cost(statement, known, broadcast=True)
    known.operations += cost
    _check_cost(text, statement[0], known.operations)


def _check_cost(text: str, head: Token, cost: int) -> None:
    if cost > MAX_OPERATIONS:
        raise refused(text, head.offset, f"more than {MAX_OPERATIONS} operations after expansion")


def _cost(statement: Sequence[Token], known: QasmOutline, *, broadcast: bool) -> tuple[int, int]:
    """Operations that a gate call expands to, and how deep its definitions nest."""
    factor = 1
    i = 0
    while i < len(statement) and statement[i].text in ("ctrl", "negctrl", "inv"):
        controls = 0 if statement[i].text == "inv" else 1
        i += 1
        if i < len(statement) and statement[i].text == "(":
            end = _closing(statement, i)
            number = statement[i + 1].text if end == i + 2 else ""
            # An unreadable count of controls is taken as too many.
            controls *= min(int(number), 9) if number.isdigit() else 9
            i = end + 1
        factor *= _CONTROL_FACTOR**controls
        i += 1  # the @
    if i >= len(statement):
        return factor, 0
    name = statement[i].text
    cost = factor * known.gate_costs.get(name, 1)
    width = _width(statement[i + 1 :], known) if broadcast else 1
    return cost * width, known.gate_depths.get(name, 0)


def _closing(statement: Sequence[Token], opening: int) -> int:
    depth = 0
    for i in range(opening, len(statement)):
        if statement[i].text == "(":
            depth += 1
        elif statement[i].text == ")":
            depth -= 1
            if depth == 0:
                return i
    return len(statement)


def _width(arguments: Sequence[Token], known: QasmOutline) -> int:
    """How often a call is repeated because an argument names several qubits."""
    width = 1
    has_parameters = bool(arguments) and arguments[0].text == "("
    first = _closing(arguments, 0) + 1 if has_parameters else 0
    for at in range(first, len(arguments)):
        token = arguments[at]
        if token.kind != "name" or token.text == "measure" or token.text[0] == "$":
            continue
        if not _is_indexed(arguments, at):
            width = max(width, known.registers.get(token.text, known.num_qubits))
    return width


def _is_indexed(arguments: Sequence[Token], at: int) -> bool:
    """Whether one qubit of the register at `at` is named, as in `q[3]`."""
    return (
        at + 3 < len(arguments)
        and arguments[at + 1].text == "["
        and arguments[at + 2].text.isdigit()
        and arguments[at + 3].text == "]"
    )
