"""Exponential extrapolation against mitiq, closed forms, finite differences and Monte Carlo."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantumai.mitigation.exponential import EXPECTED_DECAY, ExponentialMethod, fit_decay
from quantumai.mitigation.extrapolation import linear_weights
from quantumai.mitigation.methods import Estimate

pytestmark = pytest.mark.slow

ONE_TWO_THREE = np.array([1.0, 2.0, 3.0])
METHOD = ExponentialMethod("zne", (1.0, 2.0, 3.0))

_FACTORS = st.lists(st.integers(5, 20), min_size=1, max_size=4, unique=True).map(
    lambda quarters: np.array([4, *sorted(quarters)]) / 4
)
_AMPLITUDE = st.floats(0.01, 1.5).flatmap(lambda a: st.sampled_from([a, -a]))
_DECAY = st.floats(-0.2, 1.5)


@settings(derandomize=True, deadline=None)
@given(_FACTORS, _AMPLITUDE, _DECAY)
def test_exact_on_its_own_model(factors: np.ndarray, amplitude: float, decay: float) -> None:
    fit = fit_decay(factors, amplitude * np.exp(-decay * factors)[:, None])
    assert fit.inside.all()
    assert fit.decays[0] == pytest.approx(decay, abs=1e-6)
    assert fit.amplitudes[0] == pytest.approx(amplitude, rel=1e-6)


@settings(derandomize=True, deadline=None)
@given(_FACTORS, _AMPLITUDE, _DECAY, st.integers(0, 2**32))
def test_derivatives_against_finite_differences(
    factors: np.ndarray, amplitude: float, decay: float, seed: int
) -> None:
    """At values on the model, where (J^T J)^-1 J^T is exact."""
    values = amplitude * np.exp(-decay * factors)
    direction = np.random.default_rng(seed).normal(size=len(factors)) * abs(amplitude)
    step = 1e-5 * np.exp(-decay * factors.max())
    fit = fit_decay(factors, values[:, None])
    up, down = (fit_decay(factors, (values + s * direction)[:, None]) for s in (step, -step))
    for weights, moved in (
        (fit.amplitude_weights, up.amplitudes - down.amplitudes),
        (fit.decay_weights, up.decays - down.decays),
    ):
        expected = weights[:, 0] @ direction
        scale = np.abs(weights[:, 0] * direction).sum()
        assert moved[0] / (2 * step) == pytest.approx(expected, abs=1e-3 * scale)


@pytest.mark.slow  # importing mitiq takes nine seconds
@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.floats(0.2, 1.0), st.floats(0.02, 0.6), st.integers(0, 2**32), st.booleans())
def test_the_fit_is_mitiqs(amplitude: float, decay: float, seed: int, four: bool) -> None:
    """Mitiq's own non-linear least squares with the asymptote known, on noisy values."""
    from mitiq.zne.inference import ExpFactory

    factors = np.array([1.0, 2.0, 3.0, 5.0][: 3 + four])
    noise = np.random.default_rng(seed).normal(0, 0.01 * amplitude, len(factors))
    values = amplitude * np.exp(-decay * factors) + noise
    expected = ExpFactory.extrapolate(
        factors.tolist(), values.tolist(), asymptote=0.0, avoid_log=True
    )
    found = fit_decay(factors, values[:, None]).amplitudes[0]
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_on_the_model_mitiqs_logarithmic_fit_agrees() -> None:
    from mitiq.zne.inference import PolyExpFactory

    values = 0.7 * np.exp(-0.15 * ONE_TWO_THREE)
    expected = PolyExpFactory.extrapolate(
        ONE_TWO_THREE.tolist(), values.tolist(), order=1, asymptote=0.0
    )
    found = METHOD.estimate(ONE_TWO_THREE, values[:, None], np.full((3, 1), 0.001))
    assert found.values[0] == pytest.approx(expected)
    assert found.fallbacks == ("",)


@pytest.mark.parametrize("factors", [(1.0, 2.0, 3.0), (1.0, 3.0, 5.0)])
@pytest.mark.parametrize("amplitude", [0.05, -0.1, 0.3, 0.8])
@pytest.mark.parametrize("decay", [0.02, 0.1, 0.3, 0.6])
@pytest.mark.parametrize("std_err", [0.003, 0.01, 0.03])
def test_stated_errors_hold_whether_fitted_or_fallen_back(
    factors: tuple[float, ...], amplitude: float, decay: float, std_err: float
) -> None:
    """3000 draws at once; root mean square of what is stated against the spread."""
    rng, array = np.random.default_rng(0), np.array(factors)
    means = amplitude * np.exp(-decay * array)
    values = rng.normal(means[:, None], std_err, (len(array), 3000))
    estimate = ExponentialMethod("zne", factors).estimate(
        array, values, np.full(values.shape, std_err)
    )
    stated = np.sqrt(np.mean(estimate.std_errs**2))
    assert np.std(estimate.values, ddof=1) == pytest.approx(stated, rel=0.1)


