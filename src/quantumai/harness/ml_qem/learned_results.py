"""Rows of results for what was learned: the REM run of a test cell with other values in it.

A model spends what REM spends, so shots, raw values and the equal-shot twin stay those of that run.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from quantumai.canonical import canonical_json
from quantumai.harness.assessment import errors
from quantumai.harness.ml_qem.learning_rows import LearningRows
from quantumai.harness.results import LEARNED, result_schema
from quantumai.mitigation.fidelity import polarization_fidelity
from quantumai.mitigation.ml_qem.features import FEATURES
from quantumai.mitigation.ml_qem.served import LearnedMethod, learned_values
from quantumai.mitigation.readout import Array

if TYPE_CHECKING:
    import pyarrow as pa


def learned_rows(test: LearningRows, method: LearnedMethod) -> pa.Table:
    """A model's values on test rows, its fallback's where a run is out of distribution."""
    found = learned_values(method.card, method.model, test.features, test.cell)
    fallbacks = np.array(found.fallbacks)
    return _table(test, dict(method.params), found.values, found.std_errs, fallbacks)


def control_rows(test: LearningRows, variant: str, control: str, values: Array) -> pa.Table:
    """A control's values; its standard errors are unknown, so they are those of REM."""
    std_errs = test.features[:, FEATURES.index("rem_std_err")]
    parameters = {"variant": variant, "control": control}
    return _table(test, parameters, values, std_errs, np.full(len(values), ""))


def _table(
    test: LearningRows, parameters: dict[str, Any], values: Array, std_errs: Array, fell_back: Any
) -> pa.Table:
    import pyarrow as pa

    text = canonical_json(parameters).decode()
    rows = [
        _row(cell, text, values[at], std_errs[at], fell_back[at].tolist())
        for cell, at in _by_cell(test)
    ]
    return pa.Table.from_pylist(rows, schema=result_schema())


def _by_cell(test: LearningRows) -> Iterator[tuple[dict[str, Any], Any]]:
    for number, cell in enumerate(test.cells):
        yield cell, test.cell == number


def _row(
    cell: dict[str, Any], parameters: str, values: Array, std_errs: Array, fell_back: list[str]
) -> dict[str, Any]:
    ideal = np.array(cell["ideal"])
    told = errors("mitigated", values, std_errs, ideal)
    return {
        **cell,
        "method": LEARNED,
        "parameters": parameters,
        "mitigated": values.tolist(),
        "mitigated_std_errs": std_errs.tolist(),
        "mitigated_fidelity": polarization_fidelity(values, ideal),
        **told,
        "observed_precision_fidelity": float(np.exp(-told["rmse_mitigated"] / cell["eps"])),
        "hellinger_polarized": None,
        "fallbacks": fell_back,
    }
