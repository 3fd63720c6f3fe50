"""Several methods on one simulation; calibration circuits; what is spent; the equal-shot twin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from quantumai.backends.aer_simulator import AerSimulator
from quantumai.backends.channel_simulator import ChannelSimulator
from quantumai.backends.noise import DeviceNoise
from quantumai.backends.physical_circuit import PhysicalCircuit
from quantumai.backends.simulator import Simulator
from quantumai.circuits.circuit import Circuit
from quantumai.circuits.families.mixed import family_circuit
from quantumai.circuits.ideal import ideal_values
from quantumai.errors import BadInputError
from quantumai.execution.equal_shot import equal_shot_twin, run_with_twins
from quantumai.execution.exact_run import simulate
from quantumai.execution.run import Outcome, draw_method, run_method, run_methods
from quantumai.execution.transpile import TranspiledCircuit, Transpiler
from quantumai.mitigation.entry_points import make_method
from quantumai.mitigation.methods import Method
from quantumai.mitigation.readout import Confusion
from quantumai.randomness import RootSeed
from tests.synthetic_devices import both_ways, depolarizing, device, perfect, random_noise

pytestmark = pytest.mark.slow

CHANNEL = ChannelSimulator()
HUGE = 10**10
FAMILIES = ("random", "trotter", "qaoa", "vqe")
VARIANTS: dict[str, Method] = {
    "none": make_method("none", {}),
    "rem": make_method("rem", {}),
    "rem by circuits": make_method("rem", {"confusion": "circuits"}),
    "linear": make_method("zne", {}),
    "polynomial": make_method("zne", {"extrapolation": "polynomial"}),
    "exponential": make_method("zne", {"extrapolation": "exponential"}),
    "exponential 135": make_method(
        "zne", {"extrapolation": "exponential", "noise_factors": [1, 3, 5]}
    ),
    "richardson": make_method("richardson", {}),
    "rem+zne": make_method("rem+zne", {}),
    "rem+zne by circuits": make_method(
        "rem+zne", {"confusion": "circuits", "noise_factors": [1, 3, 5]}
    ),
    "rem+exponential by circuits": make_method(
        "rem+zne",
        {"confusion": "circuits", "extrapolation": "exponential", "noise_factors": [1, 3, 5]},
    ),
}
ALL = pytest.mark.parametrize("name", VARIANTS)
BY_CIRCUITS = [name for name in VARIANTS if "by circuits" in name]
BELIEVED = Confusion(np.full(5, 0.01), np.full(5, 0.02))


def _line(num_qubits: int) -> Any:
    edges = both_ways([(q, q + 1) for q in range(num_qubits - 1)])
    return device(edges, num_qubits=num_qubits, error=0.004)


def _prepared(
    family: str, num_qubits: int, seed: int
) -> tuple[Circuit, tuple[str, ...], TranspiledCircuit]:
    made = family_circuit(family, num_qubits, seed)
    transpiled = Transpiler(made.circuit).transpile(_line(num_qubits))
    return made.circuit, made.observables, transpiled


def _run(
    method: Method,
    shots: int,
    transpiled: TranspiledCircuit,
    observables: Sequence[str],
    noise: DeviceNoise,
    *,
    seed: str = "1",
    simulator: Simulator = CHANNEL,
) -> Outcome:
    size = transpiled.circuit.num_qubits
    return run_method(
        transpiled,
        observables,
        method,
        shots,
        noise=noise,
        confusion=Confusion(np.full(size, 0.01), np.full(size, 0.02)),
        simulator=simulator,
        seed=RootSeed.of(seed),
    )


def _same(one: Outcome, other: Outcome) -> None:
    for name in ("counts", "noise_factors", "raw", "raw_std_errs", "calibration_counts"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    np.testing.assert_array_equal(one.mitigated.values, other.mitigated.values)
    np.testing.assert_array_equal(one.mitigated.std_errs, other.mitigated.std_errs)
    assert one.mitigated.fallbacks == other.mitigated.fallbacks
    assert (one.spent, one.bases) == (other.spent, other.bases)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    st.sampled_from(FAMILIES),
    st.integers(4, 7),
    st.integers(0, 99),
    st.lists(st.sampled_from(list(VARIANTS)), min_size=1, max_size=8),
    st.booleans(),
    st.sampled_from([40, 1000]),
)
def test_together_as_alone(
    family: str, size: int, seed: int, names: list[str], one_seed: bool, shots: int
) -> None:
    """Bit for bit, whatever runs beside it, with seeds of their own or one for all."""
    _, observables, transpiled = _prepared(family, size, seed)
    noise = random_noise(size, np.random.default_rng(seed))
    methods = [VARIANTS[name] for name in names]
    seeds = ["x" if one_seed else str(index) for index in range(len(names))]
    together = run_methods(
        transpiled,
        observables,
        methods,
        shots,
        noise=noise,
        confusion=Confusion(np.full(size, 0.01), np.full(size, 0.02)),
        simulator=CHANNEL,
        seeds=[RootSeed.of(text) for text in seeds],
    )
    assert len(together) == len(names)
    for outcome, method, text in zip(together, methods, seeds, strict=True):
        _same(outcome, _run(method, shots, transpiled, observables, noise, seed=text))


class _Counting:
    """The channel simulator, and which bases and how many rows it was asked for."""

    name = "counting"
    max_qubits = 10

    def __init__(self) -> None:
        self.calls: list[tuple[str, int, int]] = []

    def probabilities(
        self, circuit: PhysicalCircuit, noise: DeviceNoise, basis: str, folds: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        assert len(np.unique(folds, axis=0)) == len(folds)
        self.calls.append((basis, len(folds), circuit.two_qubit_gate_count))
        return CHANNEL.probabilities(circuit, noise, basis, folds)


def test_one_call_per_basis_over_distinct_rows() -> None:
    """Factors 1, 3 and 5 are shared by all; 2 and 4 fold a subset by each method's own seed."""
    _, observables, transpiled = _prepared("vqe", 5, 1)
    counting = _Counting()
    outcomes = run_methods(
        transpiled,
        observables,
        list(VARIANTS.values()),
        900,
        noise=depolarizing(5, 0.01),
        confusion=BELIEVED,
        simulator=counting,
        seeds=[RootSeed.of(str(index)) for index in range(len(VARIANTS))],
    )
    bases = outcomes[0].bases
    fractional = sum(
        factor in (2.0, 4.0) for method in VARIANTS.values() for factor in method.noise_factors
    )
    gates = transpiled.circuit.two_qubit_gate_count
    assert counting.calls[: len(bases)] == [(basis, 3 + fractional, gates) for basis in bases]
    assert counting.calls[len(bases) :] == [("ZZZZZ", 1, 0)] * 2  # one pair for three methods


