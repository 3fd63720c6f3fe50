"""Runs of the EM harness in a home: started, gone on with, found again.

A run lies in `QAI_HOME/em-runs/<run id>`; its backends and calibrations are those of the home.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache, partial
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from quantumai.backends.calibration import CalibrationSnapshot
from quantumai.bounded_reading import shown_path
from quantumai.canonical import canonical_json
from quantumai.crypto_mode import CryptoMode
from quantumai.errors import ArtefactError, BadInputError, ConflictError, NotFoundError
from quantumai.harness.at_vendors import AtVendors
from quantumai.harness.cells import expand
from quantumai.harness.estimation import Bench
from quantumai.harness.imported_groups import (
    Imported,
    read_imported,
    require_sources,
    sources_of,
)
from quantumai.harness.ml_qem.learned_files import unlearned
from quantumai.harness.plan import Plan, load_plan, plan_path
from quantumai.harness.plan_circuits import check_circuits
from quantumai.harness.run import Progress, carry_out, missing_batches
from quantumai.harness.run_folder import RECORD, RECORD_VERSION, RunFolder, RunRecord
from quantumai.harness.wholeness import require_whole
from quantumai.mitigation.entry_points import make_method
from quantumai.services.wiring import Home, open_simulator, open_vendor, utc_now

if TYPE_CHECKING:
    from quantumai.backends.vendor import VendorBackend

FOLDER = "em-runs"
_LEARN_WITH = ("model_signing", "onnxmltools", "onnxruntime", "skl2onnx", "sklearn", "xgboost")
_LIBRARIES = ("numpy", "pyarrow", "qiskit")


def read_plan(plan_name: str) -> tuple[Plan, bytes, Imported]:
    """A packaged plan by name, or a file: itself, its bytes, and the circuits that it imports.

    Raises `BadInputError`.
    """
    plan, data = load_plan(plan_name)
    _check_methods(plan)
    _require_learning(plan)
    return plan, data, read_imported(plan, plan_path(plan_name).parent)


def start_run(
    home: Home, plan: Plan, data: bytes, imported: Imported = MappingProxyType({})
) -> RunFolder:
    """A new run of what `read_plan` gives. Raises `BadInputError`."""
    from quantumai.jobs.em_sealing import job_ids_of

    snapshots = _snapshots(home, plan)
    check_circuits(plan, imported, snapshots)
    calibrations = {name: snapshot.sha256 for name, snapshot in snapshots.items()}
    now = utc_now()
    run_id = f"{plan.name}-{now.strftime('%Y%m%dT%H%M%S')}-{uuid4().hex[:6]}"
    record = RunRecord(
        schema_version=RECORD_VERSION,
        run_id=run_id,
        plan_name=plan.name,
        created_at=now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        date=now.strftime("%Y-%m-%d"),
        job_ids=job_ids_of(run_id, plan.backends),
        calibrations=calibrations,
        versions={name: metadata.version(name) for name in _LIBRARIES},
    )
    by_digest = {snapshot.sha256: snapshot for snapshot in snapshots.values()}
    path = home.root / FOLDER / run_id
    cells = expand(plan, calibrations, imported)
    return RunFolder.create(path, data, record, by_digest, cells, sources_of(imported))


def go_on(run: RunFolder, workers: int, progress: Callable[[Progress], None]) -> None:
    """Run what is not there yet of a run, then learn from it where its plan says so.

    Raises `ArtefactError` for a run whose files are not those that it began with.
    """
    bench = open_bench(run.path)  # what is damaged is told here, not by workers
    require_sources(run.cells(), bench.sources)
    carry_out(run, partial(open_bench, run.path), workers=workers, progress=progress)
    require_whole(run)
    plan = run.plan()
    if plan.learning is not None:
        from quantumai.harness.ml_qem.learning import learn

        learn(run, plan)


def seal_run(home: Home, run: RunFolder, crypto_mode: str) -> dict[str, str]:
    """Sign and log a finished run; the job of each backend."""
    from quantumai.jobs.em_sealing import seal_em_run

    return seal_em_run(home.desk(), run, CryptoMode.parse(crypto_mode))


def summarise_run(run: RunFolder) -> dict[str, Any]:
    """Write `summary.json` of a finished run and return it.

    Raises `ConflictError` for a run that is not finished, `LeakageError` where the audit finds one.
    """
    from quantumai.harness.report_tables import summarise

    left = missing_batches(run)
    if left:
        raise ConflictError(
            f"{left} batches of run {run.path.name} are missing",
            hint=f"`qai em run --resume {run.path.name}` runs them",
        )
    plan, results = run.plan(), run.table("results/**/*.parquet")
    if noises := unlearned(run, plan, results):
        raise ConflictError(
            f"run {run.path.name} has not learned yet under {', '.join(noises)}",
            hint=f"`qai em run --resume {run.path.name}` goes on",
        )
    summary = summarise(
        results,
        run.read_table("features/*.parquet"),
        near_duplicates=plan.near_duplicates,
    )
    run.write("summary.json", canonical_json(summary))
    return summary


def failed_rows(run: RunFolder) -> tuple[int, int]:
    """How many rows of a run have no values, and how many there are."""
    failures = run.table("results/**/*.parquet").column("failure")
    return len(failures) - failures.null_count, len(failures)


def require_as_sealed(root: Path, run: RunFolder) -> bool:
    """Whether anything of a run is sealed in this home, and then all as it was sealed.

    Raises `ArtefactError` for files that were changed, taken away or added since.
    """
    if run.path.parent == root / FOLDER and run.record().run_id != run.path.name:
        raise ArtefactError(f"run.json of run {run.path.name} is that of another run")
    changed = _changed_files(root, run)
    if changed:
        raise ArtefactError(
            f"{changed[0]} of run {run.path.name} is not as it was sealed"
            + (f", nor are {len(changed) - 1} other files" if len(changed) > 1 else ""),
            hint="restore the run's folder; nothing was reported or sealed",
        )
    return changed is not None


def _changed_files(root: Path, run: RunFolder) -> list[str] | None:
    """Files that are not as the jobs' manifests have them; None where no job is sealed."""
    from quantumai.jobs.em_sealing import changed_since_sealing
    from quantumai.services.existing_home import home_exists, open_existing_home

    if not home_exists(root):
        return None
    with open_existing_home(root) as home:
        return changed_since_sealing(home.desk(), run)


