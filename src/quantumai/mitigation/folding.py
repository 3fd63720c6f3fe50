"""Noise factors by local folding of two-qubit gates (Giurgica-Tiron et al., 2005.10921)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def choose_folds(
    noise_factors: Sequence[float], num_gates: int, generator: np.random.Generator
) -> NDArray[np.int64]:
    """How often each two-qubit gate runs, shape (noise factors, gates), odd entries.

    Factor k folds every gate to the odd number below k and a random subset two further, so that
    the mean over gates is as near to k as whole gates allow.
    """
    folds = np.empty((len(noise_factors), num_gates), dtype=np.int64)
    for row, factor in zip(folds, noise_factors, strict=True):
        row[:] = base = 2 * int((factor - 1) // 2) + 1
        extra = round((factor - base) / 2 * num_gates)
        row[generator.permutation(num_gates)[:extra]] += 2
    return folds


def achieved_noise_factors(
    noise_factors: Sequence[float], folds: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Mean fold of each row; the wanted factors where there is nothing to fold."""
    if not folds.shape[1]:
        return np.asarray(noise_factors, dtype=float)
    factors: NDArray[np.float64] = folds.mean(axis=1)
    return factors
