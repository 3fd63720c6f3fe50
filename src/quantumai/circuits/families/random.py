"""Random circuits: brickwork of arbitrary rotations, and Clifford circuits with some T gates."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from quantumai.circuits.families.paulis import z_and_zz
from quantumai.errors import BadInputError

if TYPE_CHECKING:
    import numpy as np
    from qiskit import QuantumCircuit

MAX_LAYERS = 40
# Words of H and S that reach every axis; the Pauli frame they leave out changes signs only.
_CLIFFORD_WORDS = ("", "h", "s", "hs", "sh", "hsh")


class Brickwork(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Layers of Haar-like rotations on all qubits and CZ on every second pair in turn."""

    layers: int = 4


class CliffordT(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Brickwork of random Clifford gates; a share of the one-qubit gates is followed by a T gate.

    With `t_share` 0 the circuit is Clifford, hence every Pauli value -1, 0 or 1.
    """

    layers: int = 6
    t_share: float = 0.2


def brickwork(
    num_qubits: int, wanted: Brickwork, rng: np.random.Generator
) -> tuple[QuantumCircuit, tuple[str, ...]]:
    """Observables: Z of every qubit, ZZ of neighbours."""
    from qiskit import QuantumCircuit

    _check_layers(wanted.layers)
    qc = QuantumCircuit(num_qubits)
    for layer in range(wanted.layers):
        for q in range(num_qubits):
            # cos(theta) uniform on [-1, 1] spreads the rotated state evenly over the sphere.
            # The last digits of acos differ between C libraries, and a circuit's id must not.
            theta = round(math.acos(float(rng.uniform(-1, 1))), 12)
            qc.u(theta, *(float(a) for a in rng.uniform(-math.pi, math.pi, 2)), q)
        for q in range(layer % 2, num_qubits - 1, 2):
            qc.cz(q, q + 1)
    return qc, z_and_zz(num_qubits)


def clifford_t(
    num_qubits: int, wanted: CliffordT, rng: np.random.Generator
) -> tuple[QuantumCircuit, tuple[str, ...]]:
    """Observables: Z of every qubit, ZZ of neighbours."""
    from qiskit import QuantumCircuit

    _check_layers(wanted.layers)
    if not 0 <= wanted.t_share <= 1:
        raise BadInputError("t_share is a share: 0 to 1")
    qc = QuantumCircuit(num_qubits)
    for layer in range(wanted.layers):
        for q in range(num_qubits):
            for letter in _CLIFFORD_WORDS[int(rng.integers(len(_CLIFFORD_WORDS)))]:
                getattr(qc, letter)(q)
            if rng.uniform() < wanted.t_share:
                qc.t(q)
        for q in range(layer % 2, num_qubits - 1, 2):
            qc.cx(q, q + 1) if rng.integers(2) else qc.cx(q + 1, q)
    return qc, z_and_zz(num_qubits)


def _check_layers(layers: int) -> None:
    if not 1 <= layers <= MAX_LAYERS:
        raise BadInputError(f"layers: 1 to {MAX_LAYERS}")