@ALL
def test_what_is_spent_is_what_is_priced(name: str) -> None:
    method = VARIANTS[name]
    _, observables, transpiled = _prepared("vqe", 5, 1)
    outcome = _run(method, 8000, transpiled, observables, depolarizing(5, 0.01))
    spent = outcome.spent
    assert spent.total_shots == outcome.shots_spent == 8000 * method.shot_multiplier
    assert spent.shots == 8000 * len(method.noise_factors)
    assert spent.circuits == len(outcome.bases) * len(method.noise_factors)
    by_circuits = name in BY_CIRCUITS
    assert spent.total_circuits == spent.circuits + 2 * by_circuits
    assert (spent.calibration_shots, spent.calibration_circuits) == ((0, 0), (2000, 2))[by_circuits]
    odd = _run(method, 1001, transpiled, observables, depolarizing(5, 0.01)).spent.total_shots
    assert 0 <= odd - 1001 * method.shot_multiplier < 2  # whole shots for each preparation


def _noise(readout: tuple[float, float], one_qubit: float = 0.0) -> DeviceNoise:
    gates = depolarizing(5, 0.0, one_qubit)
    return DeviceNoise(gates.one_qubit, gates.two_qubit, (readout[0],) * 5, (readout[1],) * 5)


def test_calibration_circuits_see_the_true_readout_and_the_calibration_does_not() -> None:
    circuit, observables, transpiled = _prepared("vqe", 5, 2)
    noise = _noise((0.05, 0.09))  # believed: 0.01 and 0.02
    ideal = ideal_values(circuit, observables)
    measured, believed = (
        _run(VARIANTS[name], HUGE, transpiled, observables, noise).mitigated
        for name in ("rem by circuits", "rem")
    )
    np.testing.assert_allclose(measured.values, ideal, atol=1e-3)
    assert np.abs(believed.values - ideal).max() > 0.05
    assert measured.fallbacks == ("",) * len(observables)


