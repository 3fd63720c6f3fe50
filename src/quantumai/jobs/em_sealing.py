"""Sealing a run of the EM harness: one manifest for each backend under its calibration.

The manifest's artefacts are every file of the run that the backend's rows come from: plan, cells,
calibrations, imported circuits, results, histograms, features and signed models. Rows name the job,
so whoever holds a row finds the manifest, and whoever holds the manifest finds that no file of it
was changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from uuid import UUID, uuid5

from quantumai.backends.calibration import CalibrationSnapshot
from quantumai.bounded_reading import sha256_of_file
from quantumai.crypto_mode import CryptoMode
from quantumai.errors import ArtefactError
from quantumai.harness.run_folder import BATCH_FOLDERS, RunFolder, RunRecord
from quantumai.jobs.desk import Desk
from quantumai.jobs.em_result_rows import EM_METHOD, EM_PREFIX, em_result_rows
from quantumai.jobs.evidence import CALIBRATION_PREFIX, Evidence
from quantumai.jobs.model_signing import sign_models
from quantumai.jobs.recorded_run import RecordedRun, seal_recorded_run
from quantumai.jobs.run_data import RunResult, write_result
from quantumai.jobs.states import JobState
from quantumai.randomness import RootSeed

_SHARED = ("plan.yaml", "run.json", "cells.parquet", "calibrations", "circuits", "models")
_JOBS_OF_RUNS = UUID("7b0f6f2e-51c4-4f0e-9a4b-0f7c5a3d1e86")


def job_ids_of(run_id: str, backend_ids: Iterable[str]) -> dict[str, str]:
    """The job of each backend of a run: the run's id decides it, so no file can name another."""
    return {name: str(uuid5(_JOBS_OF_RUNS, f"{run_id}/{name}")) for name in backend_ids}


def seal_em_run(desk: Desk, run: RunFolder, mode: CryptoMode) -> dict[str, str]:
    """Sign the models and seal what is not sealed yet of a finished run; the job of each backend.

    Raises as `sign_models` and `seal_recorded_run` do, and `ArtefactError` as below.
    """
    record = _record_of(run)
    unsealed = {b: job_id for b, job_id in record.job_ids.items() if not _is_sealed(desk, job_id)}
    if unsealed:
        sign_models(desk, run)  # before their signatures are sealed like any other file
        names, snapshots, seed = run.files(), run.snapshots(), run.plan().seed
        for backend_id, job_id in unsealed.items():
            files = {n: (run.path / n).read_bytes() for n in files_of(names, backend_id)}
            recorded = _recorded(record, backend_id, files, snapshots, mode, seed)
            seal_recorded_run(desk, recorded, job_id)
    return record.job_ids


def changed_since_sealing(desk: Desk, run: RunFolder) -> list[str] | None:
    """Names of files that are gone, changed or added in the run's folder since sealing, sorted.

    None where no job of the run is sealed here. Raises `ArtefactError` for a record that names jobs
    of another run, and as `Evidence` does.
    """
    digests: dict[str, str] = {}
    names, open_names = run.files(), set[str]()
    for backend_id, job_id in _record_of(run).job_ids.items():
        if _is_sealed(desk, job_id):
            digests |= Evidence(desk, job_id).digests
        else:
            open_names |= set(files_of(names, backend_id))
    sealed = {n.removeprefix(EM_PREFIX): d for n, d in digests.items() if n.startswith(EM_PREFIX)}
    if not sealed:
        return None
    added = {
        name
        for name in names
        if PurePosixPath(name).parts[0] in (*BATCH_FOLDERS, *_SHARED)
        and name not in sealed
        and name not in open_names
    }
    changed = {
        name
        for name, digest in sealed.items()
        if not run.has(name) or sha256_of_file(run.path / name, "a file of the run") != digest
    }
    return sorted(changed | added)


def _is_sealed(desk: Desk, job_id: str) -> bool:
    return bool(desk.database.select("jobs", {"job_id": job_id, "state": JobState.DONE}))


def _record_of(run: RunFolder) -> RunRecord:
    record = run.record()
    if record.job_ids != job_ids_of(record.run_id, record.calibrations):
        raise ArtefactError(
            f"run.json of run {run.path.name} names jobs of another run",
            hint="restore the file; nothing was reported or sealed",
        )
    return record


def _recorded(
    record: RunRecord,
    backend_id: str,
    files: Mapping[str, bytes],
    snapshots: Mapping[str, CalibrationSnapshot],
    mode: CryptoMode,
    seed: str,
) -> RecordedRun:
    artefacts = {EM_PREFIX + name: data for name, data in files.items()}
    calibration = record.calibrations[backend_id]
    rows = em_result_rows(record.job_ids[backend_id], record.run_id, artefacts)
    artefacts[CALIBRATION_PREFIX + backend_id] = snapshots[calibration].to_bytes()
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
        told={"run": record.run_id, "files": list(files)},
        library_versions=record.versions,
        result_rows=rows,
    )


def files_of(names: Sequence[str], backend_id: str) -> list[str]:
    """Those of a run's files that the rows of one backend come from, sorted."""
    results = {name for name in names if f"/backend_id={backend_id}/" in name}
    parts = {PurePosixPath(name).name for name in results}
    return sorted(
        name
        for name in names
        if name in results
        or PurePosixPath(name).parts[0] in _SHARED
        # Not of other results: each backend has learned rows of the same name.
        or (
            PurePosixPath(name).parts[0] in ("histograms", "features")
            and PurePosixPath(name).name in parts
        )
    )
