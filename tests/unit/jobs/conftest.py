from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from quantumai.jobs.desk import Desk
from quantumai.jobs.run_job import run_job
from quantumai.services.wiring import Home, open_home
from tests.unit.jobs.finished_jobs import silent, small_job


@dataclass(frozen=True)
class Finished:
    """An own copy of a home with one finished job."""

    home: Home
    desk: Desk
    job_id: str


@pytest.fixture(scope="session")
def _finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("jobs") / "home"
    with open_home(folder, {}) as home:
        return folder, run_job(home.desk(), small_job(), silent).job_id


@pytest.fixture
def finished(_finished: tuple[Path, str], tmp_path: Path) -> Iterator[Finished]:
    folder, job_id = _finished
    shutil.copytree(folder, tmp_path / "a home")
    with open_home(tmp_path / "a home", {}) as home:
        yield Finished(home, home.desk(), job_id)
