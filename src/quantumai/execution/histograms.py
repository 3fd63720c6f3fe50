"""The counts of a run as plain data, as a job's artefact and the harness's tables keep them."""

from __future__ import annotations

from typing import Any

import numpy as np

from quantumai.execution.run import Counts, Outcome


def plain_histograms(outcome: Outcome) -> dict[str, Any]:
    """The achieved noise factors, and for each basis the counts by outcome at each of them.

    Outcomes that never came up are left out; in a bit string the rightmost bit is compact qubit 0.
    """
    return {
        "noise_factors": outcome.noise_factors.tolist(),
        "bases": [
            {"basis": basis, "counts": [_by_outcome(row) for row in rows]}
            for basis, rows in zip(outcome.bases, outcome.counts, strict=True)
        ],
    }


def _by_outcome(row: Counts) -> dict[str, int]:
    num_qubits = len(row).bit_length() - 1
    return {f"{index:0{num_qubits}b}": int(row[index]) for index in np.flatnonzero(row)}
