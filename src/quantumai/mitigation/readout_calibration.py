"""Confusion matrices from calibration circuits, and what their own shot noise does to values.

Two circuits serve a tensored model: all qubits prepared in 0, and all in 1 (Bravyi et al., PRA 103,
042605, 2021). Each qubit's errors are read from its own bit. Errors of preparation count as readout
errors, as on a device. The estimated matrices enter values at all noise factors alike, so their
shot noise does not average out over noise factors; the delta method follows each parameter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quantumai.mitigation.readout import (
    Array,
    Confusion,
    product_weights,
    support_of,
)

PRIOR_FLIPS = 0.5
"""Jeffreys' prior, for standard errors only: no flip seen does not mean that none can happen.

Values take two (`PRIOR_SHOTS`); readout errors are small, and two would overstate them by a third
at 50 shots.
"""
RESOLVED_SIGMAS = 3.0
"""A qubit is corrected if its contrast 1 - a - b is above zero by this many standard errors."""


@dataclass(frozen=True)
class MeasuredConfusion:
    """Readout errors as counted, with their standard errors, shape (n,) each.

    The `confusion` of a qubit that is not `resolved` is set to none at all: it cannot be inverted.
    """

    confusion: Confusion
    std_errs_prep0: Array
    std_errs_prep1: Array
    resolved: NDArray[np.bool_]

    def resolves(self, pauli: str) -> bool:
        """Whether all qubits of the Pauli string can be corrected."""
        return bool(np.all(self.resolved[support_of(pauli)]))


def measured_confusion(counts: NDArray[np.int64]) -> MeasuredConfusion:
    """From histograms of the all-zeros and the all-ones preparation, shape (2, 2**n).

    Standard errors count `PRIOR_FLIPS` more of each reading.
    """
    num_qubits = counts.shape[1].bit_length() - 1
    shots = counts.sum(axis=1)
    ones = np.stack(
        [counts.reshape(2, -1, 2, 2**q)[:, :, 1].sum(axis=(1, 2)) for q in range(num_qubits)],
        axis=1,
    )
    flips = np.stack([ones[0], shots[1] - ones[1]]).astype(float)  # (prepared, qubits)
    shares = flips / shots[:, None]
    centres = (flips + PRIOR_FLIPS) / (shots[:, None] + 2 * PRIOR_FLIPS)
    std_errs = np.sqrt(centres * (1 - centres) / shots[:, None])
    contrast = 1 - shares.sum(axis=0)
    resolved = contrast > RESOLVED_SIGMAS * np.linalg.norm(std_errs, axis=0)
    kept = np.where(resolved, shares, 0.0)
    return MeasuredConfusion(Confusion(kept[0], kept[1]), std_errs[0], std_errs[1], resolved)


def common_errors(histograms: Array, paulis: Sequence[str], measured: MeasuredConfusion) -> Array:
    """How far one standard error of each parameter moves the values of Paulis read in one basis.

    `histograms` holds counts, shape (noise factors, 2**n). Returns shape (2 n, noise factors,
    Paulis): first the parameters of all qubits prepared in 0, then those of 1.
    """
    factors = measured.confusion.factors()
    num_qubits = len(factors)
    by_up, by_down = _factor_slopes(measured.confusion)
    steps = np.concatenate(
        [by_up * measured.std_errs_prep0[:, None], by_down * measured.std_errs_prep1[:, None]]
    )
    moved = np.zeros((2 * num_qubits, len(histograms), len(paulis)))
    for index, pauli in enumerate(paulis):
        support = support_of(pauli)
        for parameter in (*support, *(num_qubits + q for q in support)):
            changed = {q: factors[q] for q in support}
            changed[parameter % num_qubits] = steps[parameter]
            moved[parameter, :, index] = histograms @ product_weights(num_qubits, changed)
    moved /= histograms.sum(axis=1)[:, None]
    return moved


def _factor_slopes(confusion: Confusion) -> tuple[Array, Array]:
    """Derivatives of `Confusion.factors` by prob_meas1_prep0 and by prob_meas0_prep1, (n, 2)."""
    up, down = confusion.prob_meas1_prep0, confusion.prob_meas0_prep1
    squared = (1 - up - down)[:, None] ** 2
    by_up = 2 * np.stack([1 - down, -down], axis=1) / squared
    by_down = 2 * np.stack([up, up - 1], axis=1) / squared
    return by_up, by_down
