"""Sealing a run of the EM harness: one manifest for each backend under its calibration.

The manifest's artefacts are every file of the run that the backend's rows come from: plan, cells,
calibrations, results, histograms, features and models. Rows name the job, so whoever holds a row
finds the manifest, and whoever holds the manifest finds that no file of it was changed.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from quantumai.crypto_mode import CryptoMode
from quantumai.harness.run_folder import RunFolder, RunRecord
from quantumai.jobs.desk import Desk
from quantumai.jobs.evidence import CALIBRATION_PREFIX
from quantumai.jobs.recorded_run import RecordedRun, seal_recorded_run
from quantumai.jobs.run_data import RunResult, write_result
from quantumai.jobs.states import JobState
from quantumai.randomness import RootSeed

EM_METHOD = "em-harness"
_SHARED = ("plan.yaml", "run.json", "cells.parquet", "calibrations", "models")


def seal_em_run(desk: Desk, run: RunFolder, mode: CryptoMode, seed: str) -> dict[str, str]:
    """Seal what is not sealed yet of a finished run; the job of each backend.

    `seed` is the plan's. Raises as `seal_recorded_run` does.
    """
    record = run.record()
    for backend_id, job_id in record.job_ids.items():
        if not desk.database.select("jobs", {"job_id": job_id, "state": JobState.DONE}):
            seal_recorded_run(desk, _of_backend(run, record, backend_id, mode, seed), job_id)
    return record.job_ids


def _of_backend(
    run: RunFolder, record: RunRecord, backend_id: str, mode: CryptoMode, seed: str
) -> RecordedRun:
    names = files_of(run, backend_id)
    artefacts = {f"em/{name}": (run.path / name).read_bytes() for name in names}
    calibration = record.calibrations[backend_id]
    artefacts[CALIBRATION_PREFIX + backend_id] = run.snapshots()[calibration].to_bytes()
    artefacts["result"] = write_result(RunResult(source=EM_METHOD, shots_spent=None))
    return RecordedRun(
        backend_id=backend_id,
        crypto_mode=mode,
        em_method=EM_METHOD,
        em_version=record.plan_name,
        seed=RootSeed.of(seed).text,
        calibration_snapshot_id=f"sha256:{calibration}",
        circuit_name=record.plan_name,
        artefacts=artefacts,
        told={"run": record.run_id, "files": names},
        library_versions=record.versions,
    )


def files_of(run: RunFolder, backend_id: str) -> list[str]:
    """Names of the files that the rows of one backend come from, sorted."""
    results = [n for n in run.files() if f"/backend_id={backend_id}/" in n]
    parts = {PurePosixPath(name).name for name in results}
    return sorted(
        name
        for name in run.files()
        if name in results
        or PurePosixPath(name).parts[0] in _SHARED
        or (
            PurePosixPath(name).parts[0] in ("histograms", "features")
            and PurePosixPath(name).name in parts
        )
    )
