"""Carrying a run out: cells in batches to workers, finished batches to disk, in any order.

A batch is a file that appears whole. What is there is never run again, so a run that was stopped
goes on where it was, and a run that was not gives the same files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from quantumai.harness.cells import cell_schema
from quantumai.harness.fan_out import fan_out
from quantumai.harness.results import RESULT_SCHEMA
from quantumai.harness.run_folder import CELLS, RunFolder

if TYPE_CHECKING:
    import pyarrow as pa

CELLS_PER_BATCH = 32


@dataclass(frozen=True)
class BatchPlace:
    """Number of a batch within the run, and where its rows and histograms go."""

    number: int
    results: str
    histograms: str


@dataclass(frozen=True)
class Progress:
    """How far a step is, in cells."""

    step: str
    done: int
    total: int
