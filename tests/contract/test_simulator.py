"""The behaviour every `Simulator` has: exact probabilities, checked against Qiskit and by hand."""

from __future__ import annotations

import tracemalloc
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import qasm2
from qiskit.quantum_info import Statevector

from quantumai.backends.aer_simulator import AerSimulator
from quantumai.backends.channel_simulator import ChannelSimulator
from quantumai.backends.noise import DeviceNoise
from quantumai.backends.physical_circuit import NativeGate, PhysicalCircuit, measurement_rotations
from quantumai.backends.simulator import Simulator, no_folding
from tests.synthetic_devices import (
    depolarizing,
    perfect,
    random_native,
    random_noise,
)

pytestmark = pytest.mark.slow

CHANNEL, AER = ChannelSimulator(), AerSimulator()
ENGINES = pytest.mark.parametrize("engine", [CHANNEL, AER], ids=lambda e: e.name)


@settings(derandomize=True, deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 2**32),
    num_qubits=st.integers(1, 5),
    num_gates=st.integers(0, 24),
    gate=st.sampled_from(["cx", "cz", "ecr"]),
)
def test_engines_agree(seed: int, num_qubits: int, num_gates: int, gate: str) -> None:
    rng = np.random.default_rng(seed)
    circuit = random_native(num_qubits, num_gates, gate, rng)
    noise = random_noise(num_qubits, rng)
    basis = "".join(rng.choice(list("IXYZ"), num_qubits))
    folds = rng.choice([1, 3, 5], (2, circuit.two_qubit_gate_count))
    ours = CHANNEL.probabilities(circuit, noise, basis, folds)
    theirs = AER.probabilities(circuit, noise, basis, folds)
    assert ours.shape == theirs.shape == (2, 2**num_qubits)
    np.testing.assert_allclose(ours, theirs, atol=1e-9)  # Aer itself is good to about 1e-10
    for probabilities in (ours, theirs):
        assert probabilities.min() >= 0
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-14)


@ENGINES
@pytest.mark.parametrize("gate", ["cx", "cz", "ecr"])
@pytest.mark.parametrize("num_qubits", [1, 2, 4])
def test_without_noise_it_is_the_statevector(engine: Simulator, gate: str, num_qubits: int) -> None:
    rng = np.random.default_rng(num_qubits)
    circuit = random_native(num_qubits, 40, gate, rng)
    basis = "".join(rng.choice(list("XYZ"), num_qubits))
    folds = np.array([[1], [3], [7]]) * no_folding(circuit)  # folding an ideal gate changes nothing
    found = engine.probabilities(circuit, perfect(num_qubits), basis, folds)
    rotated = PhysicalCircuit(num_qubits, (*circuit.gates, *measurement_rotations(basis)))
    expected = Statevector(qasm2.loads(rotated.to_qasm())).probabilities()
    np.testing.assert_allclose(found, [expected] * 3, atol=1e-9)


@ENGINES
def test_qubits_without_two_qubit_gates(engine: Simulator) -> None:
    """X on qubit 2 of three, then readout errors: a product of hand-made distributions."""
    noise = DeviceNoise(
        perfect(3).one_qubit, {}, prob_meas1_prep0=(0.1, 0.0, 0.2), prob_meas0_prep1=(0, 0, 0.3)
    )
    circuit = PhysicalCircuit(3, (NativeGate("x", (2,)),))
    found = engine.probabilities(circuit, noise, "ZZZ", no_folding(circuit))
    ones = [0.1, 0.0, 0.7]
    expected = [
        np.prod([p if (k >> q) & 1 else 1 - p for q, p in enumerate(ones)]) for k in range(8)
    ]
    np.testing.assert_allclose(found, [expected], atol=1e-9)


@ENGINES
def test_empty_circuit(engine: Simulator) -> None:
    circuit = PhysicalCircuit(2, ())
    found = engine.probabilities(circuit, perfect(2), "II", no_folding(circuit))
    np.testing.assert_allclose(found, [[1, 0, 0, 0]], atol=1e-12)


def _ghz(num_qubits: int) -> PhysicalCircuit:
    gates = [NativeGate("rz", (0,), np.pi / 2), NativeGate("sx", (0,))]
    gates += [NativeGate("rz", (0,), np.pi / 2)]
    gates += [NativeGate("cx", (q, q + 1)) for q in range(num_qubits - 1)]
    return PhysicalCircuit(num_qubits, tuple(gates))


@ENGINES
def test_ghz_with_readout_errors(engine: Simulator) -> None:
    """(|0000> + |1111>) / sqrt 2 through an asymmetric readout, closed form."""
    up, down = (0.02, 0.05, 0.1, 0.0), (0.2, 0.1, 0.04, 0.3)
    ideal = perfect(4)
    noise = DeviceNoise(ideal.one_qubit, ideal.two_qubit, up, down)
    circuit = _ghz(4)
    found = engine.probabilities(circuit, noise, "ZZZZ", no_folding(circuit))[0]
    for bits in product((0, 1), repeat=4):
        from_zeros = np.prod([up[q] if b else 1 - up[q] for q, b in enumerate(bits)])
        from_ones = np.prod([1 - down[q] if b else down[q] for q, b in enumerate(bits)])
        index = sum(b << q for q, b in enumerate(bits))
        assert found[index] == pytest.approx((from_zeros + from_ones) / 2, abs=1e-9)


