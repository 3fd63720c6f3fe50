"""What every object store must do; the suite runs on each adapter."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier
from uuid import uuid4

import pytest

from quantumai.errors import BadInputError, ConflictError, NotFoundError, StorageError
from quantumai.storage.local_objects import LocalObjects
from quantumai.storage.objects import ObjectStore
from quantumai.storage.s3_client import S3Settings
from quantumai.storage.s3_objects import S3Objects
from tests.servers import S3_REGION, S3Server, versitygw_server

Opener = Callable[[], ObjectStore]


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    with versitygw_server() as server:
        server.make_bucket("contract")
        yield server


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.integration)])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    """Opens the same fresh store at every call, as another process would."""
    if request.param == "local":
        return lambda: LocalObjects(tmp_path / "objects")
    server: S3Server = request.getfixturevalue("s3_server")
    settings = S3Settings("contract", uuid4().hex, S3_REGION, server.endpoint_url, 1)
    return lambda: S3Objects(settings, lambda: datetime.now(UTC), lambda: 0)


@pytest.fixture
def store(open_store: Opener) -> ObjectStore:
    return open_store()


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


def test_what_is_retained_anew_has_to_be_there(store: ObjectStore) -> None:
    store.put_once("artefacts/a", b"x")
    store.retain("artefacts/a")
    store.retain("artefacts/a")
    with pytest.raises(NotFoundError):
        store.retain("artefacts/b")


def test_contents_are_kept_byte_for_byte(store: ObjectStore) -> None:
    for data in (b"", b"\0", bytes(range(256)), b"x" * 1_000_001):
        key = f"size/{len(data)}"
        store.put_once(key, data)
        assert store.get(key) == data
        store.replace("ledger/checkpoint", data)
        assert store.get("ledger/checkpoint") == data


def test_many_keys_are_listed_whole(store: ObjectStore) -> None:
    wanted = [f"many/{n:04d}" for n in range(1100)]  # more than a page of S3
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: store.create(key, b""), wanted))
    assert list(store.keys("many/")) == wanted


def test_of_eight_writers_exactly_one_creates(open_store: Opener) -> None:
    rounds, writers = 10, 8
    start = Barrier(writers)

    def write(me: int) -> list[bool]:
        store, created = open_store(), []
        for number in range(rounds):
            start.wait()
            created.append(store.create(f"race/{number}", bytes([me]) * 1000))
        return created

    with ThreadPoolExecutor(writers) as pool:
        told = list(pool.map(write, range(writers)))
    for number in range(rounds):
        winners = [me for me in range(writers) if told[me][number]]
        assert len(winners) == 1
        assert open_store().get(f"race/{number}") == bytes(winners) * 1000


def test_keys_are_sorted_and_filtered_by_prefix(store: ObjectStore) -> None:
    for key in ("t/0/001", "t/0/000.p/5", "t/1/000", "top", "t0", "t-1/x"):
        store.put_once(key, b"x")
    assert list(store.keys("t/0/")) == ["t/0/000.p/5", "t/0/001"]
    assert list(store.keys("t/0/00")) == ["t/0/000.p/5", "t/0/001"]
    every = ["t-1/x", "t/0/000.p/5", "t/0/001", "t/1/000", "t0", "top"]
    assert list(store.keys("t")) == list(store.keys("")) == every
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
