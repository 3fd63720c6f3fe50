"""Which files the learning step of a run leaves, and for which noises they are not all there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quantumai.harness.plan import LEARNED_FROM, Plan
from quantumai.harness.run_folder import RunFolder

if TYPE_CHECKING:
    import pyarrow as pa


def learned_name(noise: str) -> str:
    """The file of a noise's learned rows, one for each backend."""
    return f"learned-{noise}.parquet"


def unlearned(run: RunFolder, plan: Plan, results: pa.Table) -> list[str]:
    """Noises of which learned rows are missing; `results` are the rows of the run's batches."""
    if plan.learning is None:
        return []
    names = ("noise", "backend_id", "split", "method", "parameters", "failure")
    rows = set(zip(*(results.column(name).to_pylist() for name in names), strict=True))
    wanted = ("test", LEARNED_FROM.name, "{}", None)
    missing = {
        noise
        for noise, backend, *rest in rows
        # The step may have been stopped between two backends.
        if tuple(rest) == wanted
        and not list(run.path.glob(f"results/**/backend_id={backend}/{learned_name(noise)}"))
    }
    return [noise for noise in plan.noises if noise in missing]
