"""First-order Trotter evolution: spin chains, and small molecules from their qubit Hamiltonians."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from quantumai.circuits.families.paulis import chain, z_and_zz
from quantumai.errors import BadInputError

if TYPE_CHECKING:
    import numpy as np
    from qiskit import QuantumCircuit

MAX_STEPS = 40
MOLECULES = ("h2", "lih", "h4")
_TABLE = Path(__file__).with_name("molecules.toml")
# What a step evolves by: all of H2, and of the others what leaves signal (about 80 two-qubit
# gates on a heavy-hex device).
_DIAGONAL_TERMS = 12
_PAIR_TERMS = 8
_OBSERVED_TERMS = 12


class Tfim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Transverse-field Ising chain, -J sum ZZ - h sum X, from |0...0>; dimensionless times."""

    coupling: float = 1.0
    field: float = 1.0
    steps: int = 4
    dt: float = 0.2


class Heisenberg(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """XXZ chain, J sum (XX + YY + delta ZZ), from the Neel state, as it keeps magnetisation."""

    coupling: float = 1.0
    delta: float = 1.0
    steps: int = 3
    dt: float = 0.2


class Molecular(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Evolution of a molecule by a part of its terms, from a determinant turned by the seed.

    A step takes the 12 largest diagonal terms and the 8 largest that move an electron pair from an
    occupied to an empty orbital (as in pair-correlated simulations: O'Brien et al., Nature Physics
    19, 1787, 2023), from large to small. The largest alone would be diagonal: nothing would move.

    Every qubit of the Hartree-Fock determinant is turned by an angle within `tilt` radians, drawn
    by the seed: the determinant itself would hardly move. `dt` in atomic units. The default step is
    long, so that observables move by more than shots can miss; only steps of 0.5 or less come near
    the exact evolution by the terms chosen.
    """

    steps: int = 1
    dt: float = 5.0
    tilt: float = 1.5


@dataclass(frozen=True)
class Molecule:
    """A qubit Hamiltonian in hartree, Jordan-Wigner; `terms` from large to small, with identity."""

    what: str
    electrons: int
    num_qubits: int
    ground_energy: float
    terms: Mapping[str, float]


@cache
def molecule(name: str) -> Molecule:
    """One of `MOLECULES`; the table is made by scripts/molecules."""
    return msgspec.convert(tomllib.loads(_TABLE.read_text())[name], Molecule)


def tfim(
    num_qubits: int, wanted: Tfim, rng: np.random.Generator
) -> tuple[QuantumCircuit, tuple[str, ...]]:
    """Observables: Z of every qubit, ZZ of neighbours. The seed changes nothing."""
    from qiskit import QuantumCircuit

    _check(wanted.steps, wanted.coupling, wanted.field, wanted.dt)
    qc = QuantumCircuit(num_qubits)
    for _ in range(wanted.steps):
        for a, b in chain(num_qubits):
            qc.rzz(-2 * wanted.coupling * wanted.dt, a, b)
        for q in range(num_qubits):
            qc.rx(-2 * wanted.field * wanted.dt, q)
    return qc, z_and_zz(num_qubits)


def heisenberg(
    num_qubits: int, wanted: Heisenberg, rng: np.random.Generator
) -> tuple[QuantumCircuit, tuple[str, ...]]:
    """Observables: Z of every qubit, ZZ of neighbours. The seed changes nothing."""
    from qiskit import QuantumCircuit

    _check(wanted.steps, wanted.coupling, wanted.delta, wanted.dt)
    qc = QuantumCircuit(num_qubits)
    qc.x(range(1, num_qubits, 2))
    for _ in range(wanted.steps):
        for a, b in chain(num_qubits):
            qc.rxx(2 * wanted.coupling * wanted.dt, a, b)
            qc.ryy(2 * wanted.coupling * wanted.dt, a, b)
            qc.rzz(2 * wanted.coupling * wanted.delta * wanted.dt, a, b)
    return qc, z_and_zz(num_qubits)


def molecular(
    name: str, num_qubits: int, wanted: Molecular, rng: np.random.Generator
) -> tuple[QuantumCircuit, tuple[str, ...]]:
    """Observables: the Hamiltonian's largest terms without the identity, 12 at most."""
    from qiskit import QuantumCircuit

    found = molecule(name)
    if num_qubits != found.num_qubits:
        raise BadInputError(f"{name} has {found.num_qubits} qubits, not {num_qubits}")
    _check(wanted.steps, wanted.dt, wanted.tilt)
    terms = [term for term in found.terms.items() if set(term[0]) != {"I"}]
    qc = QuantumCircuit(num_qubits)
    qc.x(range(found.electrons))
    for q in range(num_qubits):
        qc.ry(float(rng.uniform(-wanted.tilt, wanted.tilt)), q)
    for _ in range(wanted.steps):
        for term, coefficient in _evolved(terms, found.electrons):
            _evolve(qc, term, 2 * coefficient * wanted.dt)
    return qc, tuple(term for term, _ in terms[:_OBSERVED_TERMS])


def _evolved(terms: list[tuple[str, float]], electrons: int) -> list[tuple[str, float]]:
    """The terms of a step, in the order of `terms`, which is from large to small."""
    diagonal = [item for item in terms if set(item[0]) <= {"I", "Z"}][:_DIAGONAL_TERMS]
    pairs = [item for item in terms if _moves_a_pair(item[0], electrons)][:_PAIR_TERMS]
    return [item for item in terms if item in diagonal or item in pairs]


def _moves_a_pair(term: str, electrons: int) -> bool:
    """Whether a term flips up and down of an occupied and of an empty orbital, and no more."""
    flipped = [q for q, letter in enumerate(reversed(term)) if letter in "XY"]
    orbitals = sorted({q // 2 for q in flipped})
    if "Z" in term or len(flipped) != 4 or len(orbitals) != 2:
        return False
    return orbitals[0] < electrons // 2 <= orbitals[1]


def _evolve(qc: QuantumCircuit, term: str, angle: float) -> None:
    """exp(-i angle/2 P): into the Z basis, a ladder of CX, one RZ, and back."""
    letters = [(q, letter) for q, letter in enumerate(reversed(term)) if letter != "I"]
    for q, letter in letters:
        if letter == "X":
            qc.h(q)
        elif letter == "Y":
            qc.rx(math.pi / 2, q)
    qubits = [q for q, _ in letters]
    for a, b in pairwise(qubits):
        qc.cx(a, b)
    qc.rz(angle, qubits[-1])
    for a, b in reversed(list(pairwise(qubits))):
        qc.cx(a, b)
    for q, letter in letters:
        if letter == "X":
            qc.h(q)
        elif letter == "Y":
            qc.rx(-math.pi / 2, q)


def _check(steps: int, *numbers: float) -> None:
    if not 0 <= steps <= MAX_STEPS:
        raise BadInputError(f"steps: 0 to {MAX_STEPS}")
    if not all(math.isfinite(number) and abs(number) <= 100 for number in numbers):
        raise BadInputError("couplings, fields and times: finite, at most 100")
