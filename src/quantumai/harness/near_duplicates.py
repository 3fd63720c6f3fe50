"""Circuits that are two in name only: nearly the same gates and nearly the same ideal values.

Molecules at neighbouring bond lengths are the known case. Whoever learned the one has all but
seen the other, and an error measured on it says nothing of unseen circuits.
"""

from __future__ import annotations

import numpy as np

from quantumai.harness.feature_rows import FeatureRows, Flags
from quantumai.harness.statistics import Array
from quantumai.mitigation.fidelity import LOW_SIGNAL

IDEAL_DISTANCE = 0.01
"""Root mean square over the observables. Near this, a model of the one serves for the other."""
SHAPE_DISTANCE = 0.1
"""Root mean square over the shape features, in units of their spread over all circuits."""
SHAPE_FEATURES = ("num_qubits", "two_qubit_gates", "gates_per_qubit", "two_qubit_gates_per_qubit")
_ANGLES = "angles_"


def near_duplicates(rows: FeatureRows) -> list[tuple[str, str]]:
    """Pairs of a test circuit and the training circuit nearest to it, where they are that near.

    Circuits of the same variant and size are compared, by their ideal values and by how many gates
    and which angles they have. Where the ideal values are all about 0 there is nothing to recall,
    and any two circuits would be alike.
    """
    shape = [i for i, n in enumerate(rows.names) if n in SHAPE_FEATURES or n.startswith(_ANGLES)]
    spread = rows.values[:, shape].std(axis=0)
    scaled = rows.values[:, shape] / np.where(spread > 0, spread, 1.0)
    found = []
    for group in sorted(set(rows.group)):
        train = _circuits(rows, scaled, (rows.group == group) & rows.train)
        for name, (ideal, its_shape) in _circuits(
            rows, scaled, (rows.group == group) & ~rows.train
        ).items():
            same = [other for other in train if train[other][0].shape == ideal.shape]
            if not same or _rms(ideal) < LOW_SIGNAL:
                continue
            ideals = np.stack([train[other][0] for other in same])
            shapes = np.stack([train[other][1] for other in same])
            near = (_rms(ideals - ideal) <= IDEAL_DISTANCE) & (
                _rms(shapes - its_shape) <= SHAPE_DISTANCE
            )
            if near.any():
                nearest = np.argmin(np.where(near, _rms(ideals - ideal), np.inf))
                found.append((name, same[int(nearest)]))
    return found


def _circuits(rows: FeatureRows, scaled: Array, chosen: Flags) -> dict[str, tuple[Array, Array]]:
    """Ideal values and shape of each chosen circuit, from the first of its cells."""
    indices = np.flatnonzero(chosen)
    first: dict[str, int] = {}
    at: dict[str, list[int]] = {}
    for index in indices:
        name, cell = str(rows.circuit[index]), int(rows.cell[index])
        if first.setdefault(name, cell) == cell:
            at.setdefault(name, []).append(int(index))
    return {name: (rows.ideal[mine], scaled[mine[0]]) for name, mine in at.items()}


def _rms(values: Array) -> Array:
    return np.asarray(np.sqrt(np.mean(values**2, axis=-1)))
