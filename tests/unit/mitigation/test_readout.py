"""Readout correction against the inverse of the whole confusion matrix, and Monte Carlo."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pytest
from numpy.typing import NDArray
from qiskit.quantum_info import Pauli

from quantumai.mitigation.readout import Confusion, outcome_weights, read_values, support_of


def _confusion(count: int, rng: np.random.Generator) -> Confusion:
    return Confusion(rng.uniform(0, 0.2, count), rng.uniform(0, 0.3, count))


def _matrix(confusion: Confusion) -> NDArray[np.float64]:
    """The full 2^n x 2^n assignment matrix; qubit 0 is the fastest bit."""
    single = [
        np.array([[1 - up, down], [up, 1 - down]])
        for up, down in zip(confusion.prob_meas1_prep0, confusion.prob_meas0_prep1, strict=True)
    ]
    return reduce(np.kron, reversed(single))


def _diagonal(pauli: str) -> NDArray[np.float64]:
    """Eigenvalue of the Pauli at each outcome, read in its own basis."""
    as_z = "".join("I" if letter == "I" else "Z" for letter in pauli)
    return np.real(np.diag(Pauli(as_z).to_matrix()))


PAULIS = ["IIZ", "ZIX", "YYY", "IZI"]


def test_raw_weights_are_the_paulis_eigenvalues() -> None:
    for pauli in PAULIS:
        np.testing.assert_array_equal(outcome_weights(pauli, None), _diagonal(pauli))


@pytest.mark.parametrize("seed", range(4))
def test_corrected_values_are_those_of_the_inverted_matrix(seed: int) -> None:
    rng = np.random.default_rng(seed)
    confusion = _confusion(3, rng)
    histograms = rng.multinomial(4000, rng.dirichlet(np.ones(8)), size=2).astype(float)
    values, _ = read_values(histograms, PAULIS, confusion)
    inverted = np.linalg.inv(_matrix(confusion)) @ histograms.T / 4000
    expected = np.array([[_diagonal(p) @ column for p in PAULIS] for column in inverted.T])
    np.testing.assert_allclose(values, expected, atol=1e-10)


@pytest.mark.parametrize("corrected", [False, True])
def test_standard_errors_against_monte_carlo(corrected: bool) -> None:
    rng = np.random.default_rng(5)
    confusion = _confusion(3, rng) if corrected else None
    probabilities = rng.dirichlet(np.ones(8))
    histograms = rng.multinomial(500, probabilities, size=4000).astype(float)
    values, errors = read_values(histograms, PAULIS, confusion)
    np.testing.assert_allclose(errors.mean(axis=0), values.std(axis=0, ddof=1), rtol=0.05)
    expected = [outcome_weights(p, confusion) @ probabilities for p in PAULIS]
    np.testing.assert_allclose(values.mean(axis=0), expected, atol=5 * errors.mean() / 63)


def test_standard_error_is_that_of_agresti_and_coull() -> None:
    """30 of +1 and 10 of -1: twice the standard error of the share 32 of 44, over 40 shots."""
    values, errors = read_values(np.array([[30.0, 10.0]]), ["Z"], None)
    assert values[0, 0] == 0.5
    share = 32 / 44
    assert errors[0, 0] == pytest.approx(2 * np.sqrt(share * (1 - share) / 40))


@pytest.mark.parametrize("shots", [20, 100, 1000])
@pytest.mark.parametrize("expected_flips", [0.3, 1.0, 2.0, 3.0, 4.0, 8.0])
def test_two_standard_errors_hold_the_value_near_one(shots: int, expected_flips: float) -> None:
    """Where all shots often agree, 1.96 standard errors hold the value nearly 95 times in 100."""
    rng = np.random.default_rng(shots)
    flips = rng.binomial(shots, expected_flips / shots, size=4000).astype(float)
    values, errors = read_values(np.stack([shots - flips, flips], axis=1), ["Z"], None)
    held = np.abs(values[:, 0] - (1 - 2 * expected_flips / shots)) <= 1.96 * errors[:, 0]
    assert np.mean(held) > 0.9


def test_one_shot_and_unanimous_shots_still_have_an_error() -> None:
    _, one = read_values(np.array([[0.0, 1.0]]), ["Z"], None)
    _, many = read_values(
        np.array([[0.0, 77.0]]), ["Z"], Confusion(np.array([0.1]), np.ones(1) / 4)
    )
    assert one[0, 0] > 0.9
    assert 1 / 77 < many[0, 0] < 8 / 77


def test_contrast_is_what_readout_leaves_of_a_value() -> None:
    """With symmetric errors the value after readout is contrast times the value before."""
    flips = np.array([0.1, 0.05, 0.2])
    confusion = Confusion(flips, flips)
    before = np.random.default_rng(0).dirichlet(np.ones(8))
    after = _matrix(confusion) @ before
    for pauli in PAULIS:
        expected = confusion.contrast(pauli) * (_diagonal(pauli) @ before)
        assert _diagonal(pauli) @ after == pytest.approx(expected)


def test_offset_is_what_asymmetric_readout_adds() -> None:
    """On one qubit <Z> = 0 is read as b - a; an even mixture of the others hides it."""
    confusion = Confusion(np.array([0.02, 0.1]), np.array([0.08, 0.1]))
    mixed = np.array([0.5, 0.5, 0.0, 0.0])
    read = _diagonal("IZ") @ (_matrix(confusion) @ mixed)
    assert confusion.offset_squared("IZ", 0.3) == pytest.approx(read**2)
    assert confusion.offset_squared("ZZ", 0.25) == pytest.approx(0.25 * read**2)
    assert confusion.offset_squared("ZI", 0.3) == 0


def test_support() -> None:
    assert support_of("XIIZ") == [0, 3]
