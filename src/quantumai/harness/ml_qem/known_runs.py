"""Which runs a model knows: the nearest training run, and how far new circuits of its kind may be.

The bound is measured, not chosen: the largest distance that a training run has from the runs of all
other circuits. A new draw of what a model learned from lies within it, a new family does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantumai.harness.ml_qem.learning_rows import LearningRows
from quantumai.mitigation.ml_qem.novelty import run_descriptors


@dataclass(frozen=True)
class KnownRuns:
    """A pipeline of scikit-learn with `kneighbors` at its end, and the largest distance allowed."""

    nearest: Any
    largest_distance: float


def known_runs(rows: LearningRows) -> KnownRuns:
    """The training runs of at least two circuits."""
    from sklearn.neighbors import NearestNeighbors
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    descriptors = run_descriptors(rows.features, rows.cell).astype(np.float32)
    nearest = make_pipeline(StandardScaler(), NearestNeighbors(n_neighbors=1, radius=None))
    nearest.fit(descriptors)
    first_rows = np.unique(rows.cell, return_index=True)[1]
    circuit = rows.circuit[first_rows]
    return KnownRuns(nearest, _largest_between(nearest[0].transform(descriptors), circuit))


def _largest_between(runs: NDArray[np.float32], circuit: NDArray[np.int64]) -> float:
    """Largest distance of a run from the nearest one of another circuit."""
    from sklearn.neighbors import NearestNeighbors

    # With as many neighbours as a circuit has runs, and one more, one is of another circuit.
    count = min(len(runs), int(np.bincount(circuit).max()) + 1)
    found = NearestNeighbors(n_neighbors=count).fit(runs)
    distances, others = found.kneighbors(runs)
    elsewhere = np.where(circuit[others] == circuit[:, None], np.inf, distances)
    return float(elsewhere.min(axis=1).max())
