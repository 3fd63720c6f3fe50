"""Extrapolation of expectation values to noise factor zero.

All extrapolators here are linear in the values, so each is a weight per noise factor: the
estimate is `weights @ values` and its variance `weights**2 @ variances`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.float64]
WeightRule = Callable[[Weights], Weights]
"""Noise factors (K,) to weights (K,) that sum to one."""


def no_extrapolation(noise_factors: Weights) -> Weights:
    """All weight on the first noise factor."""
    weights = np.zeros(len(noise_factors))
    weights[0] = 1.0
    return weights


def linear_weights(noise_factors: Weights) -> Weights:
    """Intercept of the least-squares line (Temme, Bravyi, Gambetta, PRL 119, 180509, 2017)."""
    centred = noise_factors - noise_factors.mean()
    spread = float(centred @ centred)
    uniform = np.full(len(noise_factors), 1 / len(noise_factors))
    return uniform - noise_factors.mean() * centred / spread if spread else uniform


def richardson_weights(noise_factors: Weights) -> Weights:
    """Lagrange basis at zero: product over j != k of x_j / (x_j - x_k) (same source, eq. 4)."""
    weights = np.ones(len(noise_factors))
    for k, factor in enumerate(noise_factors):
        others = np.delete(noise_factors, k)
        if np.any(others == factor):
            return linear_weights(noise_factors)
        weights[k] = np.prod(others / (others - factor))
    return weights


@dataclass(frozen=True)
class PolynomialWeights:
    """Intercept of the least-squares polynomial of `degree` (Giurgica-Tiron et al., 2005.10921).

    Degree 1 is `linear_weights`; degree K - 1 through K noise factors is `richardson_weights`.
    """

    degree: int

    def __call__(self, noise_factors: Weights) -> Weights:
        """Needs more than `degree` distinct factors: with fewer the intercept is undetermined."""
        powers = np.vander(noise_factors, self.degree + 1, increasing=True)
        intercept: Weights = np.linalg.pinv(powers)[0]
        return intercept
