"""Circuits of Liao et al., "Machine learning for practical quantum error mitigation" (2024).

Nature Machine Intelligence 6, 1478. The set-up is read off their repository, github.com/
qiskit-community/ml-qem: docs/tutorials/h13_ising_data_gen.ipynb and h02_mbd_data_gen.ipynb. Four
qubits; what is asked for are the four values of Z.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import msgspec

from quantumai.circuits.families.paulis import chain, pauli
from quantumai.errors import BadInputError

if TYPE_CHECKING:
    import numpy as np
    from qiskit import QuantumCircuit
    from qiskit.transpiler import PassManager

NUM_QUBITS = 4
MAX_STEPS = 40
_FIELD, _STEP_S = 1.0, 0.5
# Turns about x of the two qubits that the others are entangled with: every Trotter circuit's start.
_FIRST, _SECOND = 1.2846113715328817, 4.212671608894216
# Placed two-qubit depth -> layers tried before placing, the last one excluded.
_LAYERS = {0: (1, 6), 2: (1, 4), 4: (1, 4), 6: (1, 5), 8: (1, 6), 10: (5, 10), 12: (5, 12),
           14: (5, 14), 16: (5, 13), 18: (5, 15)}  # fmt: skip
DEPTHS = tuple(_LAYERS)
# Qiskit's random_circuit of that year chose among 20 one- and 24 two-qubit gates, all alike.
_TWO_QUBIT_SHARE = 24 / 44
_DIGITS = 9


class LiaoIsing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`steps` of the transverse-field Ising chain, h = 1, dt = 0.5, J from [0, 1] by the seed.

    All qubits are turned to X, Y or Z before readout, one basis for all, by the seed.
    """

    steps: int = 4


class LiaoRandom(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Qiskit's `random_circuit` in gates of a chain, of this `two_qubit_depth`: 0, 2, ... 18.

    As theirs, drawn until the depth in such gates is the wanted one. They ask Qiskit's level 3,
    which resynthesises pairs of qubits: the last digits of a processor would decide the angles.
    """

    two_qubit_depth: int = 8


def liao_ising(
    num_qubits: int, wanted: LiaoIsing, rng: np.random.Generator
) -> tuple[QuantumCircuit, tuple[str, ...]]:
    """Observables: Z of every qubit, after the change of basis."""
    from qiskit import QuantumCircuit

    _check_size(num_qubits)
    if not 0 <= wanted.steps <= MAX_STEPS:
        raise BadInputError(f"steps: 0 to {MAX_STEPS}")
    coupling, basis = float(rng.uniform(0, 1)), int(rng.integers(3))
    qc = QuantumCircuit(num_qubits)
    _start(qc)
    for _ in range(wanted.steps):
        qc.rx(2 * _FIELD * _STEP_S, range(num_qubits))
        for first in (0, 1):
            for a, b in chain(num_qubits)[first::2]:
                qc.cx(a, b)
                qc.rz(-2 * coupling * _STEP_S, b)
                qc.cx(a, b)
    if basis == 1:
        qc.sdg(range(num_qubits))
    if basis:
        qc.h(range(num_qubits))
    return qc, _z(num_qubits)


def _start(qc: QuantumCircuit) -> None:
    """Their start, with the one CX that leaves the chain carried along it."""
    qc.rx(_FIRST, 0)
    qc.rx(_SECOND, 2)
    for control, target in ((0, 1), (1, 2), (2, 3), (1, 2), (0, 1)):
        qc.cx(control, target)


def liao_random(
    num_qubits: int, wanted: LiaoRandom, rng: np.random.Generator
) -> tuple[QuantumCircuit, tuple[str, ...]]:
    """Observables: Z of every qubit."""
    _check_size(num_qubits)
    if wanted.two_qubit_depth not in DEPTHS:
        raise BadInputError(f"two_qubit_depth: one of {', '.join(map(str, DEPTHS))}")
    return _placed_random(wanted.two_qubit_depth, rng), _z(num_qubits)


def _placed_random(two_qubit_depth: int, rng: np.random.Generator) -> QuantumCircuit:
    from qiskit.circuit.random import random_circuit

    operands = {1: 1 - _TWO_QUBIT_SHARE, 2: _TWO_QUBIT_SHARE} if two_qubit_depth else {1: 1.0}
    while True:
        drawn = random_circuit(
            NUM_QUBITS,
            int(rng.integers(*_LAYERS[two_qubit_depth])),
            num_operand_distribution=operands,
            seed=int(rng.integers(2**31)),
        )
        # Without an angle some circuits come up twice, once to learn from and once to be tested.
        if not any(one.operation.params for one in drawn.data):
            continue
        placed = _on_a_chain().run(drawn)
        if placed.depth(lambda one: len(one.qubits) == 2) == two_qubit_depth:
            return _rounded(placed)


@cache
def _on_a_chain() -> PassManager:
    from qiskit.transpiler import CouplingMap, PassManager, generate_preset_pass_manager
    from qiskit.transpiler.passes import CommutativeCancellation, Optimize1qGatesDecomposition

    basis = ["cx", "rz", "sx", "x"]
    passes = generate_preset_pass_manager(
        optimization_level=1,
        coupling_map=CouplingMap.from_line(NUM_QUBITS),
        basis_gates=basis,
        seed_transpiler=0,
    )
    passes.post_optimization = PassManager(
        [CommutativeCancellation(basis), Optimize1qGatesDecomposition(basis)]
    )
    return passes


def _rounded(placed: QuantumCircuit) -> QuantumCircuit:
    """The circuit without layout, its angles alike on processors that differ in the last digits."""
    from qiskit import QuantumCircuit

    qc = QuantumCircuit(NUM_QUBITS)
    for one in placed.data:
        qubits = [placed.find_bit(qubit).index for qubit in one.qubits]
        angles = [round(float(angle), _DIGITS) for angle in one.operation.params]
        getattr(qc, one.operation.name)(*angles, *qubits)
    return qc


def _z(num_qubits: int) -> tuple[str, ...]:
    return tuple(pauli(num_qubits, "Z", (q,)) for q in range(num_qubits))


def _check_size(num_qubits: int) -> None:
    if num_qubits != NUM_QUBITS:
        raise BadInputError(f"the paper's circuits have {NUM_QUBITS} qubits, not {num_qubits}")
