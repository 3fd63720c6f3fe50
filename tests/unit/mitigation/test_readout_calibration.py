"""Confusion from calibration circuits: counting, its derivatives, its standard errors."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pytest
from numpy.typing import NDArray

from quantumai.mitigation.readout import Confusion, outcome_weights, read_values
from quantumai.mitigation.readout_calibration import common_errors, measured_confusion

pytestmark = pytest.mark.slow

PAULIS = ["IIZ", "ZIX", "YYY", "IZI"]
TRUE = Confusion(np.array([0.02, 0.05, 0.1]), np.array([0.06, 0.03, 0.2]))


def _preparations(confusion: Confusion) -> NDArray[np.float64]:
    """Exact outcome probabilities of all zeros and all ones; qubit 0 is the fastest bit."""
    zeros = [np.array([1 - up, up]) for up in confusion.prob_meas1_prep0]
    ones = [np.array([down, 1 - down]) for down in confusion.prob_meas0_prep1]
    return np.stack([reduce(np.kron, reversed(single)) for single in (zeros, ones)])


def test_each_qubits_errors_are_read_from_its_own_bit() -> None:
    shots = 10**9
    measured = measured_confusion(np.rint(_preparations(TRUE) * shots).astype(np.int64))
    np.testing.assert_allclose(
        measured.confusion.prob_meas1_prep0, TRUE.prob_meas1_prep0, rtol=1e-6
    )
    np.testing.assert_allclose(
        measured.confusion.prob_meas0_prep1, TRUE.prob_meas0_prep1, rtol=1e-6
    )
    for std_errs, p in (
        (measured.std_errs_prep0, TRUE.prob_meas1_prep0),
        (measured.std_errs_prep1, TRUE.prob_meas0_prep1),
    ):
        np.testing.assert_allclose(std_errs, np.sqrt(p * (1 - p) / shots), rtol=1e-6)
    assert measured.resolved.all()


def test_common_errors_against_finite_differences() -> None:
    rng = np.random.default_rng(0)
    histograms = rng.multinomial(4000, rng.dirichlet(np.ones(8)), size=2).astype(float)
    measured = measured_confusion(rng.multinomial(500, _preparations(TRUE)))
    found = common_errors(histograms, PAULIS, measured)
    confusion, step = measured.confusion, 1e-6
    for qubit in range(3):
        nudge = step * np.eye(3)[qubit]
        up, down = confusion.prob_meas1_prep0, confusion.prob_meas0_prep1
        for parameter, std_err, changed in (
            (qubit, measured.std_errs_prep0[qubit], Confusion(up + nudge, down)),
            (3 + qubit, measured.std_errs_prep1[qubit], Confusion(up, down + nudge)),
        ):
            moved = read_values(histograms, PAULIS, changed)[0]
            slope = (moved - read_values(histograms, PAULIS, confusion)[0]) / step
            np.testing.assert_allclose(found[parameter], slope * std_err, atol=1e-5)


@pytest.mark.parametrize("shots", [50, 1000])
def test_stated_errors_of_corrected_values_against_monte_carlo(shots: int) -> None:
    """Histogram and calibration are both drawn anew each time; the mean is unbiased."""
    rng = np.random.default_rng(1)
    ideal = rng.dirichlet(np.ones(8))
    single = [
        np.array([[1 - up, down], [up, 1 - down]])
        for up, down in zip(TRUE.prob_meas1_prep0, TRUE.prob_meas0_prep1, strict=True)
    ]
    noisy = reduce(np.kron, reversed(single)) @ ideal
    values, variances = [], []
    for _ in range(2500):
        measured = measured_confusion(rng.multinomial(shots, _preparations(TRUE)))
        histogram = rng.multinomial(20 * shots, noisy)[None].astype(float)
        value, std_err = read_values(histogram, PAULIS, measured.confusion)
        common = common_errors(histogram, PAULIS, measured)
        values.append(value[0])
        variances.append(std_err[0] ** 2 + (common[:, 0] ** 2).sum(axis=0))
    spread = np.std(values, axis=0, ddof=1)
    np.testing.assert_allclose(np.sqrt(np.mean(variances, axis=0)), spread, rtol=0.15)
    expected = [outcome_weights(p, None) @ ideal for p in PAULIS]
    # A ratio's own bias is second order in the calibration's relative error.
    allowed = 5 * spread / 50 + 4 / shots
    assert np.all(np.abs(np.mean(values, axis=0) - expected) < allowed)


def test_a_qubit_that_reads_the_same_for_both_is_not_inverted() -> None:
    dead = Confusion(np.array([0.02, 0.5, 0.1]), np.array([0.06, 0.5, 0.2]))
    measured = measured_confusion(np.rint(_preparations(dead) * 1000).astype(np.int64))
    assert measured.resolved.tolist() == [True, False, True]
    assert [measured.resolves(pauli) for pauli in PAULIS] == [True, True, False, False]
    assert np.all(np.isfinite(measured.confusion.factors()))
    one_shot = measured_confusion(np.array([[1, 0], [0, 1]]))
    assert not one_shot.resolved.any()  # perfect as far as it goes, but one shot shows nothing
