"""The light cone is exact on Clifford circuits with depolarising noise: against the simulator."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from qiskit import qasm2
from qiskit.quantum_info import Pauli, Statevector

from quantumai.backends.channel_simulator import ChannelSimulator
from quantumai.backends.noise import DeviceNoise, GateNoise, IdleNoise
from quantumai.backends.physical_circuit import NativeGate, PhysicalCircuit
from quantumai.mitigation.light_cone import REFERENCE_ZZ_HZ, light_cone
from quantumai.mitigation.readout import outcome_weights
from tests.synthetic_devices import FOREVER_S, depolarizing, pairs, perfect, random_native

RING = ((0, 1), (0, 2), (1, 2))


def _clifford(num_qubits: int, gate: str, rng: np.random.Generator) -> PhysicalCircuit:
    """Random native gates with rz angles rounded to quarter turns."""
    circuit = random_native(num_qubits, 40, gate, rng)
    gates = tuple(
        NativeGate(g.name, g.qubits, round(g.angle / (np.pi / 2)) * np.pi / 2)
        for g in circuit.gates
    )
    return PhysicalCircuit(num_qubits, gates)


def _brickwork(gate: str, rng: np.random.Generator) -> PhysicalCircuit:
    """Clifford brickwork on a ring of four: neighbouring layers never act on the same pair."""
    gates = []
    for layer in range(5):
        for q in range(4):
            gates += [NativeGate("sx", (q,))] * int(rng.integers(3))
            gates += [NativeGate("rz", (q,), float(rng.integers(4)) * np.pi / 2)]
            gates += [NativeGate("sx", (q,))] * int(rng.integers(2))
        for a in (layer % 2, layer % 2 + 2):
            gates.append(NativeGate(gate, (a, (a + 1) % 4)))
    return PhysicalCircuit(4, tuple(gates))


def _values(
    circuit: PhysicalCircuit, noise: DeviceNoise, paulis: list[str], fold: int
) -> NDArray[np.float64]:
    """Exact noisy values, each Pauli measured in its own basis."""
    folds = np.full((1, circuit.two_qubit_gate_count), fold)
    return np.array(
        [
            ChannelSimulator().probabilities(circuit, noise, p, folds)[0] @ outcome_weights(p, None)
            for p in paulis
        ]
    )


def _stabilizers(circuit: PhysicalCircuit) -> list[str]:
    """All Paulis whose ideal value is +1 or -1, from Qiskit's statevector."""
    state = Statevector(qasm2.loads(circuit.to_qasm()))
    found = []
    for index in range(1, 4**circuit.num_qubits):
        letters = np.base_repr(index, 4).zfill(circuit.num_qubits)
        pauli = "".join("IXYZ"[int(letter)] for letter in letters)
        if abs(state.expectation_value(Pauli(pauli))) > 0.5:
            found.append(pauli)
    assert len(found) == 2**circuit.num_qubits - 1
    return found


def _uneven(num_qubits: int, one_qubit: float, rng: np.random.Generator) -> DeviceNoise:
    """Depolarising that differs on every pair and direction."""
    base = depolarizing(num_qubits, 0.0, one_qubit)
    two_qubit = {
        pair: GateNoise((FOREVER_S,) * 2, (FOREVER_S,) * 2, 0.0, float(rng.uniform(0, 0.1)))
        for pair in pairs(num_qubits)
    }
    zeros = (0.0,) * num_qubits
    return DeviceNoise(base.one_qubit, two_qubit, zeros, zeros)


@pytest.mark.parametrize("gate", ["cx", "cz", "ecr"])
@pytest.mark.parametrize("num_qubits", [2, 3, 4])
def test_two_qubit_gates_are_exact(num_qubits: int, gate: str) -> None:
    rng = np.random.default_rng(num_qubits)
    circuit = _clifford(num_qubits, gate, rng)
    noise = _uneven(num_qubits, 0.0, rng)
    paulis = _stabilizers(circuit)
    cone = light_cone(circuit, noise, paulis)
    np.testing.assert_allclose(cone.fixed_log, 0, atol=1e-12)
    np.testing.assert_allclose(cone.mean_square, 1)
    for fold in (1, 3):
        simulated = np.abs(_values(circuit, noise, paulis, fold))
        np.testing.assert_allclose(np.exp(fold * cone.folded_log), simulated, atol=1e-9)


