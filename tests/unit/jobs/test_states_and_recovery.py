"""The state machine, failures on the way, and jobs that a dead process left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from quantumai.errors import BadInputError, KeyUnavailableError, NotFoundError, StorageError
from quantumai.jobs.desk import Desk
from quantumai.jobs.evidence import manifest_bytes
from quantumai.jobs.history import find_job, list_jobs
from quantumai.jobs.recovery import fail_interrupted, fail_job
from quantumai.jobs.run_job import run_job
from quantumai.jobs.states import NEXT_STATE, UNFINISHED, JobState
from quantumai.services.wiring import Home, open_home
from quantumai.storage.run_locks import RunLocks
from tests.unit.jobs.conftest import Finished
from tests.unit.jobs.finished_jobs import silent, small_job

AT = "2026-01-01T00:00:00Z"
SOURCE = Path(__file__).parents[3] / "src"

HOLDER = """
import sys
from pathlib import Path
from quantumai.storage.run_locks import RunLocks
with RunLocks(Path(sys.argv[1])).hold(sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
"""
RECOVERER = """
import json, sys
from pathlib import Path
from quantumai.jobs import recovery
from quantumai.services.wiring import open_home
now = recovery.fail_interrupted
recovery.fail_interrupted = lambda desk: None
with open_home(Path(sys.argv[1]), {}) as home:
    desk = home.desk()
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(now(desk)))
"""


def _process(script: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def _insert(desk: Desk, state: JobState) -> str:
    job_id = str(uuid4())
    request = small_job().request.to_json()
    desk.database.insert(
        "jobs",
        {
            "job_id": job_id, "tenant": "local", "state": state, "request": request,
            "created_at": AT, "updated_at": AT,
        },
    )  # fmt: skip
    return job_id


def test_the_table_of_states() -> None:
    path = [JobState.SUBMITTED]
    while path[-1] in NEXT_STATE:
        path.append(NEXT_STATE[path[-1]])
    assert path == ["submitted", "scheduled", "running", "sealing", "done"]
    assert set(UNFINISHED) == set(JobState) - {"done", "failed"}


@pytest.mark.parametrize("state", UNFINISHED)
def test_any_unfinished_state_may_fail_and_only_once(finished: Finished, state: JobState) -> None:
    job_id = _insert(finished.desk, state)
    assert fail_job(finished.desk, job_id, "code", "reason")
    assert not fail_job(finished.desk, job_id, "other", "second")
    row = finished.desk.database.get("jobs", {"job_id": job_id})
    assert row is not None
    assert (row["state"], row["failure_code"], row["failure_reason"]) == (
        "failed", "code", "reason",
    )  # fmt: skip


def test_a_finished_job_cannot_fail(finished: Finished) -> None:
    assert not fail_job(finished.desk, finished.job_id, "code", "late")
    assert find_job(finished.desk, finished.job_id).state == "done"


@pytest.mark.parametrize("state", UNFINISHED)
def test_a_living_processs_job_is_left_alone_and_a_dead_ones_is_failed(
    finished: Finished, state: JobState
) -> None:
    job_id = _insert(finished.desk, state)
    holder = _process(HOLDER, finished.home.root / "running", job_id)
    try:
        assert _first_line(holder) == "held"
        assert fail_interrupted(finished.desk) == []
        assert find_job(finished.desk, job_id).state == state
    finally:
        holder.kill()
        holder.communicate()
    assert fail_interrupted(finished.desk) == [job_id]
    found = find_job(finished.desk, job_id)
    assert (found.state, found.failure_code) == ("failed", "interrupted")
    assert state in (found.failure_reason or "")
    assert list((finished.home.root / "running").iterdir()) == []
    assert find_job(finished.desk, finished.job_id).state == "done"


def test_two_processes_mark_each_job_once(finished: Finished) -> None:
    jobs = {_insert(finished.desk, state) for state in UNFINISHED for _ in range(5)}
    processes = [_process(RECOVERER, finished.home.root) for _ in range(2)]
    assert [_first_line(process) for process in processes] == ["ready", "ready"]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    marked = [job for process in processes for job in json.loads(process.communicate()[0])]
    assert sorted(marked) == sorted(jobs)


class FailingAt:
    """Passes calls on; the `turn`th call of `method` raises instead."""

    def __init__(self, target: Any, method: str, turn: int, error: BaseException) -> None:
        self._target, self._method, self._turn, self._error = target, method, turn, error

    def __getattr__(self, name: str) -> Any:
        if name == self._method:
            self._turn -= 1
            if self._turn == 0:
                raise self._error
        return getattr(self._target, name)


FULL = StorageError("cannot write object x: no space left")


def _failed_run(desk: Desk, error: BaseException) -> Any:
    before = {job.job_id for job in list_jobs(desk)}
    with pytest.raises(type(error)) as caught:
        run_job(desk, small_job(), silent)
    assert caught.value is error
    (job,) = [job for job in list_jobs(desk) if job.job_id not in before]
    with pytest.raises(NotFoundError, match="has no manifest"):
        manifest_bytes(desk, job.job_id)
    return job


@pytest.mark.parametrize("turn", [1, 6, 8])
def test_a_failing_object_store_fails_the_job(finished: Finished, turn: int) -> None:
    objects: Any = FailingAt(finished.desk.objects, "put_once", turn, FULL)
    job = _failed_run(replace(finished.desk, objects=objects), FULL)
    assert (job.state, job.failure_code, job.failure_reason) == ("failed", "storage", str(FULL))


@pytest.mark.parametrize("method", ["insert", "update"])
@pytest.mark.parametrize("turn", [2, 3, 4])
def test_a_failing_database_fails_the_job(finished: Finished, method: str, turn: int) -> None:
    database: Any = FailingAt(finished.desk.database, method, turn, FULL)
    job = _failed_run(replace(finished.desk, database=database), FULL)
    assert (job.state, job.failure_code) == ("failed", "storage")
    for table in ("manifests", "em_results"):  # a transaction leaves all or nothing
        assert finished.desk.database.select(table, {"job_id": job.job_id}) == []


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (KeyUnavailableError("no key"), "key-unavailable", "no key"),
        (KeyboardInterrupt(), "interrupted", "interrupted by the user"),
        (ValueError("two\nlines"), "internal", "ValueError: two lines"),
    ],
    ids=lambda part: type(part).__name__,
)
def test_whatever_ends_a_job_is_written_down(
    finished: Finished, error: BaseException, code: str, reason: str
) -> None:
    def open_simulator(engine: str) -> Any:
        return FailingAt(finished.desk.open_simulator(engine), "probabilities", 1, error)

    job = _failed_run(replace(finished.desk, open_simulator=open_simulator), error)
    assert (job.state, job.failure_code, job.failure_reason) == ("failed", code, reason)


def test_keys_that_cannot_sign_leave_no_job(finished: Finished) -> None:
    def open_sealer() -> Any:
        raise KeyUnavailableError("no key")

    with pytest.raises(KeyUnavailableError):
        run_job(replace(finished.desk, open_sealer=open_sealer), small_job(), silent)
    assert [job.job_id for job in list_jobs(finished.desk)] == [finished.job_id]


def test_a_database_that_is_gone_does_not_hide_the_first_error(finished: Finished) -> None:
    class Gone(FailingAt):
        def __getattr__(self, name: str) -> Any:
            if name == "update":
                raise StorageError("gone too")
            return getattr(self._target, name)

    objects: Any = FailingAt(finished.desk.objects, "put_once", 1, FULL)
    database: Any = Gone(finished.desk.database, "", 0, FULL)
    job = _failed_run(replace(finished.desk, objects=objects, database=database), FULL)
    assert job.state == "submitted"
    assert fail_interrupted(finished.desk) == [job.job_id]


def test_a_job_that_another_process_failed_stays_failed(finished: Finished) -> None:
    """The compare-and-set: whoever lost the job must not seal it."""

    def meddle(step: str) -> None:
        if step.startswith("running"):
            with open_home(finished.home.root, {}) as home:
                (row,) = home.database.select("jobs", {"state": "scheduled"})
                change = {"state": "failed", "failure_code": "test", "failure_reason": "theirs"}
                home.database.update("jobs", {"job_id": row["job_id"]}, change)

    desk = finished.desk
    with pytest.raises(StorageError, match="another process"):
        run_job(desk, small_job(), meddle)
    (job,) = [job for job in list_jobs(desk) if job.state == "failed"]
    assert (job.failure_code, job.failure_reason) == ("test", "theirs")


def test_a_lock_that_cannot_be_taken_stops_the_job_before_it_begins(finished: Finished) -> None:
    blocked = finished.home.root / "blocked"
    blocked.write_text("a file where the folder of locks should be")
    desk = replace(finished.desk, run_locks=RunLocks(blocked))
    with pytest.raises(StorageError, match="cannot lock job"):
        run_job(desk, small_job(), silent)
    assert [job.job_id for job in list_jobs(desk)] == [finished.job_id]


def test_nothing_is_stored_for_a_job_that_nobody_can_take(tmp_path: Path) -> None:
    with open_home(tmp_path / "home", {}) as home:
        with pytest.raises(BadInputError):
            run_job(home.desk(), small_job(max_cost=1e-9), silent)
        assert home.database.select("jobs") == []
        assert not (home.root / "keys").exists()


def test_jobs_are_found_by_their_whole_id(finished: Finished) -> None:
    assert find_job(finished.desk, finished.job_id.upper()).job_id == finished.job_id
    with pytest.raises(BadInputError, match="not a job id"):
        find_job(finished.desk, "x\ny")
    with pytest.raises(NotFoundError):
        find_job(finished.desk, str(uuid4()))


def test_homes_are_independent(finished: Finished, tmp_path: Path) -> None:
    other: Home = open_home(tmp_path / "other", {})
    with other:
        assert list_jobs(other.desk()) == []
