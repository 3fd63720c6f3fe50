"""Predicted RMSE against Monte Carlo, closed forms, and the orders it must give."""

from __future__ import annotations

import math

import numpy as np
import pytest
from qiskit import QuantumCircuit

from quantumai.backends.channel_simulator import ChannelSimulator
from quantumai.backends.noise import DeviceNoise
from quantumai.circuits.ideal import ideal_values
from quantumai.circuits.loading import from_qiskit
from quantumai.execution.run import run_method
from quantumai.execution.transpile import TranspiledCircuit, Transpiler
from quantumai.mitigation.methods import METHODS
from quantumai.mitigation.readout import Confusion
from quantumai.policy.prediction import SignalModel, precision_fidelity, predicted_rmse
from quantumai.randomness import RootSeed
from tests.synthetic_devices import both_ways, depolarizing, device

LINE = device(both_ways([(q, q + 1) for q in range(4)]), num_qubits=5)
STABILIZERS = ("IIIZZ", "ZIIIZ", "XXXXX", "IZZII", "YYXXX")  # all +1 or -1 on a GHZ state


def _ghz() -> QuantumCircuit:
    circuit = QuantumCircuit(5)
    circuit.h(0)
    for q in range(4):
        circuit.cx(q, q + 1)
    return circuit


GHZ = from_qiskit(_ghz())
TRANSPILED = Transpiler(GHZ).transpile(LINE)


def _noise(two_qubit: float, readout: tuple[float, float]) -> tuple[DeviceNoise, Confusion]:
    gates = depolarizing(5, two_qubit, 0.001)
    up, down = readout
    noise = DeviceNoise(gates.one_qubit, gates.two_qubit, (up,) * 5, (down,) * 5)
    return noise, Confusion(np.full(5, up), np.full(5, down))


def _model(
    two_qubit: float = 0.01,
    readout: tuple[float, float] = (0.02, 0.02),
    transpiled: TranspiledCircuit = TRANSPILED,
    observables: tuple[str, ...] = STABILIZERS,
) -> SignalModel:
    return SignalModel.of(transpiled, *_noise(two_qubit, readout), observables)


@pytest.mark.parametrize("shots", [300, 30_000])
@pytest.mark.parametrize("name", METHODS)
def test_against_monte_carlo(name: str, shots: int) -> None:
    """RMSE of forty seeded runs: shot noise dominates one case, bias the other."""
    noise, confusion = _noise(0.02, (0.02, 0.03))
    ideal = ideal_values(GHZ, STABILIZERS)
    errors = [
        run_method(
            TRANSPILED,
            STABILIZERS,
            METHODS[name],
            shots,
            noise=noise,
            confusion=confusion,
            simulator=ChannelSimulator(),
            seed=RootSeed.of(str(seed)),
        ).mitigated.values
        - ideal
        for seed in range(40)
    ]
    predicted = predicted_rmse(_model(0.02, (0.02, 0.03)), METHODS[name], shots)
    assert predicted == pytest.approx(np.sqrt(np.mean(np.square(errors))), rel=0.15)


def test_closed_form_of_one_observable() -> None:
    """XXXXX on GHZ: all four gates and the h, five rotations, five readouts."""
    model = _model(0.01, (0.02, 0.02), observables=("XXXXX",))
    fixed = 0.999 ** (5 + 1)
    signal = [fixed * 0.99 ** (4 * k) for k in (1, 2, 3)]
    contrast = 0.96**5
    none = math.sqrt((signal[0] * contrast - 1) ** 2 + (1 - (signal[0] * contrast) ** 2) / 1000)
    assert predicted_rmse(model, METHODS["none"], 1000) == pytest.approx(none)
    rem = math.sqrt((signal[0] - 1) ** 2 + (contrast**-2 - signal[0] ** 2) / 1000)
    assert predicted_rmse(model, METHODS["rem"], 1000) == pytest.approx(rem)
    weights = (4 / 3, 1 / 3, -2 / 3)
    bias = sum(w * s * contrast for w, s in zip(weights, signal, strict=True)) - 1
    variance = sum(
        w**2 * (1 - (s * contrast) ** 2) / 1000 for w, s in zip(weights, signal, strict=True)
    )
    zne = math.sqrt(bias**2 + variance)
    assert predicted_rmse(model, METHODS["zne"], 1000) == pytest.approx(zne)


def test_shots_are_shared_by_the_bases() -> None:
    two_bases = _model(0.0, (0.0, 0.0), observables=("ZZIII", "XXXXX"))
    one_basis = _model(0.0, (0.0, 0.0), observables=("ZZIII", "IIIZZ"))
    assert (two_bases.num_bases, one_basis.num_bases) == (2, 1)


def test_orders_that_must_hold() -> None:
    """Bias decides at many shots, variance at few; readout errors call for rem."""

    def order(model: SignalModel, shots: int) -> list[str]:
        return sorted(METHODS, key=lambda name: predicted_rmse(model, METHODS[name], shots))

    gates_only, readout_only = _model(0.01, (0.0, 0.0)), _model(0.0, (0.05, 0.05))
    plenty = order(gates_only, 10**9)
    assert plenty[0] == "richardson"
    assert plenty.index("zne") < plenty.index("none")
    few = order(gates_only, 20)
    assert few.index("none") < few.index("zne")
    assert few.index("none") < few.index("richardson")
    assert order(readout_only, 10**6)[0] == "rem"
    assert order(_model(0.01, (0.05, 0.05)), 10**8)[0] == "rem+zne"


def test_more_noise_and_fewer_shots_are_worse() -> None:
    for method in METHODS.values():
        by_noise = [predicted_rmse(_model(p), method, 1000) for p in (0.0, 0.01, 0.05)]
        by_shots = [predicted_rmse(_model(), method, shots) for shots in (10**6, 10**4, 10**2)]
        assert by_noise == sorted(by_noise)
        assert by_shots == sorted(by_shots)


def test_only_shot_noise_is_left_of_a_perfect_device() -> None:
    """Values of +-1 have none; a vanishing one has 1 / shots."""
    gates = depolarizing(5, 0.0)
    perfect_readout = Confusion(np.zeros(5), np.zeros(5))
    exact = SignalModel.of(TRANSPILED, gates, perfect_readout, STABILIZERS)
    assert predicted_rmse(exact, METHODS["none"], 100) == pytest.approx(0, abs=1e-6)
    vanishing = SignalModel.of(TRANSPILED, gates, perfect_readout, ["IIIIZ"])
    assert predicted_rmse(vanishing, METHODS["none"], 100) == pytest.approx(0.1)


def test_precision_fidelity() -> None:
    assert precision_fidelity(0.0, 0.05) == 1
    assert precision_fidelity(0.05, 0.05) == pytest.approx(1 / math.e)
    assert precision_fidelity(0.1, 0.05) == pytest.approx(math.e**-2)


def test_wide_logical_order_is_respected() -> None:
    """Placed on a device that numbers its qubits backwards, the model is the same."""
    backwards = device([(q + 1, q) for q in range(4)], num_qubits=5)
    one = _model(observables=("IIIZZ",))
    other = _model(transpiled=Transpiler(GHZ).transpile(backwards), observables=("IIIZZ",))
    np.testing.assert_allclose(one.folded_log, other.folded_log)