@pytest.mark.parametrize("gate", ["cx", "cz", "ecr"])
def test_one_qubit_gates_and_the_measurements_own_rotation(gate: str) -> None:
    rng = np.random.default_rng(3)
    circuit = _brickwork(gate, rng)
    noise = _uneven(4, 0.02, rng)
    paulis = _stabilizers(circuit)
    cone = light_cone(circuit, noise, paulis)
    simulated = np.abs(_values(circuit, noise, paulis, 1))
    np.testing.assert_allclose(np.exp(cone.fixed_log + cone.folded_log), simulated, atol=1e-9)
    assert cone.fixed_log.max() < -0.02


def test_a_circuit_of_one_qubit_is_damped_too() -> None:
    circuit = PhysicalCircuit(1, (NativeGate("x", (0,)),) * 3)
    cone = light_cone(circuit, depolarizing(1, 0.0, 0.1), ["Z", "X"])
    np.testing.assert_allclose(np.exp(cone.fixed_log), [0.9**3, 0.9**4])  # X is read through an sx
    np.testing.assert_array_equal(cone.mean_square, [1, 0])
    np.testing.assert_array_equal(cone.folded_log, 0)


def test_gates_outside_the_cone_do_not_count() -> None:
    """Terrible gates beside an observable, and after it on other qubits, leave it untouched."""
    noise = depolarizing(4, 0.5, 0.5)
    noise.two_qubit[0, 1] = perfect(2).two_qubit[0, 1]  # type: ignore[index]
    gates = (
        NativeGate("cx", (2, 3)),
        NativeGate("cx", (0, 1)),
        NativeGate("x", (3,)),
        NativeGate("cx", (1, 2)),
    )
    cone = light_cone(PhysicalCircuit(4, gates), noise, ["IIIZ", "ZIII", "IIZI"])
    assert cone.fixed_log[0] == cone.folded_log[0] == 0
    assert cone.fixed_log[1] == pytest.approx(np.log(0.5))
    assert cone.folded_log[1] == pytest.approx(np.log(0.5))
    # Z1 is the control of cx(1, 2), which it commutes with: it never reaches cx(2, 3).
    assert cone.folded_log[2] == pytest.approx(np.log(0.5))


def test_prior_is_the_square_of_the_ideal_value_where_one_path_leads_to_it() -> None:
    """RY(t) on each qubit: <Z> = cos t, <X> = sin t; products of them on several qubits."""
    angles = (0.4, 1.3)
    gates = []
    for q, angle in enumerate(angles):  # ry = sx^-1 rz sx up to frames
        gates += [NativeGate("sx", (q,)), NativeGate("rz", (q,), angle + np.pi)]
        gates += [NativeGate("sx", (q,))]
    circuit = PhysicalCircuit(2, tuple(gates))
    state = Statevector(qasm2.loads(circuit.to_qasm()))
    paulis = ["IZ", "ZI", "ZZ", "XX", "XI", "YZ", "YX"]
    ideal = np.array([np.real(state.expectation_value(Pauli(p))) for p in paulis])
    assert np.count_nonzero(np.abs(ideal) > 0.05) > 3
    cone = light_cone(circuit, perfect(2), paulis)
    np.testing.assert_allclose(cone.mean_square, ideal**2, atol=1e-12)


def test_clifford_paulis_that_vanish_have_no_prior() -> None:
    circuit = _clifford(3, "cx", np.random.default_rng(0))
    stabilizers = set(_stabilizers(circuit))
    others = [p for p in ("ZII", "IXI", "YYY", "XZI", "IIY", "ZYX") if p not in stabilizers]
    assert others
    np.testing.assert_allclose(light_cone(circuit, perfect(3), others).mean_square, 0, atol=1e-12)


