"""Four families, mixed by the seed: the policy's confidence was measured on them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from quantumai.circuits.circuit import Circuit
from quantumai.circuits.families.paulis import chain, ising_terms, pauli, z_and_zz
from quantumai.circuits.families.random import Brickwork, brickwork
from quantumai.circuits.loading import from_qiskit
from quantumai.errors import BadInputError
from quantumai.randomness import RootSeed

if TYPE_CHECKING:
    import numpy as np
    from qiskit import QuantumCircuit

MIN_QUBITS = 4
MAX_QUBITS = 10


@dataclass(frozen=True)
class FamilyCircuit:
    """A circuit of a family with the observables that are asked of it (Qiskit order)."""

    circuit: Circuit
    observables: tuple[str, ...]


def family_circuit(family: str, num_qubits: int, seed: int) -> FamilyCircuit:
    """The circuit number `seed` of a family, 4 to 10 qubits; the same call, the same circuit.

    Raises `BadInputError` for an unknown family or size.
    """
    build = _BUILDERS.get(family)
    if build is None:
        raise BadInputError(
            f"unknown circuit family {family[:40]!r}", hint=f"one of {', '.join(FAMILIES)}"
        )
    if not MIN_QUBITS <= num_qubits <= MAX_QUBITS:
        raise BadInputError(f"{num_qubits} qubits: families have {MIN_QUBITS} to {MAX_QUBITS}")
    rng = RootSeed.of(str(seed)).generator(f"circuits/families/{family}/{num_qubits}")
    qc, observables = build(num_qubits, rng)
    return FamilyCircuit(from_qiskit(qc, name=f"{family}-{num_qubits}q-{seed}"), observables)


def _random(num_qubits: int, rng: np.random.Generator) -> tuple[QuantumCircuit, tuple[str, ...]]:
    """Brickwork of Haar-like single-qubit rotations and CZ, 2 to 6 layers."""
    return brickwork(num_qubits, Brickwork(int(rng.integers(2, 7))), rng)


def _trotter(num_qubits: int, rng: np.random.Generator) -> tuple[QuantumCircuit, tuple[str, ...]]:
    """First-order Trotter steps of a spin chain: transverse-field Ising or Heisenberg XXZ."""
    from qiskit import QuantumCircuit

    qc = QuantumCircuit(num_qubits)
    ising = bool(rng.integers(2))
    steps = int(rng.integers(2, 7))
    dt = float(rng.uniform(0.1, 0.3))
    coupling, field_or_delta = (float(v) for v in rng.uniform(0.5, 1.5, 2))
    for q in range(num_qubits):
        # The XXZ chain conserves magnetisation: start it from the Neel state, not from |0...0>.
        if not ising and q % 2:
            qc.x(q)
    for _ in range(steps):
        for a, b in chain(num_qubits):
            if not ising:
                qc.rxx(2 * coupling * dt, a, b)
                qc.ryy(2 * coupling * dt, a, b)
            qc.rzz(2 * coupling * dt * (1 if ising else field_or_delta), a, b)
        if ising:
            for q in range(num_qubits):
                qc.rx(2 * field_or_delta * dt, q)
    return qc, z_and_zz(num_qubits)


def _qaoa(num_qubits: int, rng: np.random.Generator) -> tuple[QuantumCircuit, tuple[str, ...]]:
    """MaxCut QAOA (Farhi, Goldstone, Gutmann 2014), 1 to 3 layers, on a ring with chords.

    Half of the graphs are a plain ring, the others get a chord from every second vertex.
    """
    from qiskit import QuantumCircuit

    edges = [*chain(num_qubits), (0, num_qubits - 1)]
    if rng.integers(2):
        half = num_qubits // 2
        edges += [(q, q + half) for q in range(0, half, 2) if (q, q + half) not in edges]
    qc = QuantumCircuit(num_qubits)
    for q in range(num_qubits):
        qc.h(q)
    for _ in range(int(rng.integers(1, 4))):
        gamma, beta = float(rng.uniform(0.2, 1.2)), float(rng.uniform(0.2, 1.2))
        for a, b in edges:
            qc.rzz(gamma, a, b)
        for q in range(num_qubits):
            qc.rx(beta, q)
    return qc, tuple(pauli(num_qubits, "Z", edge) for edge in edges)


def _vqe(num_qubits: int, rng: np.random.Generator) -> tuple[QuantumCircuit, tuple[str, ...]]:
    """Hardware-efficient ansatz (Kandala et al., Nature 549, 242, 2017): RY, RZ and CX layers.

    Observables: the terms of the transverse-field Ising Hamiltonian, ZZ of neighbours and X.
    """
    from qiskit import QuantumCircuit

    qc = QuantumCircuit(num_qubits)
    layers = int(rng.integers(1, 4))
    for layer in range(layers + 1):
        for q in range(num_qubits):
            qc.ry(float(rng.uniform(-math.pi / 2, math.pi / 2)), q)
            qc.rz(float(rng.uniform(-math.pi / 2, math.pi / 2)), q)
        if layer < layers:
            for a, b in chain(num_qubits):
                qc.cx(a, b)
    return qc, ising_terms(num_qubits)


_Builder = Callable[[int, "np.random.Generator"], "tuple[QuantumCircuit, tuple[str, ...]]"]
_BUILDERS: dict[str, _Builder] = {
    "random": _random,
    "trotter": _trotter,
    "qaoa": _qaoa,
    "vqe": _vqe,
}
FAMILIES = tuple(_BUILDERS)
