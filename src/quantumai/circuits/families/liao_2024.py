"""Circuits of Liao et al., "Machine learning for practical quantum error mitigation" (2024).

Nature Machine Intelligence 6, 1478. The set-up is read off their repository, github.com/
qiskit-community/ml-qem: docs/tutorials/h13_ising_data_gen.ipynb and h02_mbd_data_gen.ipynb. Four
qubits; what is asked for are the four values of Z.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

from quantumai.circuits.families.paulis import pauli
from quantumai.errors import BadInputError

if TYPE_CHECKING:
    import numpy as np
    from qiskit import QuantumCircuit

NUM_QUBITS = 4
MAX_STEPS = 40
_FIELD, _STEP_S = 1.0, 0.5
# (gate, angle or None, qubits): the state that every Trotter circuit starts from.
_START = (
    ("rz", 0.0007186381718527407, (1,)), ("rz", 2.4917901988569855, (1,)),
    ("rz", 3.3854853863523835, (3,)), ("rx", 1.2846113715328817, (3,)), ("cx", None, (3, 0)),
    ("rx", 4.212671608894216, (2,)), ("cx", None, (2, 3)),
)  # fmt: skip
_ONE_QUBIT = ("h", "x", "y", "z", "s", "sdg", "t", "tdg", "sx")
_ONE_QUBIT_TURNS = ("rx", "ry", "rz", "p")
_TWO_QUBIT = ("cx", "cy", "cz", "ch", "swap")
_TWO_QUBIT_TURNS = ("crx", "cry", "crz", "cp", "rxx", "ryy", "rzz")


class LiaoIsing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`steps` of the transverse-field Ising chain, h = 1, dt = 0.5, J from [0, 1] by the seed.

    All qubits are turned to X, Y or Z before readout, one basis for all, by the seed.
    """

    steps: int = 4


class LiaoRandom(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`layers` of random one- and two-qubit gates on all qubits, as Qiskit's `random_circuit`.

    Theirs are sorted by two-qubit depth after transpilation, 0 to 18; these by layers before.
    """

    layers: int = 4


def liao_ising(
    num_qubits: int, wanted: LiaoIsing, rng: np.random.Generator
) -> tuple[QuantumCircuit, tuple[str, ...]]:
    """Observables: Z of every qubit, after the change of basis."""
    from qiskit import QuantumCircuit

    _check("steps", wanted.steps, num_qubits)
    coupling, basis = float(rng.uniform(0, 1)), int(rng.integers(3))
    qc = QuantumCircuit(num_qubits)
    for name, angle, qubits in _START:
        getattr(qc, name)(*(() if angle is None else (angle,)), *qubits)
    for _ in range(wanted.steps):
        qc.rx(2 * _FIELD * _STEP_S, range(num_qubits))
        for first in (0, 1):
            for a, b in list(pairwise(range(num_qubits)))[first::2]:
                qc.cx(a, b)
                qc.rz(-2 * coupling * _STEP_S, b)
                qc.cx(a, b)
    if basis == 1:
        qc.sdg(range(num_qubits))
    if basis:
        qc.h(range(num_qubits))
    return qc, _z(num_qubits)


def liao_random(
    num_qubits: int, wanted: LiaoRandom, rng: np.random.Generator
) -> tuple[QuantumCircuit, tuple[str, ...]]:
    """Observables: Z of every qubit."""
    from qiskit import QuantumCircuit

    _check("layers", wanted.layers, num_qubits)
    qc = QuantumCircuit(num_qubits)
    for _ in range(wanted.layers):
        free = [int(q) for q in rng.permutation(num_qubits)]
        while free:
            count = int(rng.integers(1, min(2, len(free)) + 1))
            _append(qc, [free.pop() for _ in range(count)], rng)
    return qc, _z(num_qubits)


def _append(qc: QuantumCircuit, qubits: list[int], rng: np.random.Generator) -> None:
    """A gate of this many qubits, each kind alike, with random angles."""
    fixed, turns = (
        (_ONE_QUBIT, _ONE_QUBIT_TURNS) if len(qubits) == 1 else (_TWO_QUBIT, _TWO_QUBIT_TURNS)
    )
    name = (*fixed, *turns)[int(rng.integers(len(fixed) + len(turns)))]
    angles = (float(rng.uniform(0, 2 * math.pi)),) if name in turns else ()
    getattr(qc, name)(*angles, *qubits)


def _z(num_qubits: int) -> tuple[str, ...]:
    return tuple(pauli(num_qubits, "Z", (q,)) for q in range(num_qubits))


def _check(name: str, steps: int, num_qubits: int) -> None:
    if num_qubits != NUM_QUBITS:
        raise BadInputError(f"the paper's circuits have {NUM_QUBITS} qubits, not {num_qubits}")
    if not 0 <= steps <= MAX_STEPS:
        raise BadInputError(f"{name}: 0 to {MAX_STEPS}")