def test_total_noise_leaves_nothing_and_no_nan() -> None:
    circuit = PhysicalCircuit(2, (NativeGate("cx", (0, 1)), NativeGate("sx", (0,))))
    with np.errstate(divide="ignore"):
        cone = light_cone(circuit, depolarizing(2, 1.0, 1.0), ["ZZ", "XI"])
    assert np.all(np.exp(cone.fixed_log + 3 * cone.folded_log) == 0)


def test_waiting_costs_what_the_simulator_makes_of_it() -> None:
    """Dephasing and ZZ of a qubit that waits in the equator beside one that waits in |0>."""
    t2_s, gate_s = 50e-6, 400e-9
    one_qubit = (GateNoise((FOREVER_S,), (t2_s,), 0.0, 0.0),) * 3
    two_qubit = {pair: GateNoise((FOREVER_S,) * 2, (FOREVER_S,) * 2, gate_s, 0.0) for pair in RING}
    zeros = (0.0,) * 3
    noise = DeviceNoise(one_qubit, two_qubit, zeros, zeros)
    gates = [NativeGate("sx", (1,))] + [NativeGate("cx", (0, 2))] * 3
    circuit, paulis = PhysicalCircuit(3, tuple(gates)), ["IYI", "ZII", "IXZ"]
    cone = light_cone(circuit, noise, paulis, waiting=True)
    np.testing.assert_allclose(cone.idle_log, [-3 * gate_s / t2_s, 0, -3 * gate_s / t2_s])
    np.testing.assert_array_equal(cone.zz_log, 0)  # its neighbours are busy all the time
    for relaxes in (False, True):
        idle = IdleNoise(relaxes, 0.0, tuple(RING))
        (value,) = _values(circuit, replace(noise, idle=idle), ["IYI"], 1)
        assert abs(value) == pytest.approx(np.exp(relaxes * cone.idle_log[0]), abs=1e-9)


def test_neighbours_that_wait_together_turn_each_other() -> None:
    """Qubit 2 keeps the others waiting; to second order the cosine of the angle is what is left."""
    gate_s = 300e-9
    one_qubit = (GateNoise((FOREVER_S,), (FOREVER_S,), 0.0, 0.0),) * 4
    pairs = {(0, 1), (2, 3)}
    two_qubit = {pair: GateNoise((FOREVER_S,) * 2, (FOREVER_S,) * 2, gate_s, 0.0) for pair in pairs}
    zeros = (0.0,) * 4
    noise = DeviceNoise(one_qubit, two_qubit, zeros, zeros)
    gates = (NativeGate("sx", (0,)), NativeGate("cx", (2, 3)))
    circuit = PhysicalCircuit(4, gates)
    cone = light_cone(circuit, noise, ["IIIY", "IIZI"], waiting=True)
    angle = np.pi * REFERENCE_ZZ_HZ * gate_s
    np.testing.assert_allclose(cone.zz_log, [-(angle**2) / 2, 0])
    idle = IdleNoise(False, REFERENCE_ZZ_HZ, tuple(sorted(pairs)))
    (value,) = _values(circuit, replace(noise, idle=idle), ["IIIY"], 1)
    assert np.log(abs(value)) == pytest.approx(cone.zz_log[0], rel=0.01)


def test_asking_for_waiting_changes_nothing_else() -> None:
    rng = np.random.default_rng(5)
    circuit, noise = _brickwork("cx", rng), _uneven(4, 0.02, rng)
    paulis = _stabilizers(circuit)
    plain = light_cone(circuit, noise, paulis)
    asked = light_cone(circuit, noise, paulis, waiting=True)
    for name in ("fixed_log", "folded_log", "mean_square"):
        np.testing.assert_allclose(getattr(asked, name), getattr(plain, name), atol=1e-12)
    assert not plain.idle_log.any()
    assert not plain.zz_log.any()
