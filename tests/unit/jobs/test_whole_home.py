"""A home that was encrypted stays so, and what is no part of a home is told."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from quantumai.errors import StorageError
from quantumai.jobs.evidence import manifest_bytes
from quantumai.jobs.run_job import run_job
from quantumai.keys.management.built_in import TENANT_DATA
from quantumai.services.home_objects import HomeObjects, init_home_objects
from quantumai.services.verify_all import verify_home
from quantumai.services.wiring import open_home
from quantumai.storage.local_objects import LocalObjects
from tests.unit.jobs.conftest import Finished
from tests.unit.jobs.finished_jobs import silent, small_job

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::quantumai.keys.providers.soft.InsecureKeysWarning"),
]


def _problems(root: Path) -> list[str]:
    return [problem for part in verify_home(root) for problem in part.problems]


def test_an_encrypted_home_does_not_become_a_clear_one(tmp_path: Path) -> None:
    init_home_objects(tmp_path, HomeObjects(encrypt=True))
    with open_home(tmp_path, {}) as home:
        run_job(home.desk(), small_job(), silent)
    assert _problems(tmp_path) == []
    settings = tmp_path / "objects.toml"
    written = settings.read_text()
    for text in (None, written.replace("encrypt = true", "encrypt = false")):
        settings.unlink()
        if text is not None:
            settings.write_text(text)
        with pytest.raises(StorageError, match="does not say so any more"):
            open_home(tmp_path, {})
        assert "does not say so any more" in _problems(tmp_path)[0]
        settings.write_text(written)
    keys = tmp_path / "objects/data-keys"
    whole = (keys / "local/0000000001").read_bytes()
    for name, data in (
        ("local/0000000002", b"garbage"),
        ("local/0000000002", whole),  # it is bound to its number
        ("local/0000000002", whole[:-1] + bytes([whole[-1] ^ 1])),
        ("local/0000000002", whole[:9] + bytes(len(whole) - 9)),
        ("local/0000000002", b"QAIW1\0\0\0\7" + whole[9:]),  # no such wrapping key
        ("local/second", whole),
        ("0000000001", whole),
    ):
        (keys / name).write_bytes(data)
        assert any(name in problem for problem in _problems(tmp_path)), name
        (keys / name).unlink()
    assert _problems(tmp_path) == []
    (proof,) = tmp_path.glob("objects/manifests/local/*/proof.json")
    manifest = proof.with_name("manifest.json")
    sealed = manifest.read_bytes()
    with open_home(tmp_path, {}) as home:
        manifest.write_bytes(manifest_bytes(home.desk(), proof.parent.name))
    assert [p for p in _problems(tmp_path) if "lies in clear" in p]  # and true, but for all to read
    manifest.write_bytes(sealed)
    # Whoever takes the settings away may take the rows about the wrapping key too.
    settings.unlink()
    _edit(tmp_path, f"DELETE FROM kms_keys WHERE name = '{TENANT_DATA}'")
    _edit(tmp_path, f"DELETE FROM kms_names WHERE name = '{TENANT_DATA}'")
    with pytest.raises(StorageError, match="does not say so any more"):
        open_home(tmp_path, {})


def test_a_clear_home_does_not_become_an_encrypted_one(finished: Finished) -> None:
    root = finished.home.root
    (root / "objects.toml").write_text('kind = "local"\nencrypt = true\n')
    with pytest.raises(StorageError, match="has jobs in clear"):
        open_home(root, {})


def test_a_home_that_cannot_be_written_is_no_broken_one(
    finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    def access(path: Path, mode: int) -> bool:  # root may write anything
        return mode != os.W_OK or path != finished.home.root

    monkeypatch.setattr(os, "access", access)
    with pytest.raises(StorageError, match="cannot be written") as caught:
        verify_home(finished.home.root)
    assert caught.value.exit_code == 1


@pytest.mark.parametrize("part", ["keys", "objects/artefacts/local", "objects/ledger/checkpoint"])
def test_what_may_not_be_read_is_no_damage(
    finished: Finished, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    hidden = finished.home.root / part
    assert hidden.exists()
    monkeypatch.setattr(os, "access", lambda path, mode: path != hidden or not mode & os.R_OK)
    with pytest.raises(StorageError, match="cannot be read") as caught:
        verify_home(finished.home.root)
    assert (caught.value.exit_code, bool(caught.value.hint)) == (1, True)


def test_objects_that_cannot_be_asked_are_no_damage(
    finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exists(objects: LocalObjects, key: str) -> bool:
        raise StorageError("the bucket does not answer", hint="try again later")

    monkeypatch.setattr(LocalObjects, "exists", exists)
    with pytest.raises(StorageError, match="does not answer"):
        verify_home(finished.home.root)


def _edit(root: Path, sql: str) -> int:
    with closing(sqlite3.connect(root / "quantumai.db")) as database:
        changed = database.execute(sql).rowcount
        database.commit()
    return changed


def _take_away(root: Path, job_id: str, *tables: str) -> None:
    for table in tables:
        assert _edit(root, f"DELETE FROM {table} WHERE job_id = '{job_id}'") == 1


_NOT_DONE = "SET state = '{}', failure_code = {}, failure_reason = {}, manifest_index = NULL"


@pytest.mark.parametrize("state", ["failed", "running", "sealing", "submitted"])
def test_a_sealed_job_is_not_made_an_unfinished_one(finished: Finished, state: str) -> None:
    """Consistently: no row is left that a finished job has."""
    root, job_id = finished.home.root, finished.job_id
    why = ("'interrupted'", "'its process died'") if state == "failed" else ("NULL", "NULL")
    _edit(root, f"UPDATE jobs {_NOT_DONE.format(state, *why)}")
    _take_away(root, job_id, "em_results", "manifests")
    told = [p for p in _problems(root) if "not checked" in p]
    assert len(told) == 1
    assert f"job {job_id} is noted as {state}" in told[0]
    # And its objects taken away: nobody can tell it from one that died just then.
    shutil.rmtree(root / "objects/manifests/local" / job_id)
    told = [p for p in _problems(root) if "not checked" in p]
    assert len(told) == 1
    assert "1 leaves of type run-manifest stand for nothing" in told[0]


@pytest.mark.parametrize("decision_index", ["NULL", "decision_index"])
def test_an_invented_job_hides_no_other(finished: Finished, decision_index: str) -> None:
    root, job_id = finished.home.root, finished.job_id
    _edit(
        root,
        "INSERT INTO jobs SELECT '00000000-0000-4000-8000-000000000000', tenant, 'failed', request,"
        f" created_at, updated_at, 'interrupted', 'x', NULL, {decision_index} FROM jobs",
    )
    parts = {part.name: part.looked_at for part in verify_home(root)}
    assert ("not checked: 1 that failed" in parts["jobs"]) == (decision_index == "NULL")
    _take_away(root, job_id, "em_results", "scheduler_decisions", "manifests", "jobs")
    shutil.rmtree(root / "objects/manifests/local" / job_id)
    told = [p for p in _problems(root) if "stand for nothing" in p and "not checked" in p]
    assert {kind for kind in ("run-manifest", "scheduler-decision") if kind in str(told)} == {
        "run-manifest",
        "scheduler-decision",
    }


@pytest.mark.parametrize("encrypts", [False, True])
def test_of_a_job_that_failed_its_decision_vouches(tmp_path: Path, encrypts: bool) -> None:
    if encrypts:
        init_home_objects(tmp_path, HomeObjects(encrypt=True))

    def fail(step: str) -> None:
        if step.startswith("running"):
            raise KeyboardInterrupt

    with open_home(tmp_path, {}) as home:
        run_job(home.desk(), small_job(seed="1"), silent)
        with pytest.raises(KeyboardInterrupt):
            run_job(home.desk(), small_job(seed="2"), fail)
    assert _problems(tmp_path) == []
    failed = "WHERE state = 'failed'"
    decided = f"WHERE job_id = (SELECT job_id FROM jobs {failed})"
    kept = (tmp_path / "quantumai.db").read_bytes()
    for sql, told in (
        (f"UPDATE jobs SET request = json_set(request, '$.shots', 1) {failed}", "jobs.request"),
        (f"UPDATE jobs SET tenant = 'other' {failed}", "is not its decision"),
        (f"UPDATE jobs SET created_at = '2026-01-01T00:00:00Z' {failed}", "jobs.created_at"),
        (f"UPDATE jobs SET failure_code = NULL {failed}", "without a reason"),
        (f"UPDATE jobs SET state = 'running' {failed}", "with a reason why it failed"),
        (f"UPDATE jobs SET decision_index = 3 {failed}", "is not its decision"),
        (f"UPDATE jobs SET manifest_index = 3 {failed}", "with a manifest in the ledger"),
        (f"UPDATE scheduler_decisions SET score = 0.5 {decided}", "scheduler_decisions.score"),
        (f"DELETE FROM scheduler_decisions {decided}", "contradict each other"),
        (f"UPDATE jobs SET decision_index = NULL {failed}", "contradict each other"),
        (f"DELETE FROM jobs {failed}", "belongs to no job"),
    ):
        assert _edit(tmp_path, sql) == 1, sql
        assert any(told in problem for problem in _problems(tmp_path)), sql
        (tmp_path / "quantumai.db").write_bytes(kept)
    assert _problems(tmp_path) == []


def test_a_decision_is_stored_before_it_is_logged(finished: Finished) -> None:
    """A job that dies right after the leaf is still known to be the one that left it."""

    class DiesError(Exception):
        pass

    def insert(table: str, row: Any) -> None:
        if table == "scheduler_decisions":
            raise DiesError
        finished.desk.database.insert(table, row)

    database: Any = SimpleNamespace(
        insert=insert,
        update=finished.desk.database.update,
        transaction=finished.desk.database.transaction,
    )
    with pytest.raises(DiesError):
        run_job(replace(finished.desk, database=database), small_job(seed="8"), silent)
    (row,) = finished.desk.database.select("jobs", {"state": "failed"})
    assert row["decision_index"] is None
    assert _problems(finished.home.root) == []
    _edit(finished.home.root, "DELETE FROM jobs WHERE state = 'failed'")
    assert "stand for nothing" in str(_problems(finished.home.root))
