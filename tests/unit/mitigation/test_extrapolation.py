"""Extrapolation weights against closed forms, NumPy's fits and mitiq."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantumai.mitigation.extrapolation import (
    PolynomialWeights,
    linear_weights,
    no_extrapolation,
    richardson_weights,
)

_FACTORS = st.lists(st.integers(4, 40), min_size=2, max_size=6, unique=True).map(
    lambda quarters: np.array(quarters) / 4
)
_SEED = st.integers(0, 2**32)


def test_closed_forms() -> None:
    """Richardson (1, 2, 3) and (1, 3, 5) by Lagrange; the intercept of a line through (1, 2, 3)."""
    one_two_three = np.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(richardson_weights(one_two_three), [3, -3, 1])
    np.testing.assert_allclose(linear_weights(one_two_three), [4 / 3, 1 / 3, -2 / 3])
    np.testing.assert_allclose(richardson_weights(np.array([1.0, 3, 5])), [15 / 8, -10 / 8, 3 / 8])
    np.testing.assert_allclose(no_extrapolation(one_two_three), [1, 0, 0])


@pytest.mark.slow  # importing mitiq takes nine seconds
@settings(derandomize=True, deadline=None, max_examples=40)
@given(_FACTORS, _SEED)
def test_linear_is_mitiqs(factors: np.ndarray, seed: int) -> None:
    from mitiq.zne.inference import LinearFactory

    values = np.random.default_rng(seed).uniform(-1, 1, len(factors))
    expected = LinearFactory.extrapolate(factors.tolist(), values.tolist())
    assert linear_weights(factors) @ values == pytest.approx(expected, abs=1e-9)


@pytest.mark.slow
@settings(derandomize=True, deadline=None, max_examples=40)
@given(_FACTORS, _SEED)
def test_richardson_is_mitiqs(factors: np.ndarray, seed: int) -> None:
    from mitiq.zne.inference import RichardsonFactory

    values = np.random.default_rng(seed).uniform(-1, 1, len(factors))
    expected = RichardsonFactory.extrapolate(factors.tolist(), values.tolist())
    tolerance = 1e-9 * np.abs(richardson_weights(factors)).sum() ** 2  # mitiq solves a fit
    assert richardson_weights(factors) @ values == pytest.approx(expected, abs=tolerance)


@pytest.mark.slow
@settings(derandomize=True, deadline=None, max_examples=40)
@given(_FACTORS, st.integers(1, 3), _SEED)
def test_polynomial_is_mitiqs(factors: np.ndarray, degree: int, seed: int) -> None:
    from mitiq.zne.inference import PolyFactory

    order = min(degree, len(factors) - 1)
    values = np.random.default_rng(seed).uniform(-1, 1, len(factors))
    expected = PolyFactory.extrapolate(factors.tolist(), values.tolist(), order)
    weights = PolynomialWeights(order)(factors)
    assert weights @ values == pytest.approx(expected, abs=1e-7 * np.abs(weights).sum())


@settings(derandomize=True, deadline=None, max_examples=40)
@given(_FACTORS)
def test_polynomials_between_line_and_richardson(factors: np.ndarray) -> None:
    """Degree 1 is the line, the highest degree Richardson; standard errors grow in between."""
    degrees = range(1, len(factors))
    by_degree = [PolynomialWeights(degree)(factors) for degree in degrees]
    richardson = richardson_weights(factors)
    np.testing.assert_allclose(by_degree[0], linear_weights(factors), atol=1e-9)
    np.testing.assert_allclose(by_degree[-1], richardson, atol=1e-9 * np.abs(richardson).sum() ** 2)
    norms = [np.linalg.norm(weights) for weights in by_degree]
    assert norms == pytest.approx(sorted(norms), rel=1e-6)


@settings(derandomize=True, deadline=None, max_examples=40)
@given(_FACTORS, _SEED)
def test_exact_on_their_own_models(factors: np.ndarray, seed: int) -> None:
    """A polynomial through all points is Richardson's, a line is both's; a constant everyone's."""
    coefficients = np.random.default_rng(seed).uniform(-1, 1, len(factors))
    scale = np.abs(richardson_weights(factors)).sum() * factors.max() ** len(factors)
    through_all = np.polynomial.polynomial.polyval(factors, coefficients)
    found = richardson_weights(factors) @ through_all
    assert found == pytest.approx(coefficients[0], abs=1e-12 * scale)
    line = coefficients[0] + coefficients[1] * factors
    assert linear_weights(factors) @ line == pytest.approx(coefficients[0], abs=1e-9)
    for rule in (linear_weights, richardson_weights):
        assert rule(factors).sum() == pytest.approx(1, abs=1e-12 * scale)


def test_bias_on_exponential_decay() -> None:
    """On exp(-a k) Richardson (1, 3, 5) leaves 15 a^3 / 6 to leading order (Lagrange remainder)."""
    factors = np.array([1.0, 3.0, 5.0])
    for a in (0.01, 0.02):
        error = richardson_weights(factors) @ np.exp(-a * factors) - 1
        assert error == pytest.approx(-15 * a**3 / 6, rel=0.15)
        linear_error = linear_weights(factors) @ np.exp(-a * factors) - 1
        assert abs(linear_error) > 10 * abs(error)


@pytest.mark.parametrize("factors", [[1.0, 1.0, 3.0], [1.0, 1.0, 1.0], [1.0, 3.0, 3.0], [2.0]])
def test_coinciding_factors_stay_finite(factors: list[float]) -> None:
    """Few gates cannot reach every factor: a line where two remain, the mean where one does."""
    array = np.array(factors)
    for rule in (linear_weights, richardson_weights):
        weights = rule(array)
        assert np.all(np.isfinite(weights))
        assert weights.sum() == pytest.approx(1)
        if len(set(factors)) == 2:
            fit = np.polyfit(array, array * 0.5 - 3, 1)
            assert weights @ (array * 0.5 - 3) == pytest.approx(fit[1])
        else:
            np.testing.assert_allclose(weights, 1 / len(factors))
