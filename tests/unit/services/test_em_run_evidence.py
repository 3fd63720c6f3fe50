"""What is done to a run's folder, stopped or sealed, and what going on and reporting say of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from quantumai.crypto_mode import CryptoMode
from quantumai.errors import ArtefactError
from quantumai.harness.run_folder import RunFolder
from quantumai.jobs.em_sealing import seal_em_run
from quantumai.services.em_runs import go_on, require_as_sealed
from quantumai.services.wiring import open_home
from tests.unit.jobs.em_runs import measured_and_sealed, run_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::quantumai.keys.providers.soft.InsecureKeysWarning"),
]


@pytest.fixture(scope="module")
def _homes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return measured_and_sealed(tmp_path_factory.mktemp("em"))


@pytest.fixture
def measured(_homes: tuple[Path, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(_homes[0], tmp_path / "home"))


@pytest.fixture
def sealed(_homes: tuple[Path, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(_homes[1], tmp_path / "home"))


def edit_record(run: RunFolder, **fields: object) -> None:
    path = run.path / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def part(run: RunFolder, room: str, number: int = 0) -> Path:
    return sorted(run.path.glob(f"{room}/**/part-*.parquet"))[number]


def test_a_sealed_run_is_as_it_was_sealed(sealed: Path) -> None:
    assert require_as_sealed(sealed, run_of(sealed))
    (run_of(sealed).path / "report.html").write_text("a page is no evidence")
    assert require_as_sealed(sealed, run_of(sealed))


def test_a_run_that_is_not_sealed_is_said_to_be_none(measured: Path) -> None:
    assert not require_as_sealed(measured, run_of(measured))


SEALED: dict[str, Callable[[RunFolder], object]] = {
    "rows added": lambda run: shutil.copy(
        part(run, "results"), part(run, "results").with_name("part-000099.parquet")
    ),
    "rows of a model added": lambda run: shutil.copy(
        part(run, "results"), part(run, "results").with_name("learned-friendly.parquet")
    ),
    "features added": lambda run: shutil.copy(
        part(run, "features"), run.path / "features/part-000099.parquet"
    ),
    "a part gone": lambda run: part(run, "results").unlink(),
    "histograms gone": lambda run: part(run, "histograms").unlink(),
    "another job": lambda run: edit_record(
        run, job_ids=dict.fromkeys(run.record().job_ids, "00000000-0000-4000-8000-000000000000")
    ),
    "no jobs": lambda run: edit_record(run, job_ids={}),
    "another run's id": lambda run: edit_record(run, run_id="another-run"),
}


@pytest.mark.parametrize("what", SEALED)
def test_whatever_is_done_to_a_sealed_run_is_found(what: str, sealed: Path) -> None:
    run = run_of(sealed)
    SEALED[what](run)
    with pytest.raises(ArtefactError):
        require_as_sealed(sealed, run)


def test_a_sealed_run_is_not_sealed_again_under_other_jobs(sealed: Path) -> None:
    run = run_of(sealed)
    edit_record(run, job_ids=dict.fromkeys(run.record().job_ids, "another"))
    with (
        open_home(sealed, {}) as home,
        pytest.raises(ArtefactError, match="jobs of another run"),
    ):
        seal_em_run(home.desk(), run, CryptoMode.PQC_REQUIRED)


STOPPED: dict[str, Callable[[RunFolder], object]] = {
    "a part of another batch": lambda run: shutil.copy(
        part(run, "results", 1), part(run, "results", 0)
    ),
    "histograms for results": lambda run: shutil.copy(
        part(run, "histograms"), part(run, "results")
    ),
    "results cut": lambda run: part(run, "results").write_bytes(b"PAR1"),
    "histograms cut": lambda run: part(run, "histograms").write_bytes(b""),
    "features cut": lambda run: part(run, "features").write_bytes(b"PAR1"),
    "features gone": lambda run: part(run, "features").unlink(),
    "rows added": lambda run: shutil.copy(
        part(run, "results"), part(run, "results").with_name("part-000099.parquet")
    ),
    "calibrations gone": lambda run: shutil.rmtree(run.path / "calibrations"),
    "a day outside": lambda run: edit_record(run, date="../../../2026-01-01"),
    "another day": lambda run: edit_record(run, date="2020-01-01"),
    "no jobs": lambda run: edit_record(run, job_ids={}),
    "no calibrations": lambda run: edit_record(run, calibrations={}),
    "a later release's record": lambda run: edit_record(run, schema_version=7),
}


@pytest.mark.parametrize("what", STOPPED)
def test_whatever_is_done_to_a_stopped_run_ends_it(what: str, measured: Path) -> None:
    run = run_of(measured)
    STOPPED[what](run)
    before = sorted(measured.rglob("*"))
    with pytest.raises(ArtefactError):
        go_on(run, 1, lambda _: None)
    assert sorted(measured.rglob("*")) == before


def test_a_batch_without_its_histograms_is_run_again(measured: Path) -> None:
    run = run_of(measured)
    lost = part(run, "histograms")
    rows = pq.read_table(lost)
    lost.unlink()
    go_on(run, 1, lambda _: None)
    assert pq.read_table(lost).equals(rows)
