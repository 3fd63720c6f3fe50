"""A transpiled circuit as a vendor is to run it: folded, with its measurement basis turned to Z."""

from __future__ import annotations

from collections.abc import Sequence

from quantumai.backends.physical_circuit import PhysicalCircuit, measurement_rotations
from quantumai.backends.vendor import VendorCircuit
from quantumai.execution.transpile import TranspiledCircuit


def vendor_circuit(
    transpiled: TranspiledCircuit, basis: str, folds: Sequence[int] | None = None
) -> VendorCircuit:
    """One measurement basis at one noise factor.

    `basis` is a Pauli string over the compact qubits. `folds` has an odd number f for each
    two-qubit gate G, which becomes G (G^-1 G)^((f-1)/2); cx, cz and ecr are their own inverses, so
    that is G f times.
    """
    circuit = transpiled.circuit
    repeats = iter([1] * circuit.two_qubit_gate_count if folds is None else folds)
    folded = [
        gate for gate in circuit.gates for _ in range(next(repeats) if len(gate.qubits) == 2 else 1)
    ]
    gates = (*folded, *measurement_rotations(basis))
    return VendorCircuit(PhysicalCircuit(circuit.num_qubits, gates), transpiled.physical_qubits)
