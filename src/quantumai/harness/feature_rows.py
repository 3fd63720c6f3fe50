"""The rows that models learn from, joined with the ideal values: for audits only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from quantumai.errors import BadInputError
from quantumai.harness.plan import LEARNED_FROM
from quantumai.harness.results import FEATURES
from quantumai.harness.statistics import Array, Codes

if TYPE_CHECKING:
    import pyarrow as pa

Texts = np.ndarray[Any, np.dtype[np.object_]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class FeatureRows:
    """One row for each observable of each cell; arrays of shape (rows,), `values` (rows, features).

    `group` names what circuits may be near duplicates of each other: variant and size.
    """

    names: tuple[str, ...]
    values: Array
    ideal: Array
    raw_std_err: Array
    circuit: Texts
    group: Texts
    family: Texts
    train: Flags
    cell: Codes

    def column(self, name: str) -> Array:
        """One feature, shape (rows,)."""
        return self.values[:, self.names.index(name)]

    def circuit_count(self, *, train: bool) -> int:
        """How many circuits are trained on, or tested on."""
        return len(set(self.circuit[self.train == train]))


def read_feature_rows(results: pa.Table, features: pa.Table, names: Sequence[str]) -> FeatureRows:
    """Join features with the rows of results that they belong to, those of method "rem".

    Raises `BadInputError` for features of a cell without such a row, or of another number.
    """
    wanted = ("cell_id", "method", "parameters", "ideal", "raw_std_errs", "circuit_id", "variant",
              "num_qubits", "family", "split")  # fmt: skip
    sources = {
        row["cell_id"]: row
        for row in results.select(list(wanted)).to_pylist()
        if (row["method"], row["parameters"]) == (LEARNED_FROM.name, "{}")
        and row["ideal"] is not None
    }
    matrices, ideals, noises, texts, sizes = [], [], [], [], []
    for cell_id, flat in zip(
        features.column("cell_id").to_pylist(), features.column(FEATURES).to_pylist(), strict=True
    ):
        row = sources.get(cell_id)
        if row is None or len(flat) != len(row["ideal"]) * len(names):
            raise BadInputError("the features are not those of the results", hint="run it anew")
        matrices.append(np.reshape(flat, (-1, len(names))))
        ideals.append(row["ideal"])
        noises.append(row["raw_std_errs"])
        group = f"{row['variant']} {row['num_qubits']}"
        told = (row["circuit_id"], group, row["family"], row["split"])
        texts += [told] * len(row["ideal"])
        sizes.append(len(row["ideal"]))
    circuit, group_names, family, split = np.array(texts, dtype=object).reshape(-1, 4).T
    return FeatureRows(
        tuple(names),
        np.concatenate([np.empty((0, len(names))), *matrices]),
        np.concatenate([np.empty(0), *ideals]),
        np.concatenate([np.empty(0), *noises]),
        circuit,
        group_names,
        family,
        np.asarray(split == "train"),
        np.repeat(np.arange(len(sizes)), sizes),
    )
