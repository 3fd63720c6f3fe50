"""Intervals and factors against closed forms, on data whose truth is known."""

from __future__ import annotations

import time

import numpy as np
import pytest

from quantumai.errors import BadInputError
from quantumai.harness.statistics import (
    CellErrors,
    Figures,
    estimate,
    figures,
    front,
    ratio,
    resampled_means,
)
from quantumai.randomness import RootSeed

pytestmark = pytest.mark.slow

SEED = RootSeed.of("test")
BACKENDS = 5


def cells(count: int, methods: int = 1, **given: np.ndarray | float) -> CellErrors:
    """Cells with an error of 1 and 1 shot wherever a test says nothing else."""
    default = {
        "error": 1.0, "mae": 1.0, "raw_error": 1.0, "twin_error": 1.0, "std_err": 0.0,
        "twin_std_err": 0.0, "shots": 1.0, "total_shots": 1.0,
    }  # fmt: skip
    shape = (count, methods)
    return CellErrors(
        **{
            name: np.broadcast_to(value, shape).copy()
            for name, value in {**default, **given}.items()
        }
    )


def found(given: CellErrors) -> Figures:
    return figures(np.arange(len(given.error)), given, SEED)


def test_means_of_a_sample_are_its_own_and_resamples_draw_whole_circuits() -> None:
    # One circuit has all the ones: a resample's mean is then share of draws times its cells.
    circuits = np.array([0, 1, 0, 2, 0])
    column = (circuits == 0).astype(float)[:, None]
    means = resampled_means(circuits, column, SEED, resamples=500)[:, 0]
    assert means[0] == pytest.approx(3 / 5)
    # k of 3 draws of circuit 0 have 3k of 3k + (3 - k) cells.
    assert set(np.round(means[1:], 9)) == {round(3 * k / (2 * k + 3), 9) for k in range(4)}


def test_interval_of_a_mean_is_that_of_the_normal_formula() -> None:
    values = np.random.default_rng(1).normal(3.0, 2.0, 2000)
    got = estimate(resampled_means(np.arange(2000), values[:, None], SEED)[:, 0], 2000)
    half = 1.96 * values.std() / np.sqrt(2000)
    assert got.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert got.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def covered(clustered: bool, worlds: int = 400, circuits: int = 60) -> float:
    """How often the interval of a ratio of means holds the true ratio, 2."""
    rng = np.random.default_rng(7)
    hits = 0
    for _ in range(worlds):
        # Cells of one circuit share most of what makes them hard.
        hard = rng.gamma(4.0, 0.25, (circuits, 1)) * rng.gamma(16.0, 1 / 16, (circuits, BACKENDS))
        both = np.stack([2 * hard * rng.gamma(9.0, 1 / 9, hard.shape), hard], axis=2).reshape(-1, 2)
        names = np.repeat(np.arange(circuits), BACKENDS)
        means = resampled_means(
            names if clustered else np.arange(len(names)), both[:, :1], SEED, resamples=400
        )
        got = estimate(means[:, 0], circuits)
        hits += got.low <= 2 <= got.high
    return hits / worlds


def test_intervals_hold_the_truth_as_often_as_they_say_only_if_circuits_stay_together() -> None:
    assert 0.90 <= covered(clustered=True) <= 0.98
    assert covered(clustered=False) < 0.85


def test_intervals_of_a_paired_ratio_hold_the_truth() -> None:
    rng = np.random.default_rng(8)
    hits = 0
    widths = []
    for _ in range(400):
        hard = rng.gamma(2.0, 0.5, 80)
        pair = np.stack([1.5 * hard * rng.gamma(25.0, 0.04, 80), hard], axis=1)
        means = resampled_means(np.arange(80), pair, SEED, resamples=400)
        got = estimate(ratio(means[:, 0], means[:, 1]), 80)
        hits += got.low <= 1.5 <= got.high
        widths.append(got.high - got.low)
    assert 0.90 <= hits / 400 <= 0.98
    # Delta method: of the ratio only the methods' own noise is left (0.2 of each circuit's error,
    # mean square of the errors 1.5), not that the circuits differ.
    assert np.mean(widths) == pytest.approx(2 * 1.96 * 1.5 * 0.2 * np.sqrt(1.5 / 80), rel=0.15)


