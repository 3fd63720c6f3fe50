"""Confidence as a measured frequency: how often the prediction held on seeded test circuits.

The table beside this module is remade by `python benchmarks/confidence.py --write`. Its entry for a
method is the share of test runs whose RMSE lay within a factor 1.5 of the predicted one.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import msgspec

from quantumai.canonical import sha256_hex

WITHIN_FACTOR = 1.5
CONFIDENCE_TABLE = Path(__file__).with_name("confidence.json")


class ConfidenceTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`share[method]` of `runs[method]` test runs came within `within_factor` of the prediction."""

    schema_version: int
    within_factor: float
    circuits: int
    backends: int
    shots: int
    share: Mapping[str, float]
    runs: Mapping[str, int]


@cache
def measured_confidence() -> ConfidenceTable:
    """The packaged table."""
    return msgspec.json.decode(CONFIDENCE_TABLE.read_bytes(), type=ConfidenceTable)


@cache
def confidence_digest() -> str:
    """SHA-256 of the packaged table, for the manifest's policy digest."""
    return sha256_hex(CONFIDENCE_TABLE.read_bytes())


def came_within(predicted_rmse: float, observed_rmse: float) -> bool:
    """Whether the observed RMSE is within the stated factor of the predicted one, either way."""
    return predicted_rmse / WITHIN_FACTOR <= observed_rmse <= predicted_rmse * WITHIN_FACTOR
