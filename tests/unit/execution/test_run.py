"""One circuit, one method, end to end: shots, streams, bases, bias, and both engines."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit import QuantumCircuit

from quantumai.backends.aer_simulator import AerSimulator
from quantumai.backends.channel_simulator import ChannelSimulator
from quantumai.backends.noise import DeviceNoise, device_noise
from quantumai.backends.simulator import Simulator
from quantumai.circuits.circuit import Circuit
from quantumai.circuits.families.mixed import family_circuit
from quantumai.circuits.ideal import ideal_values
from quantumai.circuits.loading import from_qiskit
from quantumai.errors import BadInputError
from quantumai.execution.run import Outcome, calibrated_confusion, run_method, split_shots
from quantumai.execution.transpile import TranspiledCircuit, Transpiler
from quantumai.mitigation.methods import METHODS
from quantumai.mitigation.readout import Confusion
from quantumai.randomness import RootSeed
from tests.synthetic_devices import both_ways, depolarizing, device, perfect

T_SHAPED = device(both_ways([(0, 1), (1, 2), (1, 3), (3, 4)]), num_qubits=5, readout=(0.02, 0.08))
CHANNEL = ChannelSimulator()
HUGE = 10**10
ALL_METHODS = pytest.mark.parametrize("name", METHODS)
# Three bases, and members of each that are not neighbours in the list.
MIXED = ("IIIZZ", "XIIII", "IIZII", "IIYIY", "ZIIZI", "XXIII", "IYIII", "ZZZZZ")


def _routed() -> Circuit:
    """All pairs interact, so that the router moves qubits about."""
    circuit = QuantumCircuit(5)
    for a in range(5):
        circuit.ry(0.4 * a + 0.3, a)
        for b in range(a):
            circuit.cp(0.5 + 0.1 * a * b, b, a)
        circuit.rx(0.3 + 0.2 * a, a)
    return from_qiskit(circuit)


ROUTED = _routed()
TRANSPILED = Transpiler(ROUTED).transpile(T_SHAPED)


def _run(
    name: str,
    shots: int,
    *,
    transpiled: TranspiledCircuit = TRANSPILED,
    observables: tuple[str, ...] = MIXED,
    noise: DeviceNoise | None = None,
    confusion: Confusion | None = None,
    simulator: Simulator = CHANNEL,
    seed: str = "7",
) -> Outcome:
    if noise is None:
        noise = device_noise(T_SHAPED, transpiled.physical_qubits)
    return run_method(
        transpiled,
        observables,
        METHODS[name],
        shots,
        noise=noise,
        confusion=confusion or calibrated_confusion(T_SHAPED, transpiled.physical_qubits),
        simulator=simulator,
        seed=RootSeed.of(seed),
    )


def test_routing_moved_something() -> None:
    assert TRANSPILED.positions != (0, 1, 2, 3, 4)


@ALL_METHODS
def test_noiseless_values_are_the_ideal_ones(name: str) -> None:
    """Every observable from the right basis and qubit, in the order asked for."""
    nothing = Confusion(np.zeros(5), np.zeros(5))
    outcome = _run(name, HUGE, noise=perfect(5), confusion=nothing)
    expected = ideal_values(ROUTED, MIXED)
    np.testing.assert_allclose(outcome.mitigated.values, expected, atol=3e-4)
    np.testing.assert_allclose(outcome.raw, expected, atol=3e-4)
    assert outcome.mitigated.fallbacks == ("",) * len(MIXED)


@ALL_METHODS
def test_shots_spent_are_those_announced(name: str) -> None:
    outcome = _run(name, 1001)
    assert outcome.shots_spent == 1001 * METHODS[name].shot_multiplier
    bases, factors, outcomes = outcome.counts.shape
    assert (bases, outcomes) == (len(outcome.bases), 32)
    assert factors == len(METHODS[name].noise_factors) == len(outcome.noise_factors)
    spent = outcome.counts.sum(axis=(1, 2))
    assert spent.max() - spent.min() <= factors


def test_split_shots() -> None:
    assert split_shots(10, 4) == [3, 3, 2, 2]
    assert split_shots(3, 3) == [1, 1, 1]
    with pytest.raises(BadInputError, match="2 shots do not cover 3") as caught:
        split_shots(2, 3)
    assert "3" in caught.value.hint


def test_too_few_shots_are_refused_before_anything_runs() -> None:
    with pytest.raises(BadInputError, match="measurement bases"):
        _run("none", 2)


@ALL_METHODS
def test_the_seed_decides_everything(name: str) -> None:
    one, again, other = (_run(name, 500, seed=seed) for seed in ("1", "1", "2"))
    np.testing.assert_array_equal(one.counts, again.counts)
    np.testing.assert_array_equal(one.mitigated.values, again.mitigated.values)
    np.testing.assert_array_equal(one.mitigated.std_errs, again.mitigated.std_errs)
    assert np.any(one.counts != other.counts)


@ALL_METHODS
def test_aer_draws_the_same_shots(name: str) -> None:
    """Probabilities equal to 1e-9 and the same streams: the same histograms."""
    circuit = family_circuit("trotter", 4, seed=1)
    transpiled = Transpiler(circuit.circuit).transpile(T_SHAPED)
    ours, theirs = (
        _run(name, 4000, transpiled=transpiled, observables=circuit.observables, simulator=engine)
        for engine in (CHANNEL, AerSimulator())
    )
    np.testing.assert_array_equal(ours.counts, theirs.counts)
    np.testing.assert_array_equal(ours.mitigated.values, theirs.mitigated.values)


def test_all_methods_see_the_same_raw_data() -> None:
    raw = [_run(name, 900).raw for name in METHODS]
    for other in raw[1:]:
        np.testing.assert_array_equal(other, raw[0])


def _readout_only() -> DeviceNoise:
    noise = device_noise(T_SHAPED, TRANSPILED.physical_qubits)
    ideal = perfect(5)
    return DeviceNoise(
        ideal.one_qubit, ideal.two_qubit, noise.prob_meas1_prep0, noise.prob_meas0_prep1
    )


def test_rem_is_unbiased_where_readout_is_the_only_error() -> None:
    outcome = _run("rem", HUGE, noise=_readout_only())
    expected = ideal_values(ROUTED, MIXED)
    np.testing.assert_allclose(outcome.mitigated.values, expected, atol=3e-4)
    assert np.abs(outcome.raw - expected).max() > 0.02


def test_the_mitigator_knows_only_the_calibrated_confusion() -> None:
    """Told that readout is perfect, rem returns the raw values of an imperfect one."""
    believed = Confusion(np.zeros(5), np.zeros(5))
    outcome = _run("rem", 4000, noise=_readout_only(), confusion=believed)
    np.testing.assert_allclose(outcome.mitigated.values, outcome.raw, atol=1e-12)
    np.testing.assert_allclose(outcome.mitigated.std_errs, outcome.raw_std_errs, atol=1e-12)


def test_zne_on_ghz_closed_form() -> None:
    """Four gates, so factors 1, 2, 3 are met exactly; XXXXX and its like see every gate."""
    circuit = QuantumCircuit(5)
    circuit.h(0)
    for q in range(4):
        circuit.cx(q, q + 1)
    line = device(both_ways([(q, q + 1) for q in range(4)]), num_qubits=5)
    transpiled = Transpiler(from_qiskit(circuit)).transpile(line)
    outcome = _run(
        "zne",
        HUGE,
        transpiled=transpiled,
        observables=("XXXXX", "YYXXX"),
        noise=depolarizing(5, 0.02),
    )
    np.testing.assert_allclose(outcome.noise_factors, [1, 2, 3])
    decay = np.array([0.98**4, 0.98**8, 0.98**12])
    expected = decay @ np.array([4 / 3, 1 / 3, -2 / 3])
    np.testing.assert_allclose(outcome.raw, [decay[0], -decay[0]], atol=2e-4)
    np.testing.assert_allclose(outcome.mitigated.values, [expected, -expected], atol=2e-4)


@ALL_METHODS
def test_circuits_without_two_qubit_gates(name: str) -> None:
    """Nothing to fold: estimates stay finite and centred."""
    circuit = QuantumCircuit(1)
    circuit.ry(1.0, 0)
    transpiled = Transpiler(from_qiskit(circuit)).transpile(T_SHAPED)
    confusion = Confusion(np.zeros(1), np.zeros(1))
    outcome = _run(
        name,
        HUGE,
        transpiled=transpiled,
        observables=("Z", "X"),
        noise=perfect(1),
        confusion=confusion,
    )
    np.testing.assert_allclose(outcome.mitigated.values, [np.cos(1), np.sin(1)], atol=3e-4)
    assert np.all(np.isfinite(outcome.mitigated.std_errs))


def test_stated_errors_hold_over_seeds() -> None:
    """Scatter of rem+zne over seeds against its own standard errors, device noise and all.

    The folded subset is random too, so the scatter may be a little above the stated shot noise.
    """
    runs = [_run("rem+zne", 3000, seed=str(seed)).mitigated for seed in range(60)]
    scatter = np.std([run.values for run in runs], axis=0, ddof=1)
    stated = np.mean([run.std_errs for run in runs], axis=0)
    assert np.sqrt(np.mean(scatter**2 / stated**2)) == pytest.approx(1, abs=0.12)