@pytest.mark.parametrize("simulator", [CHANNEL, AerSimulator()], ids=["channel", "aer"])
def test_the_preparation_has_gate_noise_of_its_own(simulator: Simulator) -> None:
    """An X that depolarises by p leaves p/2 in 0, which reads as an error of readout."""
    _, observables, transpiled = _prepared("vqe", 5, 2)
    noise = _noise((0.05, 0.09), one_qubit=0.02)
    method = VARIANTS["rem by circuits"]
    outcome = _run(method, HUGE, transpiled, observables, noise, simulator=simulator)
    assert outcome.calibration_counts is not None
    shares = outcome.calibration_counts / outcome.calibration_counts.sum(axis=1, keepdims=True)
    by_bit = shares.reshape(2, *(2,) * 5)
    for axis in range(1, 6):
        read_one = by_bit.sum(axis=tuple(a for a in range(1, 6) if a != axis))[:, 1]
        assert read_one == pytest.approx([0.05, 1 - (0.99 * 0.09 + 0.01 * 0.95)], abs=1e-4)


@pytest.mark.parametrize("name", BY_CIRCUITS)
def test_where_readout_says_nothing_raw_values_stand_in_and_are_named(name: str) -> None:
    """Qubits that read 0 and 1 alike cannot be corrected; the others are."""
    _, observables, transpiled = _prepared("random", 5, 2)
    good = perfect(5, 0.02)
    dead = DeviceNoise(
        good.one_qubit, good.two_qubit, (0.5, *good.prob_meas1_prep0[1:]), (0.5, *(0.02,) * 4)
    )
    outcome = _run(VARIANTS[name], 20000, transpiled, observables, dead)
    touched = [transpiled.place(pauli).endswith("Z") for pauli in observables]
    expected = "none" if name == "rem by circuits" else "zne"
    estimate = outcome.mitigated
    assert any(touched)
    for index, touches in enumerate(touched):
        if touches:
            assert estimate.fallbacks[index] in (expected, "linear on raw values")
            assert abs(estimate.values[index]) < 6 * estimate.std_errs[index]
        else:
            assert estimate.fallbacks[index] in ("", "linear")
    assert np.all(np.isfinite(estimate.values))


@pytest.mark.slow
@ALL
def test_stated_errors_hold_over_repeated_draws(name: str) -> None:
    """Spread of 400 runs on one simulation against the stated errors, within 15 %.

    All streams are drawn anew, calibration circuits too. Folds of factors 2 and 4 are random
    subsets; equal gates and pure depolarising keep their influence below the shot noise.
    """
    method = VARIANTS[name]
    _, observables, transpiled = _prepared("vqe", 4, 3)
    gates = depolarizing(4, 0.02, 0.001)
    noise = DeviceNoise(gates.one_qubit, gates.two_qubit, (0.03,) * 4, (0.06,) * 4)
    confusion = Confusion(np.full(4, 0.03), np.full(4, 0.06))
    seeds = [RootSeed.of(str(index)) for index in range(400)]
    exact = simulate(
        transpiled, observables, [method] * 400, noise=noise, simulator=CHANNEL, seeds=seeds
    )
    runs = [draw_method(exact, method, 1500, confusion=confusion, seed=seed) for seed in seeds]
    spread = np.std([run.mitigated.values for run in runs], axis=0, ddof=1)
    stated = np.sqrt(np.mean([run.mitigated.std_errs**2 for run in runs], axis=0))
    np.testing.assert_allclose(stated, spread, rtol=0.15)


