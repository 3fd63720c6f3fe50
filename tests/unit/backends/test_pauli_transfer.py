"""Pauli-transfer matrices against Qiskit's `PTM` and Aer's channels."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from qiskit.quantum_info import PTM, Kraus, SuperOp
from qiskit_aer.noise import amplitude_damping_error, thermal_relaxation_error

from quantumai.backends.gate_fusion import IdealGates, fuse, swap_qubits
from quantumai.backends.noise import GateNoise
from quantumai.backends.pauli_transfer import (
    ideal_transfer,
    noise_transfer,
    readout_to_probabilities,
    relaxation_transfer,
    rz_transfers,
)
from quantumai.backends.physical_circuit import NativeGate


def _qiskit_ptm(circuit: QuantumCircuit) -> NDArray[np.float64]:
    """Qiskit's PTM with our order: its slow index is the last qubit, ours the first one named."""
    return np.real(PTM(circuit.reverse_bits()).data)


@pytest.mark.parametrize("name", ["sx", "x", "cx", "cz", "ecr"])
def test_native_gates(name: str) -> None:
    size = 1 if name in ("sx", "x") else 2
    circuit = QuantumCircuit(size)
    getattr(circuit, name)(*range(size))
    np.testing.assert_allclose(ideal_transfer(name), _qiskit_ptm(circuit), atol=1e-12)


def test_cx_moves_paulis_as_the_textbook_says() -> None:
    """X on the control spreads to the target; Z on the target spreads to the control."""
    transfer = ideal_transfer("cx")
    x, z = 1, 3
    assert transfer[4 * x + x, 4 * x] == pytest.approx(1)
    assert transfer[4 * z + z, z] == pytest.approx(1)
    assert transfer[4 * z, 4 * z] == pytest.approx(1)


@pytest.mark.parametrize("angle", [0.0, 0.4, -2.0, np.pi / 2, 9.0])
def test_rz(angle: float) -> None:
    circuit = QuantumCircuit(1)
    circuit.rz(angle, 0)
    (matrix,) = rz_transfers([angle])
    np.testing.assert_allclose(matrix, _qiskit_ptm(circuit), atol=1e-12)


@pytest.mark.parametrize("directions", [[(0, 1)], [(1, 0)], [(0, 1), (1, 0)], [(1, 0), (0, 1)]])
@pytest.mark.parametrize("name", ["cx", "ecr"])
def test_a_fused_block(directions: list[tuple[int, int]], name: str) -> None:
    """One-qubit gates on both sides and both directions merged into one matrix."""
    circuit = QuantumCircuit(2)
    gates: list[NativeGate] = []
    for pair in directions:
        gates += [NativeGate("sx", (0,)), NativeGate("rz", (1,), 0.7), NativeGate("rz", (0,), 0.2)]
        gates += [NativeGate("sx", (1,)), NativeGate(name, pair)]
    for gate in gates:
        arguments = (gate.angle, *gate.qubits) if gate.name == "rz" else gate.qubits
        getattr(circuit, gate.name)(*arguments)
    fused = fuse(gates, 2, IdealGates(), np.ones((1, len(directions)), dtype=np.int64))
    (block,) = fused.blocks
    matrix = block.matrix if block.qubits == (0, 1) else swap_qubits(block.matrix)
    np.testing.assert_allclose(matrix[0], _qiskit_ptm(circuit), atol=1e-12)
    assert len(block.gates) == 3 * len(directions)  # rz apart


def test_gates_after_the_last_block_are_kept_apart() -> None:
    gates = [NativeGate("cx", (0, 1)), NativeGate("sx", (1,)), NativeGate("rz", (1,), 1.0)]
    fused = fuse([*gates, NativeGate("x", (2,))], 3, IdealGates(), np.array([[1]]))
    assert fused.trailing_gates == [[], [NativeGate("sx", (1,))], [NativeGate("x", (2,))]]
    assert fused.last_block[2] is None
    np.testing.assert_allclose(fused.trailing[2], np.diag([1, 1, -1, -1]), atol=1e-12)


@pytest.mark.parametrize(
    ("t1_s", "t2_s"), [(1e-4, 7e-5), (1e-4, 1e-4), (1e-4, 1.7e-4), (1e-4, 2e-4)]
)
def test_relaxation(t1_s: float, t2_s: float) -> None:
    theirs = PTM(SuperOp(thermal_relaxation_error(t1_s, t2_s, 5e-6).to_quantumchannel()))
    np.testing.assert_allclose(
        relaxation_transfer(t1_s, t2_s, 5e-6), np.real(theirs.data), atol=1e-9
    )


def test_pure_amplitude_damping() -> None:
    """T2 = 2 T1 has no dephasing of its own: amplitude damping with 1 - exp(-t / T1)."""
    theirs = PTM(SuperOp(amplitude_damping_error(1 - np.exp(-0.3)).to_quantumchannel()))
    np.testing.assert_allclose(relaxation_transfer(1, 2, 0.3), np.real(theirs.data), atol=1e-9)


def test_noise_of_a_gate_names_its_first_qubit_first() -> None:
    noise = GateNoise((1e-4, 5e-5), (1e-4, 8e-5), 4e-6, 0.1)
    product = np.kron(relaxation_transfer(1e-4, 1e-4, 4e-6), relaxation_transfer(5e-5, 8e-5, 4e-6))
    expected = np.diag([1.0] + [0.9] * 15) @ product
    np.testing.assert_allclose(noise_transfer(noise), expected, atol=1e-14)


def test_readout_of_a_state() -> None:
    """Components of any state to P(0), P(1) through the confusion matrix."""
    damped = Kraus([np.array([[1, 0], [0, 0.8]]), np.array([[0, 0.6], [0, 0]])])
    circuit = QuantumCircuit(1)
    circuit.ry(1.0, 0)
    column = np.real(PTM(SuperOp(circuit).compose(damped)).data) @ np.array([1, 0, 0, 1.0])
    one = np.sin(0.5) ** 2 * 0.64
    read = readout_to_probabilities(0.1, 0.3) @ column
    np.testing.assert_allclose(read, [(1 - one) * 0.9 + one * 0.3, (1 - one) * 0.1 + one * 0.7])
