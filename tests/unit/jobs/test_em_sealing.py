"""Sealed runs of the harness: their rows in the database, and what becomes of an interruption."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import pytest

from quantumai.crypto_mode import CryptoMode
from quantumai.errors import (
    ApprovalNeededError,
    ConflictError,
    EvidenceError,
    QuantumAIError,
    StorageError,
)
from quantumai.harness.run_folder import RunFolder
from quantumai.jobs.desk import Desk
from quantumai.jobs.em_sealing import files_of, seal_em_run
from quantumai.jobs.erasure import clear_erased
from quantumai.jobs.recorded_run import NO_CALIBRATION, RecordedRun, seal_recorded_run
from quantumai.jobs.run_data import RunResult, write_result
from quantumai.keys.management.built_in import TENANT_DATA
from quantumai.keys.management.records import Caller
from quantumai.services import wiring
from quantumai.services.home_objects import HomeObjects, init_home_objects
from quantumai.services.verify_all import verify_home
from quantumai.services.wiring import Home, open_home
from quantumai.storage.local_objects import LocalObjects
from tests.unit.jobs.em_runs import MODEL, finished_run, measured_and_sealed, run_of
from tests.unit.jobs.finished_jobs import small_job

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::quantumai.keys.providers.soft.InsecureKeysWarning"),
]
MODE = CryptoMode.PQC_REQUIRED
NAIROBI, TORINO = "ibm.fake_nairobi", "ibm.fake_torino"
_REST = (
    "circuit_family, shots, unmitigated_fidelity, mitigated_fidelity, em_method, cost_seconds,"
    " created_at, parquet_path"
)


@dataclass(frozen=True)
class Measured:
    """An own copy of a home with a finished run, sealed or not."""

    home: Home
    run: RunFolder

    @property
    def jobs(self) -> dict[str, str]:
        return self.run.record().job_ids

    @property
    def rows(self) -> list[dict[str, Any]]:
        return self.home.database.select("em_results")

    def leaves(self, kind: str) -> int:
        return len(list(self.home.open_sealer().ledger.leaves(kind)))


@pytest.fixture(scope="module")
def _homes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return measured_and_sealed(tmp_path_factory.mktemp("em"))


def _copy(source: Path, target: Path) -> Iterator[Measured]:
    shutil.copytree(source, target)
    with open_home(target, {}) as home:
        yield Measured(home, run_of(home.root))


@pytest.fixture
def measured(_homes: tuple[Path, Path], tmp_path: Path) -> Iterator[Measured]:
    yield from _copy(_homes[0], tmp_path / "home")


@pytest.fixture
def sealed(_homes: tuple[Path, Path], tmp_path: Path) -> Iterator[Measured]:
    yield from _copy(_homes[1], tmp_path / "home")


def _problems(root: Path) -> list[str]:
    return [problem for part in verify_home(root) for problem in part.problems]


def _edit(root: Path, sql: str) -> int:
    with closing(sqlite3.connect(root / "quantumai.db")) as database:
        changed = database.execute(sql).rowcount
        database.commit()
    return changed


def test_learned_rows_are_files_of_their_own_backend_alone() -> None:
    """Each backend has a file of that name: batches have names of their own, these have not."""
    names = [
        f"results/date=2026-01-01/backend_id={backend}/{name}"
        for backend, part in ((NAIROBI, "part-000000"), (TORINO, "part-000032"))
        for name in (f"{part}.parquet", "learned-friendly.parquet")
    ]
    names += ["histograms/part-000000.parquet", "histograms/part-000032.parquet", "plan.yaml"]
    assert files_of(names, NAIROBI) == [
        "histograms/part-000000.parquet",
        "plan.yaml",
        f"results/date=2026-01-01/backend_id={NAIROBI}/learned-friendly.parquet",
        f"results/date=2026-01-01/backend_id={NAIROBI}/part-000000.parquet",
    ]


def test_every_row_of_the_tables_is_a_row_of_the_database(sealed: Measured) -> None:
    by_place = {row["parquet_path"]: row for row in sealed.rows}
    assert len(by_place) == len(sealed.rows)
    count = 0
    for path in sorted(sealed.run.path.glob("results/**/*.parquet")):
        for number, wanted in enumerate(pq.ParquetFile(path).read().to_pylist()):
            place = f"{path.relative_to(sealed.run.path.parent).as_posix()}#{number}"
            row = by_place[place]
            assert row["job_id"] == wanted["job_id"] == sealed.jobs[wanted["backend_id"]]
            assert row["circuit_family"] == wanted["family"] == "random"
            assert row["em_method"] == wanted["method"]
            assert row["cost_seconds"] == wanted["runtime_seconds"]
            for same in ("shots", "unmitigated_fidelity", "mitigated_fidelity"):
                assert row[same] == wanted[same]
            count += 1
    assert count == len(by_place) == 2 * 3 * 3  # backends, circuits, methods
    assert {row["em_method"] for row in sealed.rows} == {"none", "rem", "zne"}
    (manifest,) = sealed.home.database.select("manifests", {"job_id": sealed.jobs[TORINO]})
    assert {r["created_at"] for r in sealed.rows if r["job_id"] == sealed.jobs[TORINO]} == {
        manifest["created_at"]
    }
    assert _problems(sealed.home.root) == []


@pytest.mark.parametrize(
    "change",
    [
        "result_id = '00000000-0000-4000-8000-000000000000'",
        "circuit_family = 'trotter'",
        "shots = shots + 1",
        "unmitigated_fidelity = unmitigated_fidelity + 1e-15",
        "mitigated_fidelity = NULL",
        "em_method = 'ml-qem'",
        "cost_seconds = cost_seconds / 2",
        "created_at = '2020-01-01T00:00:00.000000'",
        "parquet_path = parquet_path || '0'",
    ],
)
def test_a_changed_row_is_found(sealed: Measured, change: str) -> None:
    one = "result_id = (SELECT min(result_id) FROM em_results)"
    assert _edit(sealed.home.root, f"UPDATE em_results SET {change} WHERE {one}") == 1
    (told,) = _problems(sealed.home.root)
    assert "in em_results contradicts the evidence" in told


def test_rows_that_are_missing_or_invented_are_found(sealed: Measured) -> None:
    root, job, other = sealed.home.root, sealed.jobs[NAIROBI], sealed.jobs[TORINO]
    one = f"FROM em_results WHERE job_id = '{job}' LIMIT 1"
    _edit(root, f"INSERT INTO em_results SELECT '{job}', job_id, {_REST} {one}")
    assert _problems(root) == [f"job {job} has 10 rows in em_results instead of 9"]
    # And a true one taken away for it.
    true = f"job_id = '{job}' AND result_id != '{job}'"
    least = f"(SELECT min(result_id) FROM em_results WHERE {true})"
    assert _edit(root, f"DELETE FROM em_results WHERE result_id = {least}") == 1
    (told,) = _problems(root)
    assert "in em_results contradicts the evidence" in told
    _edit(root, f"UPDATE em_results SET job_id = '{other}' WHERE result_id = '{job}'")
    assert set(_problems(root)) == {
        f"job {job} has 8 rows in em_results instead of 9",
        f"job {other} has 10 rows in em_results instead of 9",
    }
    _edit(root, "DELETE FROM em_results")
    assert len([p for p in _problems(root) if "has 0 rows in em_results instead of 9" in p]) == 2


def test_many_changed_rows_are_told_in_a_few_lines(sealed: Measured) -> None:
    of_one = f"WHERE job_id = '{sealed.jobs[TORINO]}'"
    assert _edit(sealed.home.root, f"UPDATE em_results SET shots = 1 {of_one}") == 9
    told = _problems(sealed.home.root)
    assert len(told) == 6
    assert "so do 4 other rows in em_results" in told[-1]


def test_a_recorded_run_of_another_kind_has_no_rows(sealed: Measured) -> None:
    job_id = seal_recorded_run(sealed.home.desk(), _other_run())
    assert _problems(sealed.home.root) == []
    sealed.home.database.insert("em_results", {"result_id": job_id, "job_id": job_id})
    assert _problems(sealed.home.root) == [f"job {job_id} has 1 rows in em_results instead of 0"]


def test_tables_that_cannot_be_read_are_told(
    sealed: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    told = _problems(sealed.home.root)
    assert len(told) == 2
    assert all("result tables cannot be read: pyarrow is missing" in problem for problem in told)


def _other_run() -> RecordedRun:
    return RecordedRun(
        backend_id="elsewhere",
        crypto_mode=MODE,
        em_method="none",
        em_version="",
        seed="sha256:" + "0" * 64,
        calibration_snapshot_id=NO_CALIBRATION,
        circuit_name="theirs",
        artefacts={
            "result": write_result(RunResult(source="elsewhere", shots_spent=None)),
            "em/results/theirs.parquet": b"what they call so",
        },
        told={},
        library_versions={},
    )


class DiesError(Exception):
    """The process goes."""


def _dies_at(desk: Desk, table: str, number: int) -> Desk:
    """A desk whose database dies at the `number`-th row of a table, inside the transaction."""
    inserted: list[str] = []

    def insert(into: str, row: Any) -> None:
        inserted.append(into)
        if inserted.count(table) == number:
            raise DiesError
        desk.database.insert(into, row)

    database: Any = SimpleNamespace(
        insert=insert,
        get=desk.database.get,
        select=desk.database.select,
        update=desk.database.update,
        transaction=desk.database.transaction,
    )
    return replace(desk, database=database)


@pytest.mark.parametrize(("table", "number"), [("manifests", 1), ("em_results", 5)])
def test_a_sealing_that_died_goes_on_without_signing_twice(
    measured: Measured, table: str, number: int
) -> None:
    home, desk = measured.home, measured.home.desk()
    with pytest.raises(DiesError):
        seal_em_run(_dies_at(desk, table, number), measured.run, MODE)
    assert measured.rows == []
    assert desk.database.select("manifests") == []
    signature = (measured.run.path / MODEL / "model.sig").read_bytes()
    assert measured.leaves("run-manifest") == 1  # it had been signed and stored

    assert seal_em_run(home.desk(), measured.run, MODE) == measured.jobs
    assert {row["state"] for row in desk.database.select("jobs")} == {"done"}
    assert {row["failure_reason"] for row in desk.database.select("jobs")} == {None}
    assert measured.leaves("run-manifest") == 2
    assert (measured.run.path / MODEL / "model.sig").read_bytes() == signature
    assert len(measured.rows) == 18
    seal_em_run(home.desk(), measured.run, MODE)
    assert (len(measured.rows), measured.leaves("run-manifest")) == (18, 2)
    assert _problems(home.root) == []


class _DyingObjects(LocalObjects):
    """Objects of a process that dies when it writes one of this name."""

    name = ""

    def put_once(self, key: str, data: bytes) -> None:
        if self.name and key.endswith(self.name):
            raise DiesError
        super().put_once(key, data)


@pytest.mark.parametrize("encrypts", [False, True])
@pytest.mark.parametrize("name", ["/proof.json", "/manifest.json"])
def test_a_sealing_that_died_after_its_leaf_is_found_by_it(
    tmp_path: Path, name: str, encrypts: bool
) -> None:
    """Between the ledger and the stored manifest, where only the leaf tells of it."""
    if encrypts:
        init_home_objects(tmp_path, HomeObjects(encrypt=True))
    with open_home(tmp_path, {}) as home:
        run, desk = finished_run(home), home.desk()
        objects = _DyingObjects(tmp_path / "objects")
        objects.name = name
        with pytest.raises(DiesError):
            seal_em_run(replace(desk, objects=objects), run, MODE)
        seal_recorded_run(desk, _other_run(), desk.new_id())  # its leaf is the newest one
        leaves = home.open_sealer().ledger.leaves
        assert len(leaves("run-manifest")) == 2
        assert seal_em_run(desk, run, MODE) == run.record().job_ids
        assert len(leaves("run-manifest")) == 3
    assert _problems(tmp_path) == []


def test_a_sealing_that_died_before_signing_goes_on(
    measured: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_disk(*_: object) -> None:
        raise StorageError("the disk is full")

    desk = measured.home.desk()
    with monkeypatch.context() as patched:
        patched.setattr("quantumai.jobs.recorded_run.seal_run", no_disk)
        with pytest.raises(StorageError, match="disk is full"):
            seal_em_run(desk, measured.run, MODE)
    assert [row["state"] for row in desk.database.select("jobs")] == ["failed"]
    assert seal_em_run(desk, measured.run, CryptoMode.HYBRID) == measured.jobs
    assert _problems(measured.home.root) == []


def _another_file(run: RunFolder) -> CryptoMode:
    run.write("models/notes.txt", b"what was not there when it was signed")
    return MODE


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (_another_file, EvidenceError, "not the one that was signed"),
        (lambda _: CryptoMode.HYBRID, ConflictError, "signed in mode pqc-required"),
    ],
)
def test_another_run_does_not_take_the_place_of_the_signed_one(
    measured: Measured,
    change: Callable[[RunFolder], CryptoMode],
    error: type[QuantumAIError],
    message: str,
) -> None:
    desk = measured.home.desk()
    with pytest.raises(DiesError):
        seal_em_run(_dies_at(desk, "manifests", 1), measured.run, MODE)
    mode = change(measured.run)
    with pytest.raises(error, match=message):
        seal_em_run(desk, measured.run, mode)
    assert measured.rows == []
    assert measured.leaves("run-manifest") == 1


def test_the_id_of_another_job_is_not_taken(sealed: Measured) -> None:
    desk = sealed.home.desk()
    with pytest.raises(ConflictError, match="already: done"):
        seal_recorded_run(desk, _other_run(), sealed.jobs[TORINO])
    failed = {"job_id": desk.new_id(), "tenant": "local", "state": "failed"}
    asked = {"request": small_job().request.to_json(), "failure_code": "x", "failure_reason": "x"}
    at = {"created_at": desk.now(), "updated_at": desk.now()}
    desk.database.insert("jobs", failed | asked | at)
    with pytest.raises(ConflictError, match="already: failed"):
        seal_recorded_run(desk, _other_run(), failed["job_id"])


def test_erasure_clears_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    init_home_objects(tmp_path, HomeObjects(encrypt=True))
    with open_home(tmp_path, {}) as home:
        run = finished_run(home)
        seal_em_run(home.desk(), run, MODE)
    assert _problems(tmp_path) == []
    with open_home(tmp_path, {}) as home:
        for principal in ("alice", "bob"):
            with suppress(ApprovalNeededError):
                keys = home.open_kms().of(Caller("local", principal))
                keys.schedule_destruction(TENANT_DATA, waiting_days=1)
    now = wiring.utc_now() + timedelta(days=2)
    monkeypatch.setattr(wiring, "utc_now", lambda: now)
    with open_home(tmp_path, {}) as home:
        home.open_kms().destroy_due()
    with open_home(tmp_path, {}) as home:
        assert sorted(clear_erased(home.desk())) == sorted(run.record().job_ids.values())
        rows = home.database.select("em_results")
        assert len(rows) == 18
        left = {name for row in rows for name, value in row.items() if value is not None}
        assert left == {"result_id", "job_id", "created_at"}
    assert _problems(tmp_path) == []
