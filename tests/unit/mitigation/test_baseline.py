"""The baseline against its definition: the best multiple of a value with uncertain decay."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from quantumai.harness.ml_qem.decay import fitted_decay
from quantumai.harness.ml_qem.learning_rows import LearningRows
from quantumai.mitigation.ml_qem.baseline import AS_CALIBRATED, Decay, baseline
from quantumai.mitigation.ml_qem.features import FEATURES


def _features(
    decay: NDArray[np.float64],
    rem: NDArray[np.float64],
    relaxation: float | NDArray[np.float64] = 0.0,
    zz: float | NDArray[np.float64] = 0.0,
) -> NDArray[np.float64]:
    found = np.zeros((len(rem), len(FEATURES)))
    found[:, FEATURES.index("log_signal")] = -decay
    found[:, FEATURES.index("log_signal_idle")] = -relaxation
    found[:, FEATURES.index("log_signal_zz")] = -zz
    found[:, FEATURES.index("rem")] = rem
    found[:, FEATURES.index("rem_std_err")] = 0.01
    return found


@pytest.mark.parametrize(
    "decay", [Decay(1.0, 0.0, 0.0, 0.0), Decay(0.8, 0.0, 0.0, 0.3), Decay(0.7, 0.5, 0.3, 0.3)]
)
def test_the_factor_is_the_best_one_for_a_decay_so_uncertain(decay: Decay) -> None:
    """Least squares on a million drawn decays finds the same multiple."""
    rng = np.random.default_rng(1)
    for length in (0.3, 1.0, 1.6):
        mean = decay.gates * length + decay.relaxation * 0.4 + decay.zz * 0.2
        survived = np.exp(-rng.normal(mean, decay.spread * mean, 1_000_000))
        best = survived.mean() / np.mean(survived**2)
        asked = _features(np.array([length]), np.array([0.1]), 0.4, 0.2)
        values, errors = baseline(asked, decay)
        assert values[0] == pytest.approx(0.1 * best, rel=0.01)
        assert errors[0] == pytest.approx(0.01 * best, rel=0.01)


def test_without_signal_there_is_no_guess() -> None:
    far = _features(np.array([0.5, 3.0, 9.0, 30.0]), np.full(4, 0.04))
    sure, _ = baseline(far, AS_CALIBRATED)
    unsure, _ = baseline(far, Decay(1.0, 0.0, 0.0, 0.3))
    assert sure[-1] == pytest.approx(0.04 / 0.05)  # as far as dividing goes
    assert unsure[-1] < 1e-9
    assert np.all(unsure <= sure)
    large = baseline(_features(np.array([2.0]), np.array([0.9])), Decay(2.0, 0.0, 0.0, 0.0))[0]
    assert np.all(np.abs(large) <= 1)


def test_the_decay_of_training_runs_is_found() -> None:
    """With values so small that none is clipped at 1, which would help larger factors."""
    rng = np.random.default_rng(2)
    gates, ideal = rng.uniform(0.1, 2.0, 8000), rng.uniform(-0.1, 0.1, 8000)
    relaxation, zz = rng.uniform(0.0, 1.0, (2, len(gates)))
    mean = 0.7 * gates + 0.75 * relaxation + 0.3 * zz
    survived = np.exp(-rng.normal(mean, 0.2 * mean))
    features = _features(gates, ideal * survived, relaxation, zz)
    rows = LearningRows(({},), np.zeros(len(gates), np.int64), features, ideal)
    found = fitted_decay(rows)
    assert found.gates == pytest.approx(0.7, abs=0.11)
    assert found.relaxation == pytest.approx(0.75, abs=0.26)
    assert found.zz == pytest.approx(0.3, abs=0.11)
    assert found.spread == pytest.approx(0.2, abs=0.11)
