"""Noise beyond the calibration: what is drawn, how strong it is, and what an over-rotation does."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from importlib.resources import files
from itertools import product
from math import pi

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit.library import RXGate, XGate, ZGate
from qiskit.quantum_info import PTM, Operator, Statevector

from quantumai.backends.channel_simulator import ChannelSimulator
from quantumai.backends.extra_noise import (
    FRIENDLY,
    LIAO_2024,
    UNFRIENDLY,
    ExtraNoise,
    true_noise,
)
from quantumai.backends.noise import device_noise
from quantumai.backends.pauli_transfer import turn_transfer
from quantumai.backends.physical_circuit import (
    NativeGate,
    PhysicalCircuit,
    measurement_rotations,
)
from quantumai.errors import BadInputError
from quantumai.randomness import RootSeed
from tests.synthetic_devices import both_ways, device, perfect

pytestmark = pytest.mark.slow

CHANNEL = ChannelSimulator()
LINE = both_ways([(0, 1), (1, 2), (2, 3)])


def test_a_controlled_over_rotation_is_that_of_liao() -> None:
    """Their error unitary, (|0><0| I + i |1><1| RX(pi + theta)) CX, against drawn angles."""
    snapshot = device(LINE, num_qubits=4)
    noise = true_noise(snapshot, (1, 2), LIAO_2024, RootSeed.of("1"))
    theta = 2 * noise.target_turn_rad[0, 1]
    assert 0 < theta < 0.04 * pi
    x, z = Operator(XGate()), Operator(ZGate())
    up, down = ((Operator(np.eye(2)) + sign * z) * 0.5 for sign in (1, -1))
    over_rotated = Operator(np.eye(2)).tensor(up) + 1j * Operator(RXGate(pi + theta)).tensor(down)
    cx = Operator(np.eye(2)).tensor(up) + x.tensor(down)
    expected = np.real(PTM(over_rotated @ cx).data).reshape(4, 4, 4, 4)
    ours = turn_transfer("ZX", noise.over_rotation_rad[0, 1]) @ turn_transfer("IX", theta / 2)
    # theirs counts the last qubit first
    np.testing.assert_allclose(ours.reshape(4, 4, 4, 4), expected.transpose(1, 0, 3, 2), atol=1e-12)


@pytest.mark.parametrize(
    ("gate", "turn", "adds_up"), [("cz", "rzz", True), ("cx", "rzx", True), ("ecr", "rzx", False)]
)
def test_an_over_rotation_under_folding(gate: str, turn: str, adds_up: bool) -> None:
    """f theta after f gates, against Qiskit; an ecr turns every second one back."""
    noise = replace(perfect(2), over_rotation_rad={(0, 1): 0.1})
    before = [NativeGate("sx", (0,)), NativeGate("sx", (1,)), NativeGate("rz", (1,), 0.4)]
    before += [NativeGate("rz", (0,), 1.1), NativeGate("sx", (1,))]
    circuit = PhysicalCircuit(2, (*before, NativeGate(gate, (0, 1))))
    for basis, fold in product(("XX", "YZ", "ZY", "ZZ"), (1, 3, 5)):
        turned = QuantumCircuit(2)
        _append(turned, circuit.gates)
        getattr(turned, turn)(0.1 * (fold if adds_up else 1), 0, 1)
        _append(turned, measurement_rotations(basis))
        (found,) = CHANNEL.probabilities(circuit, noise, basis, np.array([[fold]]))
        np.testing.assert_allclose(found, Statevector(turned).probabilities(), atol=1e-12)


def _append(circuit: QuantumCircuit, gates: Iterable[NativeGate]) -> None:
    for gate in gates:
        arguments = (gate.angle, *gate.qubits) if gate.name == "rz" else gate.qubits
        getattr(circuit, gate.name)(*arguments)


def test_friendly_noise_is_what_the_calibration_says() -> None:
    snapshot = device(LINE, num_qubits=4)
    seed = RootSeed.of("1")
    assert true_noise(snapshot, (1, 2), FRIENDLY, seed) == device_noise(snapshot, (1, 2))


def test_what_is_drawn_belongs_to_the_device() -> None:
    snapshot = device(LINE, num_qubits=4)
    seed = RootSeed.of("1")
    whole = true_noise(snapshot, (0, 1, 2, 3), UNFRIENDLY, seed)
    part = true_noise(snapshot, (2, 1), UNFRIENDLY, seed)
    assert part.over_rotation_rad[0, 1] == whole.over_rotation_rad[2, 1]
    assert whole.over_rotation_rad[2, 1] == whole.over_rotation_rad[1, 2]
    assert part.prob_meas1_prep0[0] == whole.prob_meas1_prep0[2]
    assert len(set(whole.over_rotation_rad.values())) == 3
    directed = true_noise(snapshot, (0, 1, 2, 3), LIAO_2024, seed).target_turn_rad
    assert len(set(directed.values())) == 6
    assert directed[2, 1] == true_noise(snapshot, (2, 1), LIAO_2024, seed).target_turn_rad[0, 1]
    assert part.idle is not None
    assert part.idle.neighbours == ((0, 1),)
    other = true_noise(snapshot, (0, 1, 2, 3), UNFRIENDLY, RootSeed.of("2"))
    assert other.over_rotation_rad != whole.over_rotation_rad
    calibrated = device_noise(snapshot, (0, 1, 2, 3))
    assert whole.prob_meas1_prep0 != calibrated.prob_meas1_prep0
    assert whole.two_qubit == calibrated.two_qubit


def test_terms_have_the_spread_that_they_say() -> None:
    snapshot = device(LINE, num_qubits=4)
    seeds = [RootSeed.of(str(n)) for n in range(400)]
    wanted = ExtraNoise(over_rotation_rad=0.05, fixed_over_rotation_rad=0.02, readout_drift=0.2)
    drawn = [true_noise(snapshot, (0, 1), wanted, seed) for seed in seeds]
    angles = np.array([noise.over_rotation_rad[0, 1] for noise in drawn])
    assert angles.mean() == pytest.approx(0.02, abs=4 * 0.05 / 20)
    assert angles.std() == pytest.approx(0.05, rel=0.15)
    drift = np.log([noise.prob_meas1_prep0[0] / 0.01 for noise in drawn])
    assert drift.std() == pytest.approx(0.2, rel=0.15)
    evenly = [true_noise(snapshot, (0, 1), LIAO_2024, seed).target_turn_rad[0, 1] for seed in seeds]
    assert np.mean(evenly) == pytest.approx(0.01 * pi, rel=0.1)
    assert np.std(evenly) == pytest.approx(0.02 * pi / np.sqrt(12), rel=0.1)


def test_no_drift_leaves_even_a_bad_readout_alone() -> None:
    snapshot = device(LINE, num_qubits=4, readout=(0.48, 0.3))
    seed = RootSeed.of("1")
    still = true_noise(snapshot, (0, 1), ExtraNoise(idle_relaxation=True), seed)
    assert still.prob_meas1_prep0 == (0.48, 0.48)
    wild = true_noise(snapshot, (0, 1, 2, 3), ExtraNoise(readout_drift=1.0), seed)
    assert max(*wild.prob_meas1_prep0, *wild.prob_meas0_prep1) <= 0.48


@pytest.mark.parametrize(
    "terms",
    [
        ExtraNoise(over_rotation_rad=-0.1),
        ExtraNoise(controlled_over_rotation_rad=float("nan")),
        ExtraNoise(readout_drift=2.0),
        ExtraNoise(zz_crosstalk_hz=1e9),
    ],
)
def test_terms_out_of_range(terms: ExtraNoise) -> None:
    with pytest.raises(BadInputError, match="extra noise"):
        true_noise(device(LINE, num_qubits=4), (0, 1), terms, RootSeed.of("1"))


def test_the_default_crosstalk_is_what_devices_publish() -> None:
    """The static ZZ rates in the packaged properties of devices with fixed couplers."""
    root = files("qiskit_ibm_runtime") / "fake_provider" / "backends"
    rates_hz = []
    for name in ("lima", "nairobi", "guadalupe", "kolkata", "hanoi", "washington", "brisbane"):
        properties = json.loads((root / name / f"props_{name}.json").read_text())
        published = [e for e in properties["general"] if e["name"].startswith("zz_")]
        assert {e["unit"] for e in published} == {"GHz"}
        rates_hz += [abs(e["value"]) * 1e9 for e in published]
    low, high = np.percentile(rates_hz, [25, 75])
    assert low < UNFRIENDLY.zz_crosstalk_hz < high


def test_the_default_over_rotation_is_as_strong_as_liaos() -> None:
    """Average gate infidelity, d (1 - F_p) / (d + 1), both by the trace of the error's matrix."""
    thetas = np.linspace(0, LIAO_2024.controlled_over_rotation_rad, 201)
    theirs = [turn_transfer("ZX", -t / 2) @ turn_transfer("IX", t / 2) for t in thetas]
    draws = UNFRIENDLY.over_rotation_rad * np.random.default_rng(1).standard_normal(4000)
    ours = [turn_transfer("ZX", angle) for angle in draws]
    lost = [
        np.mean([0.8 * (1 - np.trace(turn) / 16) for turn in turns]) for turns in (ours, theirs)
    ]
    assert lost[0] == pytest.approx(5e-4, rel=0.1)
    assert lost[1] == pytest.approx(lost[0], rel=0.15)
