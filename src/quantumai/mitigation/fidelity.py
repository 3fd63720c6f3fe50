"""Errors and the fidelity `ev_polarization_v1` of a set of expectation values.

With y the ideal values of Pauli observables (traceless, spectrum [-1, 1]), S = RMS(y) and
estimates clipped to [-1, 1], F = max(0, 1 - RMS(estimate - y) / S). At infinite shots F is the
survival probability under global depolarising noise, and answering zeros gives 0.
"""

from __future__ import annotations

import numpy as np

from quantumai.mitigation.readout import Array

FIDELITY_DEFINITION = "ev_polarization_v1"
LOW_SIGNAL = 0.1
"""Below this S the ratio says nothing and the fidelity is None."""


def rmse(estimates: Array, ideal: Array) -> float:
    """Root mean square of estimate minus ideal, unclipped; shapes (observables,)."""
    return float(np.sqrt(np.mean((estimates - ideal) ** 2)))


def polarization_fidelity(estimates: Array, ideal: Array) -> float | None:
    """F as defined above, or None where the signal is too low."""
    signal = float(np.sqrt(np.mean(ideal**2)))
    if signal < LOW_SIGNAL:
        return None
    return max(0.0, 1 - rmse(np.clip(estimates, -1, 1), ideal) / signal)
