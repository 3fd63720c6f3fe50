"""Variational circuits: a hardware-efficient ansatz, and QAOA for MaxCut."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from quantumai.circuits.families.paulis import Edge, chain, ising_terms, pauli
from quantumai.errors import BadInputError

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

MAX_LAYERS = 10
_SWEEPS = 3
_GRAPH_TRIES = 1000
_DIGITS = 6
_FLAT = 1e-9
"""Along an angle on which the energy does not depend, its minimum would be rounding errors'."""
# Angles that serve every 3-regular graph about equally well (Wurtz and Lykov, PRA 104, 052419,
# 2021, table I), here for RZZ(gamma) and RX(2 beta).
_FIXED_ANGLES = {
    1: ((0.616,), (0.393,)),
    2: ((0.488, 0.898), (0.555, 0.293)),
    3: ((0.422, 0.798, 0.937), (0.609, 0.459, 0.235)),
}


class Vqe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Layers of RY and CX (Kandala et al., Nature 549, 242, 2017) for an Ising chain, J = 1.

    `angles`: "random" by the seed, or "optimised" by `_SWEEPS` sweeps of Rotosolve (Ostaszewski,
    Grant, Benedetti, Quantum 5, 391, 2021) from random ones towards the chain's ground state.
    """

    layers: int = 2
    angles: Literal["random", "optimised"] = "random"
    field: float = 1.0


class Qaoa(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """MaxCut (Farhi, Goldstone, Gutmann, 1411.4028) on a graph drawn by the seed.

    "regular": every vertex has 3 neighbours, on an odd number of them 4. "random": each edge with
    probability 1/2, and a ring so that it hangs together. `angles`: "random" by the seed, or
    "fixed" ones for 3-regular graphs (up to 3 layers).
    """

    layers: int = 1
    graph: Literal["regular", "random"] = "regular"
    angles: Literal["random", "fixed"] = "random"


def vqe(
    num_qubits: int, wanted: Vqe, rng: np.random.Generator
) -> tuple[QuantumCircuit, tuple[str, ...]]:
    """Observables: the terms of the Ising Hamiltonian."""
    from qiskit import QuantumCircuit

    _check_layers(wanted.layers)
    if not 0 < wanted.field <= 10:
        raise BadInputError("field: above 0, at most 10")
    angles = rng.uniform(-math.pi / 2, math.pi / 2, (wanted.layers + 1, num_qubits))
    if wanted.angles == "optimised":
        angles = _optimised(angles.tobytes(), angles.shape, wanted.field)
    qc = QuantumCircuit(num_qubits)
    for layer, row in enumerate(angles):
        for q, angle in enumerate(row):
            qc.ry(float(angle), q)
        if layer < wanted.layers:
            for a, b in chain(num_qubits):
                qc.cx(a, b)
    return qc, ising_terms(num_qubits)


def qaoa(
    num_qubits: int, wanted: Qaoa, rng: np.random.Generator
) -> tuple[QuantumCircuit, tuple[str, ...]]:
    """Observables: ZZ of every edge, the terms of the cost."""
    from qiskit import QuantumCircuit

    _check_layers(wanted.layers)
    edges = _regular(num_qubits, rng) if wanted.graph == "regular" else _random(num_qubits, rng)
    if wanted.angles == "fixed":
        if wanted.layers not in _FIXED_ANGLES:
            raise BadInputError(f"fixed angles are known for {max(_FIXED_ANGLES)} layers at most")
        gammas, betas = map(np.array, _FIXED_ANGLES[wanted.layers])
    else:
        gammas, betas = rng.uniform(0.2, 1.2, wanted.layers), rng.uniform(0.1, 0.6, wanted.layers)
    qc = QuantumCircuit(num_qubits)
    qc.h(range(num_qubits))
    for gamma, beta in zip(gammas, betas, strict=True):
        for a, b in edges:
            qc.rzz(-float(gamma), a, b)
        for q in range(num_qubits):
            qc.rx(2 * float(beta), q)
    return qc, tuple(pauli(num_qubits, "Z", edge) for edge in edges)


def _random(num_qubits: int, rng: np.random.Generator) -> list[Edge]:
    ring = {(q, q + 1) for q in range(num_qubits - 1)} | {(0, num_qubits - 1)}
    pairs = [(a, b) for a in range(num_qubits) for b in range(a + 1, num_qubits)]
    drawn = {pair for pair in pairs if rng.uniform() < 0.5}
    return sorted(ring | drawn)


def _regular(num_qubits: int, rng: np.random.Generator) -> list[Edge]:
    """Pair the stubs of all vertices at random until the graph is simple."""
    degree = 3 if num_qubits % 2 == 0 else 4
    stubs = np.repeat(np.arange(num_qubits), degree)
    for _ in range(_GRAPH_TRIES):
        pairs = rng.permutation(stubs).reshape(-1, 2)
        edges = {(int(min(pair)), int(max(pair))) for pair in pairs}
        if len(edges) == len(pairs) and all(a != b for a, b in edges):
            return sorted(edges)
    raise BadInputError(f"found no {degree}-regular graph of {num_qubits} vertices")


def _check_layers(layers: int) -> None:
    if not 1 <= layers <= MAX_LAYERS:
        raise BadInputError(f"layers: 1 to {MAX_LAYERS}")


@lru_cache(maxsize=256)
def _optimised(start: bytes, shape: tuple[int, int], field: float) -> NDArray[np.float64]:
    """Rotosolve: along one RY angle the energy is a sine, whose minimum two more values give.

    Each new angle is rounded before the next is sought, so the last digits of a machine's
    arithmetic never add up: the angles, hence a circuit's text and id, are the same everywhere.
    """
    angles = np.frombuffer(start).reshape(shape).copy()
    for _ in range(_SWEEPS):
        for place in np.ndindex(shape):
            middle = angles[place]
            energies = []
            for shift in (0.0, math.pi / 2, -math.pi / 2):
                angles[place] = middle + shift
                energies.append(_energy(angles, field))
            here, ahead, behind = energies
            cosine, sine = 2 * here - ahead - behind, ahead - behind
            if math.hypot(cosine, sine) > _FLAT:
                middle += -math.pi / 2 - math.atan2(cosine, sine)
            angles[place] = _rounded(middle)
    return angles


def _energy(angles: NDArray[np.float64], field: float) -> float:
    """<-sum ZZ - field sum X> of the ansatz; RY and CX keep the state real.

    Elementwise products and sums only: a product of matrices rounds as each processor's BLAS does.
    """
    num_qubits = angles.shape[1]
    state = np.zeros((2,) * num_qubits)
    state[(0,) * num_qubits] = 1.0
    for layer, row in enumerate(angles):
        for q, angle in enumerate(row):
            cosine, sine = math.cos(angle / 2), math.sin(angle / 2)
            zero, one = np.moveaxis(state, q, 0)
            state = np.stack([cosine * zero - sine * one, sine * zero + cosine * one], axis=q)
        if layer < len(angles) - 1:
            for a, b in chain(num_qubits):
                flipped = np.moveaxis(state, (a, b), (0, 1))
                flipped[1] = flipped[1, ::-1].copy()
    energy = 0.0
    for a, b in chain(num_qubits):
        shares = (np.moveaxis(state, (a, b), (0, 1)) ** 2).reshape(2, 2, -1).sum(axis=2)
        energy -= float(shares[0, 0] + shares[1, 1] - shares[0, 1] - shares[1, 0])
    for q in range(num_qubits):
        zero, one = np.moveaxis(state, q, 0)
        energy -= field * 2 * float((zero * one).sum())
    return energy


def _rounded(angle: float) -> float:
    """Within half a turn of 0, to `_DIGITS` decimals; never -0.0, which would be other text."""
    return round(math.remainder(angle, 2 * math.pi), _DIGITS) + 0.0
