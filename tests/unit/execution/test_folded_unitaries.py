"""Folding leaves the ideal unitary unchanged, by Qiskit's operators and by our simulator."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from qiskit import QuantumCircuit, qasm2
from qiskit.quantum_info import Operator, random_statevector

from quantumai.backends.channel_simulator import ChannelSimulator
from quantumai.backends.physical_circuit import PhysicalCircuit
from quantumai.backends.simulator import no_folding
from quantumai.circuits.families.family import VARIANTS, benchmark_circuit
from quantumai.execution.transpile import Transpiler
from quantumai.mitigation.folding import choose_folds
from tests.synthetic_devices import both_ways, depolarizing, device, perfect

pytestmark = pytest.mark.slow

# Of fixed size; the others have as many qubits as are drawn.
SIZES = {"h2": 4, "lih": 6, "h4": 8, "liao_random": 4, "liao_ising": 4}
LONG = {"lih", "h4"}
GATES = ("cx", "cz", "ecr")
_CASES = {
    # The others would take most of the time as operators: they act on states below.
    "family": st.sampled_from(sorted(set(VARIANTS) - LONG)),
    "size": st.integers(4, 6),
    "seed": st.integers(0, 500),
    "gate": st.sampled_from(GATES),
    "factor": st.floats(1, 7),
}


def _native(family: str, size: int, seed: int, gate: str) -> PhysicalCircuit:
    size = SIZES.get(family, size)
    edges = both_ways([(q, q + 1) for q in range(size - 1)])
    snapshot = device(edges, num_qubits=size, gate=gate)
    made = benchmark_circuit(family, size, {}, seed)
    return Transpiler(made.circuit).transpile(snapshot).circuit


def _folds(circuit: PhysicalCircuit, factor: float, seed: int) -> NDArray[np.int64]:
    return choose_folds([factor], circuit.two_qubit_gate_count, np.random.default_rng(seed))


def _explicitly_folded(circuit: PhysicalCircuit, folds: list[int]) -> QuantumCircuit:
    """G (G^-1 G)^((f-1)/2) spelled out, with Qiskit's own inverse of each gate."""
    plain = qasm2.loads(
        circuit.to_qasm(), custom_instructions=qasm2.LEGACY_CUSTOM_INSTRUCTIONS, strict=False
    )
    folded, remaining = QuantumCircuit(circuit.num_qubits), iter(folds)
    for instruction in plain.data:
        qubits = [plain.find_bit(q).index for q in instruction.qubits]
        folded.append(instruction.operation, qubits)
        if len(qubits) == 2:
            for _ in range((next(remaining) - 1) // 2):
                folded.append(instruction.operation.inverse(), qubits)
                folded.append(instruction.operation, qubits)
    assert next(remaining, None) is None
    return folded


@settings(derandomize=True, deadline=None, max_examples=25)
@given(**_CASES)
def test_qiskits_operator_of_the_folded_circuit(
    family: str, size: int, seed: int, gate: str, factor: float
) -> None:
    circuit = _native(family, size, seed, gate)
    size = circuit.num_qubits
    (row,) = _folds(circuit, factor, seed).tolist()
    folded = _explicitly_folded(circuit, row)
    plain = _explicitly_folded(circuit, [1] * len(row))
    assert sum(len(i.qubits) == 2 for i in folded.data) == sum(row)
    assert Operator(folded).equiv(Operator(plain))


@settings(derandomize=True, deadline=None, max_examples=8)
@given(**_CASES | {"family": st.sampled_from(sorted(LONG))})
def test_the_folded_circuit_on_any_state(
    family: str, size: int, seed: int, gate: str, factor: float
) -> None:
    """Two unitaries that agree on a random state, up to phase, agree: it is no eigenstate."""
    circuit = _native(family, size, seed, gate)
    folds = _folds(circuit, factor, seed)
    (row,) = folds.tolist()
    state = random_statevector(2**circuit.num_qubits, seed)
    found = state.evolve(_explicitly_folded(circuit, row))
    assert found.equiv(state.evolve(_explicitly_folded(circuit, [1] * len(row))), atol=1e-9)
    simulator, ideal = ChannelSimulator(), perfect(circuit.num_qubits)
    both = np.concatenate([no_folding(circuit), folds])
    plain, folded = simulator.probabilities(circuit, ideal, "Z" * circuit.num_qubits, both)
    np.testing.assert_allclose(folded, plain, atol=1e-10)


@settings(derandomize=True, deadline=None, max_examples=40)
@given(**_CASES, basis=st.text("XYZ", min_size=6, max_size=6))
def test_noiseless_probabilities_do_not_change(
    family: str, size: int, seed: int, gate: str, factor: float, basis: str
) -> None:
    circuit = _native(family, size, seed, gate)
    size = circuit.num_qubits
    folds = np.concatenate([no_folding(circuit), _folds(circuit, factor, seed)])
    plain, folded = ChannelSimulator().probabilities(circuit, perfect(size), basis[:size], folds)
    np.testing.assert_allclose(folded, plain, atol=1e-10)


@settings(derandomize=True, deadline=None, max_examples=10)
@given(**_CASES)
def test_noisy_probabilities_are_those_of_the_circuit_spelled_out(
    family: str, size: int, seed: int, gate: str, factor: float
) -> None:
    """A folded gate is a power of its noisy matrix; here the gates are written one by one."""
    circuit = _native(family, size, seed, gate)
    size = circuit.num_qubits
    (row,) = _folds(circuit, factor, seed).tolist()
    remaining = iter(row)
    spelled = PhysicalCircuit(
        size,
        tuple(
            copy
            for native in circuit.gates
            for copy in [native] * (next(remaining) if len(native.qubits) == 2 else 1)
        ),
    )
    noise, simulator = depolarizing(size, 0.01, 0.001), ChannelSimulator()
    folded = simulator.probabilities(circuit, noise, "Z" * size, np.array([row]))
    written = simulator.probabilities(spelled, noise, "Z" * size, no_folding(spelled))
    np.testing.assert_allclose(folded, written, atol=1e-12)