def test_few_circuits_get_a_figure_and_no_interval() -> None:
    got = estimate(found(cells(9)).error[:, 0], 9)
    assert (got.value, got.low, got.high) == (1.0, None, None)
    with pytest.raises(BadInputError):
        found(cells(0))


def test_improvement_factor_is_equation_5_of_russo_et_al() -> None:
    rng = np.random.default_rng(2)
    raw, mitigated = rng.random((12, 1)), rng.random((12, 1))
    spent = rng.integers(1, 9, (12, 1)) * 100.0
    got = found(cells(12, error=mitigated, raw_error=raw, shots=100.0, total_shots=spent))
    above = sum(100 * e**2 for e in raw[:, 0])
    below = sum(n * e**2 for n, e in zip(spent[:, 0], mitigated[:, 0], strict=True))
    assert got.improvement_factor[0, 0] == pytest.approx((above / below) ** 0.5)
    # Half the error for four times the shots is no improvement, for the same shots a factor of 2.
    four = found(cells(12, error=0.5, shots=100.0, total_shots=400.0))
    assert four.improvement_factor[0, 0] == pytest.approx(1.0)
    assert four.equal_shot_factor[0, 0] == pytest.approx(2.0)


def test_harm_rate_and_excess_loss_count_only_where_the_twin_is_better() -> None:
    error = np.array([[0.5], [1.5], [3.0], [1.0]])
    got = found(cells(4, error=error))
    assert got.harm_rate[0, 0] == pytest.approx(2 / 4)
    assert got.excess_loss[0, 0] == pytest.approx((0.5 + 2.0) / 4)


@pytest.mark.parametrize(
    ("bias", "variance", "expected"),
    [
        (0.1, 5.0, ((5 - 1) / (0.2**2 - 0.1**2), np.inf)),  # pays off from there on
        (0.1, 0.5, (0.0, np.inf)),  # always
        (0.3, 0.5, (0.0, (0.5 - 1) / (0.2**2 - 0.3**2))),  # only for few shots: it shrinks
        (0.3, 5.0, (np.inf, 0.0)),  # never
    ],
)
def test_shots_at_which_a_method_pays_off(
    bias: float, variance: float, expected: tuple[float, float]
) -> None:
    shots, twin_bias, twin_variance = 250.0, 0.2, 1.0
    given = cells(
        20,
        error=np.sqrt(bias**2 + variance / shots),
        std_err=np.sqrt(variance / shots),
        twin_error=np.sqrt(twin_bias**2 + twin_variance / shots),
        twin_std_err=np.sqrt(twin_variance / shots),
        total_shots=shots,
    )
    got = found(given)
    assert got.pays_off_from[0, 0] == pytest.approx(expected[0])
    assert got.pays_off_to[0, 0] == pytest.approx(expected[1])


def test_front_is_what_nothing_beats() -> None:
    shots = np.array([1.0, 2.0, 2.0, 4.0, 4.0, 8.0])
    error = np.array([9.0, 5.0, 6.0, 5.0, 3.0, 3.0])
    expected = [
        not any(
            (s <= shots[i] and e <= error[i]) and (s, e) != (shots[i], error[i])
            for s, e in zip(shots, error, strict=True)
        )
        for i in range(len(shots))
    ]
    assert front(shots, error).tolist() == expected == [True, True, False, False, True, False]


def test_methods_together_give_what_they_give_alone() -> None:
    rng = np.random.default_rng(3)
    names = ("error", "mae", "raw_error", "twin_error", "std_err", "twin_std_err", "total_shots")
    both = {name: rng.random((30, 2)) for name in names}
    circuits = np.repeat(np.arange(15), 2)
    together = figures(circuits, cells(30, 2, **both), SEED)
    for index in (0, 1):
        alone = figures(
            circuits, cells(30, **{name: v[:, [index]] for name, v in both.items()}), SEED
        )
        for name, values in vars(alone).items():
            np.testing.assert_allclose(vars(together)[name][:, [index]], values, rtol=1e-9)


def test_all_figures_of_a_large_block_take_seconds() -> None:
    rng = np.random.default_rng(4)
    given = cells(12_000, 14, error=rng.random((12_000, 14)))
    began = time.process_time()
    figures(np.repeat(np.arange(1500), 8), given, SEED)
    assert time.process_time() - began < 10
