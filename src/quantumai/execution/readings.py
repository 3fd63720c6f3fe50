"""Values of all observables from the histograms of all bases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quantumai.circuits.observables import MeasurementBasis
from quantumai.mitigation.readout import Array, Confusion, read_values
from quantumai.mitigation.readout_calibration import MeasuredConfusion, common_errors


@dataclass(frozen=True)
class Readings:
    """`values` and independent `std_errs`, shape (noise factors, observables).

    `common_errs` as in `Method.estimate`, None where readout needed no calibration circuits.
    `uncorrected` are observables whose qubits' calibration cannot be inverted.
    """

    values: Array
    std_errs: Array
    common_errs: Array | None = None
    uncorrected: frozenset[int] = frozenset()


def read_bases(
    counts: NDArray[np.int64],
    bases: Sequence[MeasurementBasis],
    paulis: Sequence[str],
    confusion: Confusion | None,
) -> Readings:
    """Raw values, or values corrected by `confusion`; `counts` (bases, noise factors, 2**n)."""
    values = np.empty((counts.shape[1], len(paulis)))
    errors = np.empty_like(values)
    for basis, histograms in zip(bases, counts, strict=True):
        members = list(basis.members)
        values[:, members], errors[:, members] = read_values(
            histograms.astype(float), [paulis[i] for i in members], confusion
        )
    return Readings(values, errors)


def read_calibrated(
    counts: NDArray[np.int64],
    bases: Sequence[MeasurementBasis],
    paulis: Sequence[str],
    measured: MeasuredConfusion,
) -> Readings:
    """Values corrected by what calibration circuits measured, raw where that cannot be inverted."""
    raw = read_bases(counts, bases, paulis, None)
    corrected = read_bases(counts, bases, paulis, measured.confusion)
    resolved = np.array([measured.resolves(pauli) for pauli in paulis])
    common = np.zeros((2 * len(measured.resolved), *raw.values.shape))
    for basis, histograms in zip(bases, counts, strict=True):
        members = list(basis.members)
        common[:, :, members] = common_errors(
            histograms.astype(float), [paulis[i] for i in members], measured
        )
    return Readings(
        np.where(resolved, corrected.values, raw.values),
        np.where(resolved, corrected.std_errs, raw.std_errs),
        np.where(resolved, common, 0.0),
        frozenset(np.flatnonzero(~resolved).tolist()),
    )
