"""Which gates are folded how often."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantumai.mitigation.folding import achieved_noise_factors, choose_folds


@settings(derandomize=True, deadline=None)
@given(
    factors=st.lists(st.floats(1, 9), min_size=1, max_size=4),
    num_gates=st.integers(1, 60),
    seed=st.integers(0, 99),
)
def test_the_mean_is_the_factor_within_one_gate(
    factors: list[float], num_gates: int, seed: int
) -> None:
    folds = choose_folds(factors, num_gates, np.random.default_rng(seed))
    assert folds.shape == (len(factors), num_gates)
    assert np.all(folds % 2 == 1)
    assert folds.min() >= 1
    # Two runs more of one gate are the smallest step: half of it is the largest error.
    np.testing.assert_allclose(folds.mean(axis=1), factors, atol=1 / num_gates + 1e-9)
    assert np.all(folds.max(axis=1) - folds.min(axis=1) <= 2)
    np.testing.assert_array_equal(achieved_noise_factors(factors, folds), folds.mean(axis=1))


def test_odd_factors_are_exact_and_one_is_the_circuit_itself() -> None:
    folds = choose_folds([1.0, 3.0, 5.0], 7, np.random.default_rng(0))
    np.testing.assert_array_equal(folds, np.array([[1], [3], [5]]) * np.ones(7))


def test_every_gate_is_as_likely() -> None:
    rng = np.random.default_rng(0)
    chosen = sum(choose_folds([2.0], 6, rng)[0] == 3 for _ in range(2000))
    np.testing.assert_allclose(chosen / 2000, 0.5, atol=0.05)  # 4.5 standard deviations


def test_the_same_stream_folds_the_same_gates() -> None:
    first, second = (choose_folds([2.0], 50, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert np.any(first != choose_folds([2.0], 50, np.random.default_rng(4)))


@pytest.mark.parametrize("factors", [[1.0], [1.0, 2.0, 3.0]])
def test_nothing_to_fold(factors: list[float]) -> None:
    folds = choose_folds(factors, 0, np.random.default_rng(0))
    assert folds.shape == (len(factors), 0)
    np.testing.assert_array_equal(achieved_noise_factors(factors, folds), factors)
