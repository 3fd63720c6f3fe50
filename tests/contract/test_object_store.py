"""What every object store must do; the suite runs on each adapter."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from quantumai.errors import BadInputError, ConflictError, NotFoundError, StorageError
from quantumai.storage.local_objects import LocalObjects
from quantumai.storage.objects import ObjectStore


@pytest.fixture(params=["local"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    return LocalObjects(tmp_path / "objects")


def test_put_once_keeps_the_first_bytes(store: ObjectStore) -> None:
    store.put_once("a/b", b"one")
    store.put_once("a/b", b"one")
    with pytest.raises(ConflictError):
        store.put_once("a/b", b"two")
    assert store.get("a/b") == b"one"


def test_create_tells_who_was_first(store: ObjectStore) -> None:
    assert store.create("a", b"one") is True
    assert store.create("a", b"two") is False
    assert store.get("a") == b"one"


def test_replace(store: ObjectStore) -> None:
    store.replace("checkpoint", b"one")
    store.replace("checkpoint", b"two")
    assert store.get("checkpoint") == b"two"


def test_what_is_absent(store: ObjectStore) -> None:
    store.put_once("a/b", b"")
    assert store.exists("a/b")
    for key in ("x", "a", "a/b/c"):
        assert not store.exists(key)
        with pytest.raises(NotFoundError):
            store.get(key)


def test_keys_are_sorted_and_filtered_by_prefix(store: ObjectStore) -> None:
    for key in ("t/0/001", "t/0/000.p/5", "t/1/000", "top", "t0"):
        store.put_once(key, b"x")
    assert list(store.keys("t/0/")) == ["t/0/000.p/5", "t/0/001"]
    assert list(store.keys("t/0/00")) == ["t/0/000.p/5", "t/0/001"]
    assert list(store.keys("t")) == ["t/0/000.p/5", "t/0/001", "t/1/000", "t0", "top"]
    assert list(store.keys("none/")) == []


@pytest.mark.parametrize(
    "key",
    ["", "/a", "a/", "a//b", "../a", "a/../b", "a/.hidden", ".", "a b", "ä", "a\n", "x" * 2000],
)
def test_illegal_names_are_refused(store: ObjectStore, key: str) -> None:
    for call in (store.get, store.exists, lambda k: store.create(k, b"")):
        with pytest.raises(BadInputError):
            call(key)


_RACE = """
import sys, time
from pathlib import Path
from quantumai.storage.local_objects import LocalObjects
store, me = LocalObjects(Path(sys.argv[1])), sys.argv[2]
print(sum(store.create(f"race/{n}", me.encode() * 1000) for n in range(200)))
"""


def test_of_two_processes_exactly_one_creates(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _RACE, str(tmp_path)]
    both = [subprocess.Popen([*command, me], stdout=subprocess.PIPE) for me in "ab"]
    assert sum(int(process.communicate()[0]) for process in both) == 200
    for key in LocalObjects(tmp_path).keys("race/"):
        assert LocalObjects(tmp_path).get(key) in (b"a" * 1000, b"b" * 1000)


@pytest.mark.parametrize("call", ["write", "fsync", "link"])
def test_a_failing_disk_leaves_nothing_to_believe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    store = LocalObjects(tmp_path)
    store.put_once("folder/first", b"x")

    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(StorageError, match="No space left"):
            store.create("folder/second", b"y")
    assert not store.exists("folder/second")
    assert list(store.keys("folder/")) == ["folder/first"]
    assert store.create("folder/second", b"y")


def test_left_over_temporary_files_are_never_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class PowerCutError(BaseException):
        pass

    def cut(*args: object) -> None:
        raise PowerCutError

    store = LocalObjects(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "link", cut)
        patch.setattr(Path, "unlink", lambda *_: None)  # a dead process does not clean up
        with pytest.raises(PowerCutError):
            store.create("a/b", b"half")
    assert [path.name[:5] for path in (tmp_path / "a").iterdir()] == [".tmp-"]
    assert list(store.keys("")) == []
    assert store.create("a/b", b"whole")
    assert store.get("a/b") == b"whole"


def test_damaged_media_are_storage_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LocalObjects(tmp_path)
    store.put_once("a", b"x")

    def broken(self: Path) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Path, "read_bytes", broken)
    with pytest.raises(StorageError, match="Input/output"):
        store.get("a")