def find_run(root: Path, name: str) -> RunFolder:
    """A run by its folder, its id, or the beginning of one. Raises `NotFoundError`."""
    direct = Path(name)
    try:
        if (direct / RECORD).is_file():
            return RunFolder(direct)
    except (OSError, ValueError):
        pass  # a name that no file can have
    found = [run for run in _runs(root) if run.path.name.startswith(name)]
    if len(found) != 1:
        what = "no run" if not found else f"{len(found)} runs"
        raise NotFoundError(
            f"{what} of the harness named {shown_path(name)!r}", hint="`qai em list` shows them"
        )
    return found[0]


def list_runs(root: Path) -> list[RunFolder]:
    """All runs of a home, oldest first."""
    return sorted(_runs(root), key=lambda run: run.record().created_at)


def _runs(root: Path) -> list[RunFolder]:
    """All runs of a home by name, whether or not their records can be read."""
    return [RunFolder(path.parent) for path in sorted((root / FOLDER).glob(f"*/{RECORD}"))]


def open_bench(folder: Path) -> Bench:
    """What a worker needs for the batches of the run in `folder`."""
    run = RunFolder(folder)
    plan, record, snapshots = run.plan(), run.record(), run.snapshots()

    @cache
    def open_backend(backend_id: str) -> VendorBackend:
        entry = plan.vendor_of(backend_id)
        if entry is None:
            raise NotFoundError(f"the plan names no vendor of {backend_id!r}")
        return open_vendor(entry, calibration=snapshots[record.calibrations[backend_id]])

    named = frozenset(vendor.backend_id for vendor in plan.vendors)
    at_vendors = AtVendors(named, open_backend, record.run_id, time.sleep, time.monotonic)
    return Bench(snapshots, open_simulator, make_method, at_vendors, run.sources())


def _snapshots(home: Home, plan: Plan) -> dict[str, CalibrationSnapshot]:
    """Each backend's calibration: the home's, or what its vendor shows now."""
    fleet = {member.entry.backend_id: member.snapshot for member in home.fleet()}
    found = {}
    for backend_id in plan.backends:
        snapshot = fleet.get(backend_id)
        if entry := plan.vendor_of(backend_id):
            snapshot = open_vendor(entry, calibration=snapshot).calibration()
            if snapshot is None:
                raise BadInputError(
                    f"backend {backend_id} shows no calibration, which placing circuits needs"
                )
        if snapshot is None:
            raise BadInputError(
                f"the plan names an unknown backend {backend_id!r}", hint="`qai backends list`"
            )
        found[backend_id] = snapshot
    return found


def _require_learning(plan: Plan) -> None:
    """What models are trained with is missed now, not when all cells have run."""
    missing = [name for name in _LEARN_WITH if find_spec(name) is None]
    if plan.learning is not None and missing:
        raise BadInputError(
            f"plan {plan.name} learns, and {missing[0]} is missing",
            hint="pip install 'quantumai[harness,ml]'",
        )


def _check_methods(plan: Plan) -> None:
    for wanted in plan.methods:
        make_method(wanted.name, wanted.parameters)
    open_simulator(plan.engine)
