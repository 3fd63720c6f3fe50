"""Pauli observables: strict reading, and grouping into measurement bases.

Pauli strings are in Qiskit's order: the rightmost letter acts on qubit 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quantumai.circuits.qasm_tokens import one_line
from quantumai.errors import BadInputError

MAX_OBSERVABLES = 200


@dataclass(frozen=True)
class MeasurementBasis:
    """One measurement setting: the letter on each qubit ("I" where any basis will do).

    `members` are indices into the grouped Pauli strings, ascending.
    """

    pauli: str
    members: tuple[int, ...]


def parse_observables(texts: Sequence[str], num_qubits: int) -> tuple[str, ...]:
    """Check Pauli strings for a circuit of `num_qubits` and return them in order.

    Raises `BadInputError` for what is no list of text, none at all, too many, a wrong length,
    other letters than IXYZ, the identity, or one given twice.
    """
    hint = f"give {num_qubits} letters of I, X, Y, Z; the rightmost is qubit 0"
    if not _are_texts(texts):
        raise BadInputError("observables are a list of Pauli strings", hint=hint)
    if not texts:
        raise BadInputError("no observable was given", hint=hint)
    if len(texts) > MAX_OBSERVABLES:
        raise BadInputError(f"{len(texts)} observables, more than {MAX_OBSERVABLES}")
    seen: set[str] = set()
    for text in texts:
        shown = repr(one_line(text)[:40])
        if len(text) != num_qubits:
            raise BadInputError(
                f"observable {shown} has {len(text)} letters, the circuit has {num_qubits} qubits",
                hint=hint,
            )
        if not set(text) <= set("IXYZ"):
            raise BadInputError(f"observable {shown} has letters other than I, X, Y, Z", hint=hint)
        if set(text) == {"I"}:
            raise BadInputError(f"observable {shown} is the identity: its value is 1", hint=hint)
        if text in seen:
            raise BadInputError(f"observable {shown} is given twice")
        seen.add(text)
    return tuple(texts)


def _are_texts(texts: object) -> bool:
    if isinstance(texts, str) or not isinstance(texts, Sequence):
        return False
    return all(isinstance(text, str) for text in texts)


def measurement_bases(paulis: Sequence[str]) -> tuple[MeasurementBasis, ...]:
    """Group Pauli strings that qubit-wise commute, so that each group is read from one setting.

    Greedy first fit, heaviest strings first, ties in the given order; deterministic. Finding the
    fewest groups is NP-hard (Verteletskyi, Yen, Izmaylov, J. Chem. Phys. 152, 124114, 2020).
    """
    order = sorted(range(len(paulis)), key=lambda i: (paulis[i].count("I"), i))
    groups: list[tuple[list[str], list[int]]] = []
    for i in order:
        for letters, members in groups:
            if all("I" in (a, b) or a == b for a, b in zip(letters, paulis[i], strict=True)):
                letters[:] = [b if a == "I" else a for a, b in zip(letters, paulis[i], strict=True)]
                members.append(i)
                break
        else:
            groups.append((list(paulis[i]), [i]))
    return tuple(MeasurementBasis("".join(p), tuple(sorted(m))) for p, m in groups)
