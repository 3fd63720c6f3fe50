"""The circuits of a plan that were made elsewhere, read once, when a run begins.

Their texts go into the run's folder and cells name them by content, so that neither a worker nor
a run that goes on later ever reads the folder that the plan names.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from quantumai.circuits.families.family import BenchmarkCircuit
from quantumai.circuits.families.imported import IMPORTED, imported_circuits
from quantumai.errors import ArtefactError, BadInputError
from quantumai.harness.plan import MAX_CELLS, Plan

if TYPE_CHECKING:
    import pyarrow as pa

Imported = Mapping[str, tuple[BenchmarkCircuit, ...]]
"""The circuits of each folder, by its name in the plan."""


def read_imported(plan: Plan, beside: Path) -> Imported:
    """All circuits that the plan's groups import; `beside` is the folder that the plan lies in.

    Raises `BadInputError` for a folder or file that is no good, and for too many cells.
    """
    groups = [group for group in plan.circuits if group.variant == IMPORTED]
    found = {
        folder: imported_circuits(beside / folder)
        for folder in sorted({group.folder for group in groups})
    }
    cells = sum(plan.cells_of(group, len(found[group.folder])) for group in groups)
    if plan.cell_count + cells > MAX_CELLS:
        raise BadInputError(
            f"{plan.cell_count + cells} cells with imported circuits, more than {MAX_CELLS}",
            hint="import fewer files",
        )
    return found


def require_sources(cells: pa.Table, sources: Mapping[str, str]) -> None:
    """Raise `ArtefactError` where the text of an imported circuit of `cells` is not there."""
    import json

    variants, parameters = (cells.column(n).to_pylist() for n in ("variant", "parameters"))
    for variant, text in zip(variants, parameters, strict=True):
        if variant == IMPORTED and (digest := json.loads(text)["sha256"]) not in sources:
            raise ArtefactError(
                f"circuit {digest[:12]} of the run is gone", hint="restore the run's circuits"
            )


def sources_of(imported: Imported) -> dict[str, str]:
    """OpenQASM texts by their SHA-256, hex."""
    circuits = [made.circuit for group in imported.values() for made in group]
    return {circuit.sha256: circuit.source for circuit in circuits}