@ENGINES
def test_folded_depolarizing_closed_form(engine: Simulator) -> None:
    """<XX> and <ZZ> of a Bell pair decay as (1 - p)^fold under depolarising noise."""
    circuit, noise = _ghz(2), depolarizing(2, 0.07)
    folds = np.array([[1], [3], [9]])
    for basis in ("ZZ", "XX"):
        found = engine.probabilities(circuit, noise, basis, folds)
        values = found @ np.array([1, -1, -1, 1])
        np.testing.assert_allclose(values, 0.93 ** folds[:, 0], atol=1e-9)


@ENGINES
def test_direction_of_asymmetric_gates_and_their_noise(engine: Simulator) -> None:
    """cx(1, 0) and cx(0, 1) on |01> differ, and each takes its own direction's noise."""
    both = depolarizing(2, 0.0)
    noise = DeviceNoise(
        both.one_qubit,
        {(0, 1): both.two_qubit[0, 1], (1, 0): depolarizing(2, 0.4).two_qubit[1, 0]},
        (0.0, 0.0),
        (0.0, 0.0),
    )
    flip = NativeGate("x", (0,))
    forward = PhysicalCircuit(2, (flip, NativeGate("cx", (0, 1))))
    backward = PhysicalCircuit(2, (flip, NativeGate("cx", (1, 0))))
    one_row = no_folding(forward)
    forward_found = engine.probabilities(forward, noise, "ZZ", one_row)[0]
    backward_found = engine.probabilities(backward, noise, "ZZ", one_row)[0]
    np.testing.assert_allclose(forward_found, [0, 0, 0, 1], atol=1e-9)
    np.testing.assert_allclose(backward_found, [0.1, 0.7, 0.1, 0.1], atol=1e-9)


@ENGINES
@pytest.mark.parametrize("folds", [[[2]], [[-1]], [[0]], [[1, 1]], [[]], [1]])
def test_wrong_folds_are_a_slip_of_the_caller(engine: Simulator, folds: list[int]) -> None:
    circuit = PhysicalCircuit(2, (NativeGate("cx", (0, 1)),))
    with pytest.raises(ValueError, match="folds"):
        engine.probabilities(circuit, perfect(2), "ZZ", np.array(folds, dtype=np.int64))


@pytest.mark.slow
@ENGINES
def test_widest_circuit(engine: Simulator) -> None:
    """GHZ at the engine's limit, far pairs included: parity decays by the gates in its cone."""
    count = min(engine.max_qubits, 12)
    circuit, noise = _ghz(count), depolarizing(count, 0.01)
    found = engine.probabilities(circuit, noise, "Z" * count, no_folding(circuit))[0]
    ends = np.array([1 if (k & 1) == (k >> (count - 1)) else -1 for k in range(2**count)])
    assert found @ ends == pytest.approx(0.99 ** (count - 1), abs=1e-9)


@pytest.mark.parametrize("count", [10, 12])
def test_many_qubits_with_far_pairs(count: int) -> None:
    """Pairs that do not lie side by side in memory, against the statevector."""
    rng = np.random.default_rng(7)
    circuit = random_native(count, 60, "cx", rng)
    found = CHANNEL.probabilities(circuit, perfect(count), "Z" * count, no_folding(circuit))[0]
    expected = Statevector(qasm2.loads(circuit.to_qasm())).probabilities()
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_memory_bounds_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise factors carried one by one, as wide circuits are, give the very bits of all at once."""
    rng = np.random.default_rng(3)
    circuit, noise = random_native(6, 40, "cx", rng), random_noise(6, rng)
    folds = rng.choice([1, 3, 5], (5, circuit.two_qubit_gate_count))
    at_once = CHANNEL.probabilities(circuit, noise, "XYZZYX", folds)
    for rows in (1, 2):
        monkeypatch.setattr("quantumai.backends.channel_simulator._LARGEST_PASS", rows * 4**6)
        found = CHANNEL.probabilities(circuit, noise, "XYZZYX", folds)
        np.testing.assert_array_equal(found, at_once)


def test_twelve_qubits_take_bounded_memory() -> None:
    """Three noise factors need no more than a vector of 4**12 components and a block's result."""
    circuit = random_native(12, 80, "cx", np.random.default_rng(1))
    folds = np.array([[1], [3], [5]]) * no_folding(circuit)
    tracemalloc.start()
    CHANNEL.probabilities(circuit, depolarizing(12, 0.01), "Z" * 12, folds)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 4**12 * 8 < peak < 2.1 * 4**12 * 8
