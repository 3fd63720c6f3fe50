"""How far a run is from all training runs: whether a model may be asked at all.

A forest answers anything, by the training rows that it takes for near. Rows of a new family of
circuits lie inside the range of each single feature, so what tells it is the distance of the whole
circuit from the nearest one of training.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quantumai.mitigation.ml_qem.features import FEATURES
from quantumai.mitigation.readout import Array

PER_CIRCUIT = (
    "num_qubits", "two_qubit_gates", "gates_per_qubit", "two_qubit_gates_per_qubit",
    *(name for name in FEATURES if name.startswith("angles_")),
)  # fmt: skip
PER_OBSERVABLE = (
    "log_signal", "log_signal_fixed", "log_signal_folded", "prior_mean_square",
    "weight", "weight_x", "weight_y",
)  # fmt: skip
"""Features that tell what the circuit is and how noisy; none comes from shots."""
RUN_COLUMNS = len(PER_CIRCUIT) + 2 * len(PER_OBSERVABLE)
_DECIMALS = 9
"""What is equal but for rounding must stay equal: standardising would blow the difference up."""


def run_descriptors(features: Array, run: NDArray[np.int64]) -> Array:
    """`PER_CIRCUIT`, then means and standard deviations of `PER_OBSERVABLE`, of each run.

    `features` has shape (rows, features), `run` numbers the run of each row from 0 without gaps, in
    order; the result has shape (runs, `RUN_COLUMNS`).
    """
    starts = np.flatnonzero(np.diff(run, prepend=-1))
    rows = np.diff(starts, append=len(run))[:, None]
    told = features[:, [FEATURES.index(name) for name in PER_OBSERVABLE]]
    means = np.add.reduceat(told, starts) / rows
    squares = np.add.reduceat((told - means[run]) ** 2, starts) / rows
    shape = features[starts][:, [FEATURES.index(name) for name in PER_CIRCUIT]]
    found: Array = np.round(np.concatenate([shape, means, np.sqrt(squares)], axis=1), _DECIMALS)
    return found
