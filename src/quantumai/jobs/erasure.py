"""After a tenant's data were erased: the database's rows about its jobs are cleared too.

What a row needs to be one stays: ids, tenant, state, times, and where the ledger has the job.
"""

from __future__ import annotations

from typing import Any

from quantumai.errors import ErasedError
from quantumai.jobs.desk import Desk
from quantumai.storage.database import Row

_REQUEST: dict[str, Any] = {"circuit_name": "(erased)"}
_CLEARED: dict[str, dict[str, Any]] = {
    "manifests": dict.fromkeys(
        (
            "backend_id",
            "pqc_suite",
            "crypto_mode",
            "calibration_snapshot_id",
            "em_method",
            "signature",
        )
    ),
    "em_results": dict.fromkeys(
        (
            "circuit_family",
            "shots",
            "unmitigated_fidelity",
            "mitigated_fidelity",
            "em_method",
            "cost_seconds",
            "parquet_path",
        )
    ),
    "scheduler_decisions": dict.fromkeys(("chosen_backend", "score", "reasons")),
}


def clear_erased(desk: Desk) -> list[str]:
    """Clear the rows of every job whose data were erased, once; returns the ids of those jobs.

    Raises `StorageError` when the store cannot be asked; what was cleared before stays so.
    """
    cleared = []
    for row in desk.database.select("jobs"):
        if row["request"] != _REQUEST and _is_erased(desk, row):
            _clear(desk, row)
            cleared.append(row["job_id"])
    return cleared


def _is_erased(desk: Desk, row: Row) -> bool:
    try:
        desk.job_objects(row["tenant"], row["job_id"]).require_readable()
    except ErasedError:
        return True
    return False


def _clear(desk: Desk, row: Row) -> None:
    values: dict[str, Any] = {"request": _REQUEST}
    if row["failure_reason"]:
        values["failure_reason"] = "(erased)"
    where = {"job_id": row["job_id"]}
    with desk.database.transaction():
        desk.database.update("jobs", where, values)
        for table, nothing in _CLEARED.items():
            desk.database.update(table, where, nothing)
