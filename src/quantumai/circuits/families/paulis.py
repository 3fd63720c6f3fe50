"""Pauli strings that families ask for, in Qiskit's order: the rightmost letter is qubit 0."""

from __future__ import annotations

from collections.abc import Iterable

Edge = tuple[int, int]


def pauli(num_qubits: int, letter: str, qubits: Iterable[int]) -> str:
    """`letter` on `qubits`, the identity elsewhere."""
    chosen = set(qubits)
    return "".join(letter if q in chosen else "I" for q in reversed(range(num_qubits)))


def chain(num_qubits: int) -> list[Edge]:
    """Neighbours on a line."""
    return [(q, q + 1) for q in range(num_qubits - 1)]


def z_and_zz(num_qubits: int) -> tuple[str, ...]:
    """Z of every qubit, then ZZ of all neighbours."""
    single = [pauli(num_qubits, "Z", (q,)) for q in range(num_qubits)]
    return (*single, *(pauli(num_qubits, "Z", edge) for edge in chain(num_qubits)))


def ising_terms(num_qubits: int) -> tuple[str, ...]:
    """The terms of a transverse-field Ising chain: ZZ of neighbours, then X of every qubit."""
    couplings = [pauli(num_qubits, "Z", edge) for edge in chain(num_qubits)]
    return (*couplings, *(pauli(num_qubits, "X", (q,)) for q in range(num_qubits)))