def test_calibration_shots_are_felt_in_the_standard_errors() -> None:
    """The fewer of them, the larger; that this is right is tested over repeated draws."""
    _, observables, transpiled = _prepared("vqe", 5, 2)
    noise = _noise((0.05, 0.09))
    errors = [
        _run(
            make_method("rem", {"confusion": "circuits", "calibration_share": share}),
            4000,
            transpiled,
            observables,
            noise,
        ).mitigated.std_errs.mean()
        for share in (0.02, 0.25, 10.0)
    ]
    plain = _run(VARIANTS["rem"], 4000, transpiled, observables, noise).raw_std_errs.mean()
    assert errors == sorted(errors, reverse=True)
    assert errors[2] > plain


def test_equal_shot_twin() -> None:
    """Raw values at the method's total, from shots of its own."""
    circuit, observables, transpiled = _prepared("trotter", 5, 4)
    noise, seed = depolarizing(5, 0.01), RootSeed.of("twin")
    methods = [VARIANTS["none"], VARIANTS["linear"]]
    exact = simulate(
        transpiled, observables, methods, noise=noise, simulator=CHANNEL, seeds=[seed] * 2
    )
    plain, linear = (
        draw_method(exact, method, 3000, confusion=BELIEVED, seed=seed) for method in methods
    )
    twin = equal_shot_twin(exact, linear.spent.total_shots, seed)
    assert twin.total_shots == 9000
    np.testing.assert_allclose(twin.raw_std_errs, plain.raw_std_errs / np.sqrt(3), rtol=0.1)
    beside = equal_shot_twin(exact, plain.spent.total_shots, seed)
    assert np.any(beside.raw != plain.raw)  # other shots, the same distribution
    distance = (beside.raw - plain.raw) / np.hypot(beside.raw_std_errs, plain.raw_std_errs)
    assert np.abs(distance).max() < 4.5
    np.testing.assert_array_equal(beside.raw, equal_shot_twin(exact, 3000, seed).raw)
    alone = simulate(transpiled, observables, [], noise=noise, simulator=CHANNEL, seeds=[])
    np.testing.assert_array_equal(beside.raw, equal_shot_twin(alone, 3000, seed).raw)
    noiseless = simulate(transpiled, observables, [], noise=perfect(5), simulator=CHANNEL, seeds=[])
    ideal = ideal_values(circuit, observables)
    np.testing.assert_allclose(equal_shot_twin(noiseless, HUGE, seed).raw, ideal, atol=1e-4)
    two_bases = tuple(f"{'I' * 4}{letter}" for letter in "XZ")
    few = simulate(transpiled, two_bases, [], noise=noise, simulator=CHANNEL, seeds=[])
    with pytest.raises(BadInputError, match="1 shots do not cover 2"):
        equal_shot_twin(few, 1, seed)


def test_twins_come_with_the_same_outcomes() -> None:
    _, observables, transpiled = _prepared("qaoa", 5, 4)
    methods = list(VARIANTS.values())
    arguments: dict[str, Any] = {
        "noise": depolarizing(5, 0.01),
        "confusion": BELIEVED,
        "simulator": CHANNEL,
        "seeds": [RootSeed.of(str(index)) for index in range(len(methods))],
    }
    twinned = run_with_twins(transpiled, observables, methods, 700, **arguments)
    outcomes = run_methods(transpiled, observables, methods, 700, **arguments)
    for run, outcome in zip(twinned, outcomes, strict=True):
        _same(run.outcome, outcome)
        assert run.twin.total_shots == outcome.spent.total_shots
        assert np.any(run.twin.raw != outcome.raw)
