"""Methods: estimates, standard errors, and what happens to estimates that cannot be."""

from __future__ import annotations

import numpy as np
import pytest

from quantumai.errors import BadInputError
from quantumai.mitigation.extrapolation import PolynomialWeights, WeightRule, richardson_weights
from quantumai.mitigation.folding import achieved_noise_factors, choose_folds
from quantumai.mitigation.methods import METHODS, UNPHYSICAL_SIGMAS, LinearMethod, find_method

ALL = pytest.mark.parametrize("name", METHODS)
EXTRAPOLATING = pytest.mark.parametrize("name", [m for m in METHODS if "n" in m and m != "none"])


def test_the_methods_of_this_release() -> None:
    assert set(METHODS) == {"none", "rem", "zne", "richardson", "rem+zne"}
    multipliers = {name: method.shot_multiplier for name, method in METHODS.items()}
    assert multipliers == {"none": 1, "rem": 1, "zne": 3, "richardson": 3, "rem+zne": 3}
    for name, method in METHODS.items():
        assert find_method(name) is method
        assert method.name == name
        assert method.noise_factors[0] == 1
        assert method.corrects_readout == ("rem" in name)


@pytest.mark.parametrize("name", ["", "ZNE", "none ", "ml-qem", "zne\nnone"])
def test_unknown_method(name: str) -> None:
    with pytest.raises(BadInputError, match="unknown") as caught:
        find_method(name)
    assert "zne" in caught.value.hint
    assert "\n" not in str(caught.value)


@ALL
def test_standard_errors_against_monte_carlo(name: str) -> None:
    method, rng = METHODS[name], np.random.default_rng(1)
    factors = np.array(method.noise_factors)
    means = 0.4 * np.exp(-0.1 * factors)[:, None] * np.array([1.0, -0.5])
    std_errs = rng.uniform(0.01, 0.03, means.shape)
    draws = [
        method.estimate(factors, rng.normal(means, std_errs), std_errs).values for _ in range(4000)
    ]
    stated = method.estimate(factors, means, std_errs)
    np.testing.assert_allclose(np.std(draws, axis=0, ddof=1), stated.std_errs, rtol=0.05)
    np.testing.assert_allclose(np.mean(draws, axis=0), stated.values, atol=5 * 0.1 / 63)
    assert stated.fallbacks == ("", "")


@EXTRAPOLATING
def test_an_unphysical_estimate_falls_back_and_says_so(name: str) -> None:
    """Falling steeply from 0.9, the intercept is far above 1; the other observable is fine."""
    method = METHODS[name]
    factors = np.array(method.noise_factors)
    values = np.stack([1.3 - 0.4 * factors, 0.5 - 0.1 * factors, -1.3 + 0.4 * factors], axis=1)
    std_errs = np.full(values.shape, 0.001)
    estimate = method.estimate(factors, values, std_errs)
    plain = "rem" if method.corrects_readout else "none"
    assert estimate.fallbacks == (plain, "", plain)
    np.testing.assert_allclose(estimate.values, [0.9, 0.5, -0.9])
    assert estimate.std_errs[0] == 0.001
    assert estimate.std_errs[1] == pytest.approx(0.001 * np.linalg.norm(method.weights(factors)))


@EXTRAPOLATING
def test_beyond_one_within_its_error_is_kept(name: str) -> None:
    """Clipping would bias the mean: only what the standard error cannot explain is refused."""
    method = METHODS[name]
    factors = np.array(method.noise_factors)
    values = (1.03 - 0.05 * factors)[:, None]
    error = 0.03 / np.linalg.norm(method.weights(factors)) / (UNPHYSICAL_SIGMAS - 0.5)
    estimate = method.estimate(factors, values, np.full(values.shape, error))
    assert estimate.values[0] == pytest.approx(1.03)
    assert estimate.fallbacks == ("",)


@EXTRAPOLATING
@pytest.mark.parametrize("value", [1.0, -1.0])
def test_agreeing_shots_are_no_fault(name: str, value: float) -> None:
    """All shots alike: weights that sum to one but for rounding must not cause a fall-back."""
    method, rng = METHODS[name], np.random.default_rng(0)
    for num_gates in range(40):
        folds = choose_folds(method.noise_factors, num_gates, rng)
        factors = achieved_noise_factors(method.noise_factors, folds)
        shape = (len(factors), 1)
        estimate = method.estimate(factors, np.full(shape, value), np.full(shape, 1e-7))
        assert estimate.fallbacks == ("",), num_gates
        assert estimate.values[0] == pytest.approx(value)
        assert np.isfinite(estimate.std_errs[0])


@ALL
def test_no_input_gives_nan(name: str) -> None:
    """Any number of gates, any values in range: finite estimates."""
    method, rng = METHODS[name], np.random.default_rng(2)
    for num_gates in range(8):
        folds = choose_folds(method.noise_factors, num_gates, rng)
        factors = achieved_noise_factors(method.noise_factors, folds)
        values = rng.uniform(-1, 1, (len(factors), 20))
        estimate = method.estimate(factors, values, rng.uniform(0, 0.1, values.shape))
        assert np.all(np.isfinite(estimate.values))
        assert np.all(estimate.std_errs >= 0)


@pytest.mark.parametrize("weights", [richardson_weights, PolynomialWeights(2)])
def test_too_few_distinct_factors_give_a_line_and_say_so(weights: WeightRule) -> None:
    """One gate folds to 1, 1 and 3: no parabola goes through two factors."""
    method = LinearMethod("zne", weights, (1.0, 2.0, 3.0), min_factors=3)
    values = np.array([[0.5, 0.9], [0.5, 0.9], [0.4, 0.2]])
    estimate = method.estimate(np.array([1.0, 1, 3]), values, np.full((3, 2), 0.01))
    assert estimate.fallbacks == ("linear", "none")
    np.testing.assert_allclose(estimate.values, [0.55, 0.9])
    assert method.estimate(np.array([1.0, 2, 3]), values, np.full((3, 2), 1.0)).fallbacks[0] == ""


@ALL
def test_common_errors_are_not_averaged_over_noise_factors(name: str) -> None:
    """Monte Carlo: a shift and a stretch that all noise factors share, beside their own noise."""
    method, rng = METHODS[name], np.random.default_rng(6)
    factors = np.array(method.noise_factors)
    means = (0.4 * np.exp(-0.1 * factors))[:, None]
    std_errs = np.full(means.shape, 0.005)
    common = np.stack([np.full(means.shape, 0.01), 0.05 * means])
    draws = [
        method.estimate(
            factors,
            rng.normal(means, std_errs) + np.tensordot(rng.normal(size=2), common, 1),
            std_errs,
        ).values
        for _ in range(4000)
    ]
    stated = method.estimate(factors, means, std_errs, common).std_errs
    np.testing.assert_allclose(np.std(draws, axis=0, ddof=1), stated, rtol=0.05)