def _estimate(*columns: list[float], std_err: float = 0.001) -> Estimate:
    values = np.array(columns).T
    return METHOD.estimate(ONE_TWO_THREE, values, np.full(values.shape, std_err))


def test_what_cannot_be_fitted_falls_back_to_the_line_or_to_the_plain_value() -> None:
    line = linear_weights(ONE_TWO_THREE)
    lost, flipping, steep = [0.003, -0.002, 0.001], [0.2, -0.1, 0.05], [0.3, 0.05, 0.01]
    estimate = _estimate(lost, flipping, steep, [0.0, 0.0, 0.0], [0.9, 0.5, 0.3], [0.6, 0.5, 0.42])
    assert estimate.fallbacks == ("linear", "linear", "linear", "linear", "none", "")
    for index, values in enumerate((lost, flipping, steep, [0.0, 0.0, 0.0])):
        assert estimate.values[index] == pytest.approx(line @ values)
        assert estimate.std_errs[index] == pytest.approx(0.001 * np.linalg.norm(line))
    assert estimate.values[4] == 0.9  # the line gives 1.17, too
    assert estimate.std_errs[4] == 0.001


def test_an_amplified_fit_is_refused() -> None:
    """Such fits were seen to return <Z> = 24.9."""
    values = np.array([[0.9, 0.35], [0.03, 0.012], [0.001, 0.0004]])
    fit = fit_decay(ONE_TWO_THREE, values)
    assert fit.amplitudes[0] > 20
    assert fit.amplitudes[1] > 10
    estimate = METHOD.estimate(ONE_TWO_THREE, values, np.full(values.shape, 1e-4))
    assert estimate.fallbacks == ("none", "linear")
    np.testing.assert_allclose(estimate.values, [0.9, linear_weights(ONE_TWO_THREE) @ values[:, 1]])


def test_common_errors_move_all_values_together() -> None:
    """Scaling all values scales the estimate: the fit is homogeneous, and the error adds up."""
    values = 0.7 * np.exp(-0.15 * ONE_TWO_THREE)[:, None]
    std_errs = np.full((3, 1), 0.004)
    alone = METHOD.estimate(ONE_TWO_THREE, values, std_errs)
    wider = METHOD.estimate(ONE_TWO_THREE, values, std_errs, 0.02 * values[None])
    assert wider.values == alone.values
    assert wider.std_errs[0] == pytest.approx(np.hypot(alone.std_errs[0], 0.02 * 0.7))


def test_linearisation_for_the_policy() -> None:
    """Exact at the expected decay; second order beside it, where a line is off in first order."""
    weights = METHOD.weights(ONE_TWO_THREE)
    assert weights @ np.exp(-EXPECTED_DECAY * ONE_TWO_THREE) == pytest.approx(1)
    for decay in (0.02, 0.15, 0.2):
        signal = np.exp(-decay * ONE_TWO_THREE)
        bias, line = (w @ signal - 1 for w in (weights, linear_weights(ONE_TWO_THREE)))
        assert abs(bias) < 0.05
        assert decay < EXPECTED_DECAY or abs(bias) < abs(line)
    np.testing.assert_allclose(
        METHOD.weights(ONE_TWO_THREE),
        fit_decay(
            ONE_TWO_THREE, np.exp(-EXPECTED_DECAY * ONE_TWO_THREE)[:, None]
        ).amplitude_weights[:, 0],
    )


@pytest.mark.parametrize("factors", [[1.0, 1.0, 3.0], [1.0, 1.0, 1.0], [1.0, 3.0]])
def test_no_input_gives_nan(factors: list[float]) -> None:
    rng = np.random.default_rng(3)
    values = rng.uniform(-1.2, 1.2, (len(factors), 200))
    values[:, 0] = values[:, 1] = 1.0
    estimate = METHOD.estimate(np.array(factors), values, rng.uniform(0, 0.1, values.shape))
    assert np.all(np.isfinite(estimate.values))
    assert np.all(np.isfinite(estimate.std_errs))
