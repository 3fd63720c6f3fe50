"""The baseline against its definition: the best multiple of a value with uncertain decay."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from quantumai.harness.ml_qem.decay import fitted_decay
from quantumai.harness.ml_qem.learning_rows import LearningRows
from quantumai.mitigation.ml_qem.baseline import baseline
from quantumai.mitigation.ml_qem.features import FEATURES


def _features(decay: NDArray[np.float64], rem: NDArray[np.float64]) -> NDArray[np.float64]:
    found = np.zeros((len(rem), len(FEATURES)))
    found[:, FEATURES.index("log_signal")] = -decay
    found[:, FEATURES.index("rem")] = rem
    found[:, FEATURES.index("rem_std_err")] = 0.01
    return found


@pytest.mark.parametrize(("exponent", "spread"), [(1.0, 0.0), (0.8, 0.2), (1.2, 0.4)])
def test_the_factor_is_the_best_one_for_a_decay_so_uncertain(
    exponent: float, spread: float
) -> None:
    """Least squares on a million drawn decays finds the same multiple."""
    rng = np.random.default_rng(1)
    for length in (0.3, 1.0, 1.6):
        survived = np.exp(-rng.normal(exponent * length, spread * length, 1_000_000))
        best = survived.mean() / np.mean(survived**2)
        values, errors = baseline(_features(np.array([length]), np.array([0.1])), exponent, spread)
        assert values[0] == pytest.approx(0.1 * best, rel=0.01)
        assert errors[0] == pytest.approx(0.01 * best, rel=0.01)


def test_without_signal_there_is_no_guess() -> None:
    far = _features(np.array([0.5, 3.0, 9.0, 30.0]), np.full(4, 0.04))
    sure, _ = baseline(far, 1.0, 0.0)
    unsure, _ = baseline(far, 1.0, 0.3)
    assert sure[-1] == pytest.approx(0.04 / 0.05)  # as far as dividing goes
    assert unsure[-1] < 1e-9
    assert np.all(unsure <= sure)
    assert np.all(np.abs(baseline(_features(np.array([2.0]), np.array([0.9])), 2.0, 0.0)[0]) <= 1)


def test_the_decay_of_training_runs_is_found() -> None:
    """With values so small that none is clipped at 1, which would help larger factors."""
    rng = np.random.default_rng(2)
    decay, ideal = rng.uniform(0.1, 3.0, 50_000), rng.uniform(-0.1, 0.1, 50_000)
    survived = np.exp(-rng.normal(0.75, 0.3, len(decay)) * decay)
    rows = LearningRows(
        ({},), np.zeros(len(decay), np.int64), _features(decay, ideal * survived), ideal
    )
    found = fitted_decay(rows)
    assert found.exponent == pytest.approx(0.75, abs=0.06)
    assert found.spread == pytest.approx(0.3, abs=0.06)
