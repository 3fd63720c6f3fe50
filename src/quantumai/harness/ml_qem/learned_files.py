"""Which files the learning step of a run leaves, and for which noises they are not all there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quantumai.harness.plan import Plan
from quantumai.harness.results import rows_learned_from
from quantumai.harness.run_folder import RunFolder

if TYPE_CHECKING:
    import pyarrow as pa


def learned_name(noise: str) -> str:
    """The file of a noise's learned rows, one for each backend."""
    return f"learned-{noise}.parquet"


def unlearned(run: RunFolder, plan: Plan, results: pa.Table) -> list[str]:
    """Noises of which learned rows are missing; `results` are rows of the run, learned or not."""
    if plan.learning is None:
        return []
    rows = rows_learned_from(results)
    columns = (rows.column(name).to_pylist() for name in ("noise", "backend_id", "split"))
    missing = {
        noise
        for noise, backend, split in set(zip(*columns, strict=True))
        # The step may have been stopped between two backends.
        if split == "test"
        and not list(run.path.glob(f"results/**/backend_id={backend}/{learned_name(noise)}"))
    }
    return [noise for noise in plan.noises if noise in missing]
