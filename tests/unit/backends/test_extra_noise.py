"""Noise beyond the calibration: each term by hand, and all together against Aer."""

from __future__ import annotations

from dataclasses import replace
from math import cos, exp, pi

import numpy as np
import pytest

from quantumai.backends.aer_simulator import AerSimulator
from quantumai.backends.channel_simulator import ChannelSimulator
from quantumai.backends.extra_noise import FRIENDLY, UNFRIENDLY, ExtraNoise, true_noise
from quantumai.backends.noise import DeviceNoise, IdleNoise, device_noise
from quantumai.backends.physical_circuit import NativeGate, PhysicalCircuit
from quantumai.errors import BadInputError
from quantumai.randomness import RootSeed
from tests.synthetic_devices import both_ways, device, perfect, random_native, random_noise

CHANNEL, AER = ChannelSimulator(), AerSimulator()
LINE = both_ways([(0, 1), (1, 2), (2, 3)])
TERMS = {
    "over-rotation": {"over_rotation_rad"},
    "idle relaxation": {"relaxes"},
    "crosstalk": {"zz_crosstalk_hz"},
    "all": {"over_rotation_rad", "relaxes", "zz_crosstalk_hz"},
}


def _noise(num_qubits: int, terms: set[str], rng: np.random.Generator) -> DeviceNoise:
    noise = random_noise(num_qubits, rng)
    idle = IdleNoise(
        "relaxes" in terms,
        80e3 if "zz_crosstalk_hz" in terms else 0.0,
        tuple((q, q + 1) for q in range(num_qubits - 1)),
    )
    turns = {edge: float(rng.normal(0, 0.2)) for edge in noise.two_qubit}
    return replace(
        noise,
        over_rotation_rad=turns if "over_rotation_rad" in terms else {},
        idle=idle if idle.relaxes or idle.zz_crosstalk_hz else None,
    )


@pytest.mark.parametrize("gate", ["cx", "cz", "ecr"])
@pytest.mark.parametrize("name", TERMS)
def test_the_engines_agree_on_every_term(name: str, gate: str) -> None:
    for seed in range(6):
        rng = np.random.default_rng(seed)
        num_qubits = int(rng.integers(2, 6))
        circuit = random_native(num_qubits, 24, gate, rng)
        noise = _noise(num_qubits, TERMS[name], rng)
        basis = "".join(rng.choice(list("XYZ"), num_qubits))
        folds = rng.choice([1, 3, 5], (2, circuit.two_qubit_gate_count))
        ours = CHANNEL.probabilities(circuit, noise, basis, folds)
        theirs = AER.probabilities(circuit, noise, basis, folds)
        np.testing.assert_allclose(ours, theirs, atol=1e-9)
        plain = CHANNEL.probabilities(circuit, _noise(num_qubits, set(), rng), basis, folds)
        assert np.abs(ours - plain).max() > 1e-6  # the term does something


def _plus(*qubits: int) -> list[NativeGate]:
    """|+> up to a phase, by gates of no length and no error."""
    return [g for q in qubits for g in (NativeGate("rz", (q,), pi / 2), NativeGate("sx", (q,)))]


def _waits(num_qubits: int, pair: tuple[int, int], duration_s: float) -> DeviceNoise:
    """Perfect but for waiting while `pair` runs a gate of that length; T1 50, T2 40 us."""
    noise = perfect(num_qubits)
    long = replace(noise.two_qubit[pair], duration_s=duration_s)
    real = [replace(gate, t1_s=(50e-6,), t2_s=(40e-6,)) for gate in noise.one_qubit]
    return replace(noise, one_qubit=tuple(real), two_qubit={**noise.two_qubit, pair: long})


def _value(circuit: PhysicalCircuit, noise: DeviceNoise, basis: str, fold: int = 1) -> float:
    folds = np.full((1, circuit.two_qubit_gate_count), fold)
    (row,) = CHANNEL.probabilities(circuit, noise, basis, folds)
    first = row.reshape(-1, 2).sum(axis=0)
    return float(first[0] - first[1])


@pytest.mark.parametrize("fold", [1, 3, 5])
def test_a_qubit_that_waits_decays_with_t2(fold: int) -> None:
    noise = replace(_waits(3, (1, 2), 2e-6), idle=IdleNoise(True, 0.0, ()))
    circuit = PhysicalCircuit(3, (*_plus(0), NativeGate("cz", (1, 2))))
    at_rest = _value(circuit, replace(noise, idle=None), "IIY", fold)
    assert abs(at_rest) == pytest.approx(1)
    assert _value(circuit, noise, "IIY", fold) / at_rest == pytest.approx(exp(-fold * 2e-6 / 40e-6))


@pytest.mark.parametrize("fold", [1, 3])
def test_two_that_wait_together_turn_each_other(fold: int) -> None:
    """<Y> of |++> under the static rate zeta is cos(pi zeta t)."""
    rate = 60e3
    noise = replace(_waits(4, (2, 3), 2e-6), idle=IdleNoise(False, rate, ((0, 1), (1, 2))))
    circuit = PhysicalCircuit(4, (*_plus(0, 1), NativeGate("cz", (2, 3))))
    at_rest = _value(circuit, replace(noise, idle=None), "IIIY", fold)
    found = _value(circuit, noise, "IIIY", fold) / at_rest
    assert found == pytest.approx(cos(pi * rate * fold * 2e-6))


def test_an_over_rotation_adds_up_under_folding() -> None:
    """|+> of the target of a cz turned by theta about ZZ: <X> falls by cos(f theta)."""
    noise = replace(perfect(2), over_rotation_rad={(0, 1): 0.1})
    circuit = PhysicalCircuit(2, (*_plus(0, 1), NativeGate("cz", (0, 1))))
    plain = perfect(2)
    for basis in ("XX", "XY", "YX", "YY", "ZX", "ZY", "XZ", "YZ"):
        for fold in (1, 3, 5):
            folds = np.array([[fold]])
            ours = CHANNEL.probabilities(circuit, noise, basis, folds)
            turned = PhysicalCircuit(
                2,
                (
                    *circuit.gates,
                    NativeGate("cx", (0, 1)),
                    NativeGate("rz", (1,), 0.1 * fold),
                    NativeGate("cx", (0, 1)),
                ),
            )
            theirs = CHANNEL.probabilities(turned, plain, basis, np.ones((1, 3), dtype=int))
            np.testing.assert_allclose(ours, theirs, atol=1e-12)


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


@pytest.mark.parametrize(
    "terms", [{"over_rotation_rad": -0.1}, {"readout_drift": 2.0}, {"zz_crosstalk_hz": 1e9}]
)
def test_terms_out_of_range(terms: dict[str, float]) -> None:
    with pytest.raises(BadInputError, match="extra noise"):
        true_noise(device(LINE, num_qubits=4), (0, 1), ExtraNoise(**terms), RootSeed.of("1"))
