"""Observables of a recorded run: their names in words, and what a Pauli string among them implies.

A name that has only the letters I, X, Y and Z is a Pauli string, the rightmost letter being qubit
0. Any other text is a name of its maker's own, such as "Z0" or "energy".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

from quantumai.errors import BadInputError
from quantumai.jobs.run_data import ExpectationValue
from quantumai.provenance.statements.plain_json import plain_json
from quantumai.sdk.arguments import shown
from quantumai.sdk.foreign import is_a

_LONGEST_NAME = 10_000
_HINT = 'give a list of Pauli strings, such as ["ZZI"]'
_ROUNDING = 1e-9


def observable_names(observables: Any) -> list[str]:
    """The names of a list of observables, each once; Pauli strings have one width.

    Raises `BadInputError`.
    """
    one = isinstance(observables, str) or is_a(observables, "qiskit", "SparsePauliOp")
    if one or isinstance(observables, Mapping | Set) or not isinstance(observables, Iterable):
        raise BadInputError(f"observables are a list, not {shown(observables)}", hint=_HINT)
    names = [_name(each) for each in observables]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise BadInputError(f"observable {twice[:40]!r} is given twice")
    if len({len(name) for name in names if is_pauli(name)}) > 1:
        raise BadInputError(
            "Pauli strings of one result differ in width",
            hint="write I on the qubits that an observable leaves alone",
        )
    return names


def is_pauli(name: str) -> bool:
    """Whether the name is a Pauli string."""
    return bool(name) and set(name) <= set("IXYZ")


def check_unmitigated(values: Iterable[ExpectationValue]) -> None:
    """Raise `BadInputError` for a Pauli string's value that no unmitigated run comes to."""
    for each in values:
        if is_pauli(each.observable) and abs(each.value) > 1 + _ROUNDING:
            raise BadInputError(
                f"{each.observable[:40]} is {each.value:g}, which lies outside [-1, 1]",
                hint="only mitigation goes beyond that: name the one you did as em_method",
            )


def check_widths(values: Iterable[ExpectationValue], num_qubits: Sequence[int | None]) -> None:
    """Raise `BadInputError` for a Pauli string that leaves out qubits of its circuit.

    `num_qubits` has one entry for each circuit, None where it is unknown. A longer string is of
    the circuit as it was laid out on a device.
    """
    for each in values:
        width = num_qubits[each.circuit]
        if width is not None and is_pauli(each.observable) and len(each.observable) < width:
            raise BadInputError(
                f"observable {each.observable[:40]} has {len(each.observable)} letters, "
                f"its circuit has {width} qubits",
                hint="write I on the qubits that it leaves alone",
            )


def _name(observable: Any) -> str:
    """A Pauli string or sum in words: `0.5*ZZ + 1*XI` for a sum."""
    if isinstance(observable, str):
        name = str(plain_json(observable, "an observable"))
        if not 1 <= len(name) <= _LONGEST_NAME or not name.isprintable():
            raise BadInputError(f"{shown(name)} is no observable", hint=_HINT)
        return name
    if is_a(observable, "qiskit", "SparsePauliOp"):
        return " + ".join(f"{_coefficient(c)}*{label}" for label, c in observable.to_list())
    if is_a(observable, "qiskit", "Pauli"):
        return str(observable.to_label())
    if is_a(observable, "braket", "Observable"):
        names = getattr(observable, "ascii_symbols", None) or (str(observable),)
        return str(plain_json("@".join(map(str, names))))
    raise BadInputError(f"a {type(observable).__name__} is no observable", hint=_HINT)


def _coefficient(value: Any) -> str:
    number = complex(value)
    return f"{number.real!r}" if number.imag == 0 else f"{number!r}"
