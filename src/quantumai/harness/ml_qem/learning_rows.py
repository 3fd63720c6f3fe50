"""What models learn from and are measured on: one row for each observable of each cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from quantumai.canonical import sha256_hex
from quantumai.harness.results import FEATURES as FEATURES_COLUMN
from quantumai.harness.results import rows_learned_from
from quantumai.mitigation.ml_qem.features import FEATURES
from quantumai.mitigation.readout import Array

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class LearningRows:
    """`cells` are the rows of results that they belong to; `cell` numbers them, shape (rows,).

    `features` has shape (rows, features); `ideal`, (rows,), is for training and assessment alone.
    """

    cells: tuple[dict[str, Any], ...]
    cell: NDArray[np.int64]
    features: Array
    ideal: Array

    @property
    def rem(self) -> Array:
        """The REM values."""
        return self.features[:, FEATURES.index("rem")]

    @property
    def circuit(self) -> NDArray[np.int64]:
        """A number for the circuit of each row: folds and resamples draw whole circuits."""
        ids = np.array([row["circuit_id"] for row in self.cells])
        codes = np.unique(ids, return_inverse=True)[1] if len(ids) else np.empty(0, int)
        return np.asarray(codes[self.cell], dtype=np.int64)

    @property
    def sha256(self) -> str:
        """SHA-256 (hex) of what is learned from: features and ideal values, to the last bit."""
        return sha256_hex(self.features.tobytes() + self.ideal.tobytes())


def learning_rows(results: pa.Table, features: pa.Table, noise: str, split: str) -> LearningRows:
    """The rows of one noise that models learn from ("train") or are measured on ("test")."""
    import pyarrow.compute as pc

    by_cell = dict(
        zip(
            features.column("cell_id").to_pylist(),
            features.column(FEATURES_COLUMN).to_pylist(),
            strict=True,
        )
    )
    rows = rows_learned_from(results)
    wanted = pc.and_(pc.equal(rows["noise"], noise), pc.equal(rows["split"], split))
    cells = tuple(rows.filter(wanted).to_pylist())
    matrices = [np.reshape(by_cell[row["cell_id"]], (-1, len(FEATURES))) for row in cells]
    return LearningRows(
        cells,
        np.repeat(np.arange(len(cells)), [len(matrix) for matrix in matrices]),
        np.concatenate([np.empty((0, len(FEATURES))), *matrices]),
        np.concatenate([np.empty(0), *(row["ideal"] for row in cells)]),
    )
