"""Rows in `em_results` about a run of the EM harness: one for each row of its signed tables.

Everything in them comes from the job's artefacts, ids too, so each can be recomputed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from uuid import UUID, uuid5

from quantumai.errors import BadInputError
from quantumai.jobs.desk import Desk
from quantumai.jobs.evidence import Evidence
from quantumai.jobs.job_rows import is_same
from quantumai.storage.database import Row

EM_METHOD = "em-harness"
"""`em_method` of a job that is a run of the harness, which has many."""

EM_PREFIX = "em/"
"""What the artefacts are called that are files of the run."""

_RESULTS = f"{EM_PREFIX}results/"
# Columns of `em_results`, and of `harness.results`.
_COLUMNS = {
    "circuit_family": "family",
    "shots": "shots",
    "unmitigated_fidelity": "unmitigated_fidelity",
    "mitigated_fidelity": "mitigated_fidelity",
    "em_method": "method",
    "cost_seconds": "runtime_seconds",
}
_MOST_TOLD = 5


def em_result_rows(job_id: str, run_id: str, artefacts: Mapping[str, bytes]) -> list[Row]:
    """The rows of one job, without `created_at`, in the order of its result tables.

    `parquet_path` is `<run id>/<file>#<row>`. Raises `BadInputError` where pyarrow is missing.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise BadInputError(
            "result tables cannot be read: pyarrow is missing",
            hint="pip install 'quantumai[harness]'",
        ) from None
    rows = []
    for name in sorted(name for name in artefacts if name.startswith(_RESULTS)):
        file = pq.ParquetFile(pa.BufferReader(artefacts[name]))
        read = [*_COLUMNS.values(), "parameters"]
        for number, values in enumerate(file.read(columns=read).to_pylist()):
            place = f"{run_id}/{name.removeprefix(EM_PREFIX)}#{number}"
            told = {column: values[source] for column, source in _COLUMNS.items()}
            if control := json.loads(values["parameters"]).get("control"):
                told["em_method"] += f" ({control})"  # no method to choose, and none of ours
            own = {"result_id": str(uuid5(UUID(job_id), place)), "job_id": job_id}
            rows.append(own | told | {"parquet_path": place})
    return rows


def em_row_problems(desk: Desk, evidence: Evidence) -> Iterator[str]:
    """Where the rows in `em_results` of a recorded job are not those of its signed tables.

    A recorded job that is no run of the harness has none. Raises as `em_result_rows`, and
    `ArtefactError` for a table that is gone.
    """
    job_id, wanted = evidence.manifest.job_id, _wanted(evidence)
    found = desk.database.select("em_results", {"job_id": job_id})
    if len(found) != len(wanted):
        yield f"job {job_id} has {len(found)} rows in em_results instead of {len(wanted)}"
        return
    differing = [row for row in found if not _is_wanted(row, wanted)]
    for row in islice(differing, _MOST_TOLD):
        place = str(row["parquet_path"])[:160]
        yield f"job {job_id}: the row of {place} in em_results contradicts the evidence"
    if len(differing) > _MOST_TOLD:
        yield f"job {job_id}: so do {len(differing) - _MOST_TOLD} other rows in em_results"


def _wanted(evidence: Evidence) -> dict[str, Row]:
    """`result_id` -> its row."""
    if evidence.manifest.em_method != EM_METHOD:
        return {}
    names = [name for name in evidence.digests if name.startswith(_RESULTS)]
    tables = {name: evidence.artefact(name) for name in names}
    run_id = evidence.json("record")["told"].get("run", "")
    rows = em_result_rows(evidence.manifest.job_id, run_id, tables)
    at = {"created_at": evidence.manifest.created_at}
    return {row["result_id"]: row | at for row in rows}


def _is_wanted(row: Row, wanted: Mapping[str, Row]) -> bool:
    return is_same(row, wanted.get(row["result_id"]))
