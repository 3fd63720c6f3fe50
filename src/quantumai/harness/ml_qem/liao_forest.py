"""The forest of Liao et al. (Nature Machine Intelligence 6, 1478, 2024), trained on our circuits.

Read off github.com/qiskit-community/ml-qem (docs/tutorials/mlp.py, h15_random_forest.ipynb): one
forest of 300 trees for each qubit, every other parameter scikit-learn's, from the numbers of native
gates, a histogram of rotation angles in bins of 0.1 pi, and the four noisy values of Z. Their means
of the calibration are left out: they are the same for all circuits of one device.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import fmod, pi

import numpy as np

from quantumai.backends.calibration import CalibrationSnapshot
from quantumai.backends.physical_circuit import PhysicalCircuit
from quantumai.errors import BadInputError
from quantumai.harness.cells import Cell
from quantumai.harness.estimation import place
from quantumai.harness.ml_qem.learning_rows import LearningRows
from quantumai.harness.ml_qem.training import SEED
from quantumai.mitigation.ml_qem.features import FEATURES
from quantumai.mitigation.readout import Array

NUM_VALUES = 4
_TREES = 300
_ONE_QUBIT_GATES = ("rz", "sx", "x")
_ANGLE_EDGES = np.arange(-20, 21) * 0.1 * pi


class PlacedShapes:
    """What the forest is told of each cell's circuit; cells of several noises share it."""

    def __init__(self, cells: list[Cell], snapshots: Mapping[str, CalibrationSnapshot]) -> None:
        self._cells = {cell.cell_id: cell for cell in cells}
        self._snapshots = snapshots
        self._known: dict[str, Array] = {}

    def of(self, cell_id: str) -> Array:
        """Numbers of gates, then of angles, both over 100."""
        cell = self._cells[cell_id]
        if cell.place_key not in self._known:
            placed = place(cell, self._snapshots[cell.calibration_sha256])
            self._known[cell.place_key] = _shape(placed.transpiled.circuit)
        return self._known[cell.place_key]


def liao_forest_values(training: LearningRows, test: LearningRows, shapes: PlacedShapes) -> Array:
    """Values of the test rows, shape (rows,). Raises `BadInputError` for other circuits."""
    from sklearn.ensemble import RandomForestRegressor

    known, asked = (_inputs(rows, shapes) for rows in (training, test))
    ideal = training.ideal.reshape(-1, NUM_VALUES)
    values = np.empty((len(asked), NUM_VALUES))
    for qubit in range(NUM_VALUES):
        forest = RandomForestRegressor(n_estimators=_TREES, n_jobs=-1, random_state=SEED)
        # Asked on one core, or the sum over trees would depend on which came first.
        values[:, qubit] = forest.fit(known, ideal[:, qubit]).set_params(n_jobs=1).predict(asked)
    return values.ravel()


def _inputs(rows: LearningRows, shapes: PlacedShapes) -> Array:
    if any(len(row["observables"]) != NUM_VALUES for row in rows.cells):
        raise BadInputError(
            "the forest of Liao et al. takes circuits of four qubits and their four values of Z",
            hint="leave learning.rivals out, or use the variants liao_random and liao_ising",
        )
    noisy = rows.features[:, FEATURES.index("raw")].reshape(-1, NUM_VALUES)
    return np.concatenate([np.stack([shapes.of(r["cell_id"]) for r in rows.cells]), noisy], axis=1)


def _shape(circuit: PhysicalCircuit) -> Array:
    names = [gate.name for gate in circuit.gates]
    counts = [circuit.two_qubit_gate_count, *(names.count(name) for name in _ONE_QUBIT_GATES)]
    angles = [fmod(gate.angle, 2 * pi) for gate in circuit.gates if gate.name == "rz"]
    histogram = np.histogram(angles, bins=_ANGLE_EDGES)[0]
    return np.concatenate([counts, histogram]) * 0.01
