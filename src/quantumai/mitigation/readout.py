"""Reading Pauli values from histograms, with or without tensored readout correction.

A Pauli's value is the mean of a weight over outcomes: the product over its qubits of one factor
per bit. Raw factors are +1 and -1. Corrected factors invert each qubit's confusion matrix
(Bravyi et al., PRA 103, 042605, 2021, tensored noise model), so the mean is unbiased and its
standard error follows from the same histogram.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Confusion:
    """What the calibration says of readout: probabilities per compact qubit, each shape (n,)."""

    prob_meas1_prep0: Array
    prob_meas0_prep1: Array

    def factors(self) -> Array:
        """Corrected weight factors for bits 0 and 1, shape (n, 2).

        With <Z>_read = (1 - a - b) <Z> + (b - a), solve for <Z> at readings +1 and -1.
        """
        contrast = 1 - self.prob_meas1_prep0 - self.prob_meas0_prep1
        offset = self.prob_meas0_prep1 - self.prob_meas1_prep0
        return np.stack([(1 - offset) / contrast, (-1 - offset) / contrast], axis=1)

    def contrast(self, pauli: str) -> float:
        """Share of the Pauli's value that readout leaves: product of 1 - a - b over its qubits."""
        support = support_of(pauli)
        kept = 1 - self.prob_meas1_prep0 - self.prob_meas0_prep1
        return float(np.prod(kept[support]))

    def offset_squared(self, pauli: str, prior_variance: float) -> float:
        """Mean square of the value that asymmetric readout adds, to first order in b - a.

        Each qubit of the support adds (b - a) times the value of the other qubits' Pauli, whose
        mean square is `prior_variance` (one if there are no others).
        """
        support = support_of(pauli)
        offsets = (self.prob_meas0_prep1 - self.prob_meas1_prep0)[support]
        return float(offsets @ offsets) * (prior_variance if len(support) > 1 else 1.0)


PRIOR_SHOTS = 2.0
"""Two of each, as Agresti and Coull have it for a share (Am. Stat. 52, 119, 1998)."""

RAW_FACTORS = np.array([1.0, -1.0])


def support_of(pauli: str) -> list[int]:
    """Qubits where a Pauli string (rightmost letter is qubit 0) is not the identity."""
    return [qubit for qubit, letter in enumerate(reversed(pauli)) if letter != "I"]


def outcome_weights(pauli: str, confusion: Confusion | None) -> Array:
    """The Pauli's weight at each outcome, shape (2**n,); bit q of the index is qubit q."""
    factors = None if confusion is None else confusion.factors()
    return product_weights(
        len(pauli), {q: RAW_FACTORS if factors is None else factors[q] for q in support_of(pauli)}
    )


def product_weights(num_qubits: int, factors: Mapping[int, Array]) -> Array:
    """Product over the given qubits of their factor for the bit 0 or 1, shape (2**n,)."""
    weights: Array = np.ones(2**num_qubits)
    for qubit, by_value in factors.items():
        by_bit = weights.reshape(-1, 2, 2**qubit)  # a view: the middle index is the qubit's bit
        by_bit *= by_value[:, None]
    return weights


def _weights(paulis: Sequence[str], confusion: Confusion | None) -> Array:
    return np.stack([outcome_weights(pauli, confusion) for pauli in paulis], axis=1)


@lru_cache(maxsize=8)
def _raw_weights(paulis: tuple[str, ...]) -> Array:
    """Kept for a few bases, since every method on a circuit reads the same raw values."""
    weights = _weights(paulis, None)
    weights.flags.writeable = False
    return weights


def read_values(
    histograms: Array, paulis: Sequence[str], confusion: Confusion | None
) -> tuple[Array, Array]:
    """Means and standard errors of the Paulis measured in one basis.

    `histograms` holds counts, shape (noise factors, 2**n); both answers have shape
    (noise factors, Paulis).

    The means are plain. The standard errors count `PRIOR_SHOTS` more at the largest and at the
    smallest weight: when all shots agree, the sample's own spread is 0 and promises too much.
    """
    shots = histograms.sum(axis=1, keepdims=True)
    weights = _raw_weights(tuple(paulis)) if confusion is None else _weights(paulis, confusion)
    sums, squares = histograms @ weights, histograms @ weights**2
    ends = np.stack([weights.min(axis=0), weights.max(axis=0)])
    counted = shots + 2 * PRIOR_SHOTS
    centres = (sums + PRIOR_SHOTS * ends.sum(axis=0)) / counted
    spreads = (squares + PRIOR_SHOTS * (ends**2).sum(axis=0)) / counted - centres**2
    return sums / shots, np.sqrt(spreads / shots)
