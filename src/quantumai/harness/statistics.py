"""The figures of a report and their 95 % intervals, by a bootstrap that draws whole circuits.

All figures are functions of means over cells, so one resampling gives the intervals of all of them
for all methods at once. Every method sees the same draw: differences and ratios are paired.

Definitions, with e the RMSE over a cell's observables and N its shots over all bases, noise factors
and calibration circuits:

- `error`: mean of e over cells.
- `equal_shot_factor`: mean error of the equal-shot twin (raw, with the method's total shots) over
  that of the method. Above 1 the method is worth its shots.
- `improvement_factor`: Russo et al., "Testing platform-independent quantum error mitigation on
  noisy quantum computers" (2022, arXiv:2210.07194), eq. 5: sqrt(sum N_raw e_raw^2 / sum N e^2),
  each side with the shots that it spent itself.
- `harm_rate`: share of cells where the method is farther off than its twin. Shot noise alone gives
  method "none" about one half.
- `excess_loss`: mean over all cells of max(0, e - e_twin).
- `pays_off_from`, `pays_off_to`: between these total shots the mean square error, squared bias +
  variance / N, is below the twin's; variances from the standard errors, squared bias what is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from quantumai.errors import BadInputError
from quantumai.randomness import RootSeed

Array = NDArray[np.float64]
Codes = NDArray[np.int64]

RESAMPLES = 2000
FEWEST_CIRCUITS = 10
"""Below this a bootstrap over circuits says too little, and no interval is given."""
LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % percentile interval; no interval for too few circuits."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class CellErrors:
    """What methods gave in the cells of a block; each of shape (cells, methods).

    `error`, `raw_error` and `twin_error` are RMSEs over a cell's observables, `mae` the mean
    absolute error, the standard errors root mean squares over them; `shots` are those of
    `raw_error`, `total_shots` those of the method and of its twin.
    """

    error: Array
    mae: Array
    raw_error: Array
    twin_error: Array
    std_err: Array
    twin_std_err: Array
    shots: Array
    total_shots: Array


@dataclass(frozen=True)
class Figures:
    """The figures of methods, each of shape (1 + resamples, methods); row 0 is of the cells."""

    error: Array
    mae: Array
    twin_error: Array
    equal_shot_factor: Array
    improvement_factor: Array
    harm_rate: Array
    excess_loss: Array
    pays_off_from: Array
    pays_off_to: Array


def figures(circuits: Codes, cells: CellErrors, seed: RootSeed) -> Figures:
    """All figures of all methods; `circuits`, shape (cells,), says which circuit a cell ran."""
    columns = np.stack(
        [
            cells.error,
            cells.mae,
            cells.twin_error,
            cells.error > cells.twin_error,
            np.maximum(cells.error - cells.twin_error, 0.0),
            cells.shots * cells.raw_error**2,
            cells.total_shots * cells.error**2,
            cells.error**2 - cells.std_err**2,
            cells.twin_error**2 - cells.twin_std_err**2,
            cells.total_shots * cells.std_err**2,
            cells.total_shots * cells.twin_std_err**2,
        ],
        axis=2,
    )
    count, methods, width = columns.shape
    means = resampled_means(circuits, columns.reshape(count, methods * width), seed)
    error, mae, twin, harm, excess, raw_cost, cost, *model = np.moveaxis(
        means.reshape(-1, methods, width), 2, 0
    )
    first, last = _pays_off(*model)
    return Figures(
        error,
        mae,
        twin,
        ratio(twin, error),
        np.sqrt(ratio(raw_cost, cost)),
        harm,
        excess,
        first,
        last,
    )


def resampled_means(
    circuits: Codes, columns: Array, seed: RootSeed, resamples: int = RESAMPLES
) -> Array:
    """Mean of each column, shape (1 + resamples, columns): of the cells, then of each resample.

    `columns` has shape (cells, columns). A resample draws as many circuits as there are, with
    replacement, and takes all cells of each (Davison and Hinkley, "Bootstrap Methods and their
    Application", 1997, section 3.8). Randomness: stream "bootstrap/<number of circuits>".
    """
    if not len(circuits):
        raise BadInputError("there is no cell to take a mean of")
    _, codes = np.unique(circuits, return_inverse=True)
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    sums = np.add.reduceat(columns[order], starts, axis=0)
    sizes = np.diff(starts, append=len(codes)).astype(np.float64)
    draws = _draws(len(starts), resamples, seed)
    own = columns.mean(axis=0, keepdims=True)
    return np.concatenate([own, (draws @ sums) / (draws @ sizes)[:, None]])


def estimate(values: Array, circuits: int) -> Estimate:
    """A figure and its interval from shape (1 + resamples,); infinite values are allowed."""
    if circuits < FEWEST_CIRCUITS:
        return Estimate(float(values[0]))
    # An order statistic, not an interpolation: figures may be infinite.
    tails = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    low, high = np.quantile(values[1:], tails, method="inverted_cdf")
    return Estimate(float(values[0]), float(low), float(high))


def ratio(above: Array, below: Array) -> Array:
    """`above / below`; infinite where only `below` is 0, and 1 where both are."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((above == 0) & (below == 0), 1.0, above / below)


def front(total_shots: Array, error: Array) -> NDArray[np.bool_]:
    """Which points no other one beats: none with as few shots and as small an error but itself.

    Of equal points all are on the front.
    """
    beaten = (
        (total_shots[:, None] >= total_shots)
        & (error[:, None] >= error)
        & ((total_shots[:, None] > total_shots) | (error[:, None] > error))
    )
    return np.asarray(~beaten.any(axis=1))


def _pays_off(
    bias_squared: Array, twin_bias_squared: Array, variance: Array, twin_variance: Array
) -> tuple[Array, Array]:
    """Total shots from which and up to which bias^2 + variance / N is below the twin's.

    From infinity up to zero where it never is.
    """
    less_bias = twin_bias_squared - bias_squared
    more_variance = variance - twin_variance
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing = more_variance / less_bias
    better_at_last, better_at_first = less_bias > 0, more_variance < 0
    first = np.where(
        better_at_last, np.maximum(crossing, 0.0), np.where(better_at_first, 0.0, np.inf)
    )
    last = np.where(better_at_last, np.inf, np.where(better_at_first, crossing, 0.0))
    return first, last


@lru_cache(maxsize=4)
def _draws(circuits: int, resamples: int, seed: RootSeed) -> Array:
    """How often each circuit is in each resample, shape (resamples, circuits)."""
    generator = seed.generator(f"bootstrap/{circuits}")
    drawn = generator.integers(circuits, size=(resamples, circuits))
    drawn += circuits * np.arange(resamples)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=resamples * circuits)
    return counts.reshape(resamples, circuits).astype(np.float64)
