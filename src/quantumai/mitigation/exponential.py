"""Zero-noise extrapolation by an exponential decay to zero.

The model is A exp(-b k) at noise factor k, and A is the estimate. The asymptote is known and not
fitted: a Pauli value is 0 once all signal is lost, a third parameter through three noise factors
leaves no degree of freedom, and its standard error would be several times larger. Relaxation and
asymmetric readout do leave a small value at infinite noise, and the fit is biased by part of it.

The fit is least squares on the values, not on their logarithms: values may be zero or change sign,
and equal weights do not favour upward flukes as estimated variances would.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantumai.mitigation.extrapolation import linear_weights
from quantumai.mitigation.methods import Estimate, LinearMethod, unphysical, with_common
from quantumai.mitigation.readout import Array

DECAYS = np.linspace(-1.0, 4.0, 101)
"""Where a decay b is looked for; at 4 a value of 1 is 0.018 at noise factor 1, lost in shots."""
BISECTIONS = 50
"""Halve an interval of 0.1 to less than rounding."""
MAX_DECAY_STD_ERR = 0.25
"""Beyond this the decay is hardly known and the delta method says too little (see the tests)."""
EXPECTED_DECAY = 0.08
"""Median over circuit families and catalogue of the light cone's decay per noise factor."""


@dataclass(frozen=True)
class DecayFit:
    """Fitted A and b, shape (observables,), and their derivatives, (K, observables) each.

    `inside` is False where no decay within `DECAYS` is a minimum. Derivatives are not finite where
    the values do not determine both parameters.
    """

    amplitudes: Array
    decays: Array
    inside: NDArray[np.bool_]
    amplitude_weights: Array
    decay_weights: Array


def fit_decay(noise_factors: Array, values: Array) -> DecayFit:
    """Least squares of A exp(-b k) to `values`, shape (K, observables).

    A is eliminated (Golub and Pereyra, SIAM J. Numer. Anal. 10, 413, 1973). A grid finds the lowest
    valley of the squared residual over b, bisection of its slope the floor.
    """
    grid = np.repeat(DECAYS[:, None], values.shape[1], axis=1)
    _, _, residuals = _project(grid, noise_factors, values)
    lowest = (residuals**2).sum(axis=1).argmin(axis=0)
    last = len(DECAYS) - 1
    valley = np.clip(lowest, 1, last - 1)
    low, high = DECAYS[valley - 1], DECAYS[valley + 1]
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        amplitudes, model, residuals = _project(middle[None], noise_factors, values)
        slope = amplitudes[0] * (noise_factors @ (model * residuals)[0])
        low, high = np.where(slope > 0, low, middle), np.where(slope > 0, middle, high)
    decays = (low + high) / 2
    amplitudes, model, _ = _project(decays[None], noise_factors, values)
    weights = _derivatives(noise_factors, amplitudes[0], model[0])
    return DecayFit(amplitudes[0], decays, (lowest > 0) & (lowest < last), *weights)


def _project(decays: Array, noise_factors: Array, values: Array) -> tuple[Array, Array, Array]:
    """Best A for each b, the unit model and the residuals; `decays` has shape (G, observables)."""
    model = np.exp(-decays[:, None, :] * noise_factors[:, None])
    amplitudes = (model * values).sum(axis=1) / (model**2).sum(axis=1)
    return amplitudes, model, values - amplitudes[:, None] * model


def _derivatives(noise_factors: Array, amplitudes: Array, model: Array) -> tuple[Array, Array]:
    """How A and b move with each value: (J^T J)^-1 J^T, shapes (K, observables)."""
    by_decay = -amplitudes * noise_factors[:, None] * model
    aa, ab, bb = (model**2).sum(axis=0), (model * by_decay).sum(axis=0), (by_decay**2).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        determinant = aa * bb - ab**2
        return (bb * model - ab * by_decay) / determinant, (
            aa * by_decay - ab * model
        ) / determinant


@dataclass(frozen=True)
class ExponentialMethod:
    """Exponential ZNE; falls back to a straight line on the same values where the fit fails.

    `weights` is its linearisation at `EXPECTED_DECAY`. The estimate does not change with the decay
    along the model, so for another decay the linearised mean is off only in second order.
    """

    name: str
    noise_factors: tuple[float, ...]
    corrects_readout: bool = False
    params: Mapping[str, Any] = field(default_factory=dict)
    version: str = "v1"
    calibration_share: float = 0.0

    @property
    def shot_multiplier(self) -> float:
        """See `LinearMethod.shot_multiplier`."""
        return len(self.noise_factors) + self.calibration_share

    def weights(self, noise_factors: Array) -> Array:
        """See `Method.weights`."""
        model = np.exp(-EXPECTED_DECAY * noise_factors)[:, None]
        weights, _ = _derivatives(noise_factors, np.ones(1), model)
        return weights[:, 0]

    def estimate(
        self,
        noise_factors: Array,
        values: Array,
        std_errs: Array,
        common_errs: Array | None = None,
    ) -> Estimate:
        """The fitted A, or the line where b is not known or A is unphysical.

        Standard errors by the delta method; `fallbacks` says "linear", or what the line itself
        fell back to.
        """
        fit = fit_decay(noise_factors, values)
        errors, decay_errors = (
            with_common(np.sqrt((weights**2 * std_errs**2).sum(axis=0)), weights, common_errs)
            for weights in (fit.amplitude_weights, fit.decay_weights)
        )
        known = fit.inside & (decay_errors < MAX_DECAY_STD_ERR)
        kept = known & ~unphysical(fit.amplitudes, errors)
        line = LinearMethod(
            self.name, linear_weights, self.noise_factors, self.corrects_readout
        ).estimate(noise_factors, values, std_errs, common_errs)
        return Estimate(
            np.where(kept, fit.amplitudes, line.values),
            np.where(kept, errors, line.std_errs),
            tuple(
                "" if good else fallback or "linear"
                for good, fallback in zip(kept, line.fallbacks, strict=True)
            ),
        )
