"""From a logical circuit to native gates on the chosen qubits of one device.

The passes are named here instead of asking Qiskit's preset pipeline: that one loads every
installed plug-in (seconds of CPU, and a result that depends on what else is installed).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from qiskit.circuit import Parameter, equivalence_library
from qiskit.circuit.library import CXGate, CZGate, ECRGate, RZGate, SXGate, XGate
from qiskit.transpiler import CouplingMap, InstructionProperties, PassManager, Target
from qiskit.transpiler.passes import (
    BasisTranslator,
    CommutativeCancellation,
    GateDirection,
    Optimize1qGatesDecomposition,
    SabreLayout,
    UnrollCustomDefinitions,
)

from quantumai.backends.calibration import CalibrationSnapshot
from quantumai.backends.physical_circuit import NativeGate, PhysicalCircuit
from quantumai.circuits.circuit import Circuit
from quantumai.execution.layout import Layout, choose_layout

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

_EQUIVALENCES = equivalence_library.StandardEquivalenceLibrary
"""Not the session's library: anything imported may add rules to that one."""

_GATES = {"cx": CXGate, "cz": CZGate, "ecr": ECRGate}
_ROUTING_TRIALS = 8
_ROUTING_SEED = 20260101
"""Routing must not depend on the job's seed: the decision is made before a shot is drawn."""


@dataclass(frozen=True)
class TranspiledCircuit:
    """A circuit ready for one device.

    `physical_qubits[i]` is the device qubit of compact qubit i of `circuit`;
    `positions[q]` is the compact qubit that holds logical qubit q at the end.
    """

    circuit: PhysicalCircuit
    physical_qubits: tuple[int, ...]
    positions: tuple[int, ...]

    def place(self, pauli: str) -> str:
        """A Pauli string over logical qubits as one over compact qubits, at the circuit's end."""
        letters = ["I"] * len(pauli)
        for logical, letter in enumerate(reversed(pauli)):
            letters[self.positions[logical]] = letter
        return "".join(reversed(letters))


class Transpiler:
    """Transpiles one circuit for many devices; the work all share is done once per gate set."""

    def __init__(self, circuit: Circuit) -> None:
        self._circuit = circuit
        self._native: dict[str, QuantumCircuit] = {}

    def transpile(self, snapshot: CalibrationSnapshot) -> TranspiledCircuit:
        """Place, route where needed, and translate; `BadInputError` if it cannot fit."""
        native = self._translated(snapshot.two_qubit_gate)
        layout = choose_layout(snapshot, native.num_qubits, _interactions(native))
        positions = tuple(range(native.num_qubits))
        target = _target(snapshot, layout)
        if not layout.embedded:
            native, positions = _route(native, target)
        if not layout.embedded or not _all_native(native, target):
            native = _finish(native, target)
        return TranspiledCircuit(_physical(native), layout.physical_qubits, positions)

    def _translated(self, two_qubit_gate: str) -> QuantumCircuit:
        if two_qubit_gate not in self._native:
            self._native[two_qubit_gate] = _translation(two_qubit_gate).run(self._circuit.quantum)
        return self._native[two_qubit_gate]


@lru_cache
def _translation(two_qubit_gate: str) -> PassManager:
    basis = ["rz", "sx", "x", two_qubit_gate]
    return PassManager(
        [
            UnrollCustomDefinitions(_EQUIVALENCES, basis_gates=basis),
            BasisTranslator(_EQUIVALENCES, basis),
            Optimize1qGatesDecomposition(basis=basis),
            CommutativeCancellation(basis_gates=basis),
            Optimize1qGatesDecomposition(basis=basis),
        ]
    )


def _interactions(circuit: QuantumCircuit) -> Counter[tuple[int, int]]:
    pairs: Counter[tuple[int, int]] = Counter()
    for instruction in circuit.data:
        if len(instruction.qubits) == 2:
            first, second = sorted(circuit.find_bit(q).index for q in instruction.qubits)
            pairs[first, second] += 1
    return pairs


def _target(snapshot: CalibrationSnapshot, layout: Layout) -> Target:
    """Only the active qubits and the native directions of their couplings."""
    compact = {physical: index for index, physical in enumerate(layout.physical_qubits)}
    target = Target(num_qubits=len(compact))
    everywhere = {(q,): InstructionProperties() for q in range(len(compact))}
    target.add_instruction(RZGate(Parameter("angle")), everywhere)
    target.add_instruction(SXGate(), everywhere)
    target.add_instruction(XGate(), everywhere)
    target.add_instruction(
        _GATES[snapshot.two_qubit_gate](),
        {
            (compact[edge.control], compact[edge.target]): InstructionProperties(error=edge.error)
            for edge in snapshot.edges
            if edge.control in compact and edge.target in compact
        },
    )
    return target


def _route(circuit: QuantumCircuit, target: Target) -> tuple[QuantumCircuit, tuple[int, ...]]:
    coupling = CouplingMap(target.build_coupling_map().get_edges())
    coupling.make_symmetric()
    routed = PassManager(
        [
            SabreLayout(
                coupling,
                seed=_ROUTING_SEED,
                max_iterations=4,
                swap_trials=_ROUTING_TRIALS,
                layout_trials=_ROUTING_TRIALS,
            )
        ]
    ).run(circuit)
    return routed, tuple(routed.layout.final_index_layout())


def _all_native(circuit: QuantumCircuit, target: Target) -> bool:
    return all(
        target.instruction_supported(
            instruction.operation.name,
            tuple(circuit.find_bit(q).index for q in instruction.qubits),
        )
        for instruction in circuit.data
        if len(instruction.qubits) == 2
    )


def _finish(circuit: QuantumCircuit, target: Target) -> QuantumCircuit:
    """Decompose SWAPs and turn gates into their native direction."""
    return PassManager(
        [
            BasisTranslator(_EQUIVALENCES, None, target),
            GateDirection(None, target=target),
            BasisTranslator(_EQUIVALENCES, None, target),
            Optimize1qGatesDecomposition(target=target),
            CommutativeCancellation(target=target),
            Optimize1qGatesDecomposition(target=target),
        ]
    ).run(circuit)


def _physical(circuit: QuantumCircuit) -> PhysicalCircuit:
    gates = []
    for instruction in circuit.data:
        operation = instruction.operation
        angle = float(operation.params[0]) if operation.name == "rz" else 0.0
        qubits = tuple(circuit.find_bit(q).index for q in instruction.qubits)
        gates.append(NativeGate(operation.name, qubits, angle))
    return PhysicalCircuit(circuit.num_qubits, tuple(gates))
