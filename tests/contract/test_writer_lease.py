"""What every writer's lease must do; the suite runs on each adapter."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from quantumai.errors import StorageError
from quantumai.storage.file_lease import FileLease
from quantumai.storage.local_objects import LocalObjects
from quantumai.storage.object_lease import ObjectLease
from quantumai.storage.writer_lease import LeaseError, WriterLease

TERM_S = 15.0


class World:
    """A medium for leases, and a time that passes only when somebody waits."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self.folder = folder
        self.now_s = 1e9
        self.while_waiting: Callable[[], None] = lambda: None

    def lease(self) -> WriterLease:
        if self.kind == "file":
            path, patience_s = self.folder / "home" / "writer.lease", 30.0
            return FileLease(path, patience_s=patience_s, wait=self.wait, monotonic=self.monotonic)
        return ObjectLease(
            LocalObjects(self.folder / "home"),
            self.clock,
            term_s=TERM_S,
            patience_s=TERM_S / 2,
            wait=self.wait,
        )

    def wait(self, seconds: float) -> None:
        self.now_s += seconds
        self.while_waiting()

    def monotonic(self) -> float:
        return self.now_s

    def clock(self) -> datetime:
        return datetime.fromtimestamp(self.now_s, UTC)

    def damage(self, data: bytes | None) -> None:
        """Put `data` into what was stored of the lease last, or remove all of it."""
        stored = [path for path in self.folder.rglob("*") if path.is_file()]
        for path in stored:
            if data is None:
                path.unlink()
            elif path.stat().st_size:
                path.write_bytes(data)


@pytest.fixture(params=["file", "objects"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    return World(request.param, tmp_path)


def _taken(lease: WriterLease, least: int = 0) -> int:
    with lease.writing(least) as epoch:
        lease.require(epoch)
    return epoch


def test_a_holder_keeps_its_epoch_and_the_next_has_a_greater_one(world: World) -> None:
    first, second = world.lease(), world.lease()
    epoch = _taken(first)
    assert epoch > 0
    assert _taken(first, epoch) == epoch
    first.close()
    later = _taken(second, epoch)
    assert later > epoch
    second.close()
    # Whoever comes back is a new holder, even where nobody wrote meanwhile.
    assert _taken(first) > later


def test_the_epoch_is_greater_than_whatever_was_written_under(world: World) -> None:
    lease = world.lease()
    assert _taken(lease, 41) > 41
    lease.close()
    assert _taken(world.lease(), 1000) > 1000


@pytest.mark.parametrize("data", [b"", b"\0" * 39, b"999999999999999", b'{"holder":1}', None])
def test_a_lease_that_was_damaged_or_lost_can_be_taken_again(
    world: World, data: bytes | None
) -> None:
    lease = world.lease()
    epoch = _taken(lease)
    lease.close()
    world.damage(data)
    assert _taken(world.lease(), epoch) > epoch


def test_while_one_writes_the_others_wait_and_give_up(world: World) -> None:
    first, second = world.lease(), world.lease()
    with first.writing(0) as epoch:
        began = world.now_s
        with pytest.raises(LeaseError) as refused, second.writing(0):
            pass
        assert refused.value.retryable
        assert world.now_s > began  # it stood by for a while
        first.require(epoch)


def test_who_stands_by_comes_in_when_the_lease_is_given_back(world: World) -> None:
    first, second = world.lease(), world.lease()
    with ExitStack() as writing:
        epoch = writing.enter_context(first.writing(0))

        def give_back() -> None:
            writing.close()
            first.close()

        world.while_waiting = give_back
        with second.writing(epoch) as later:
            assert later > epoch
            with pytest.raises(LeaseError):
                first.require(epoch)
            second.require(later)


def test_who_holds_nothing_can_show_nothing(world: World) -> None:
    lease = world.lease()
    with pytest.raises(LeaseError):
        lease.require(0)
    with lease.writing(0) as epoch, pytest.raises(LeaseError):
        lease.require(epoch + 1)
    lease.close()
    with pytest.raises(LeaseError):
        lease.require(epoch)
    world.lease().close()  # what was never taken can be given back


def test_a_medium_that_fails_is_a_storage_error(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    lease = world.lease()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match="No space left"), lease.writing(0):
            pass
    assert _taken(lease) > 0


def test_threads_and_their_leases_write_one_at_a_time(world: World) -> None:
    world.wait = lambda seconds: None  # type: ignore[method-assign]
    writing: list[int] = []
    epochs: list[int] = []

    def write(number: int) -> None:
        lease = world.lease()
        for _ in range(5):
            with lease.writing(0) as epoch:
                writing.append(number)
                assert writing == [number]
                epochs.append(epoch)
                writing.remove(number)
            lease.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert len(epochs) == 20
    assert epochs == sorted(epochs)


_HOLD = """
import sys, time
from pathlib import Path
from quantumai.storage.file_lease import FileLease
with FileLease(Path(sys.argv[1])).writing(0) as epoch:
    print(epoch, flush=True)
    time.sleep(600)
"""


def test_a_killed_process_holds_nobody_up(tmp_path: Path) -> None:
    path = tmp_path / "lease"
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout
    epoch = int(holder.stdout.readline())
    with pytest.raises(LeaseError), FileLease(path, patience_s=0).writing(0):
        pass
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert _taken(FileLease(path, patience_s=0)) == epoch + 1


def test_a_busy_writer_lets_others_in(tmp_path: Path) -> None:
    """A writer that takes the lease again at once does not pass by who stands by."""
    busy, other = FileLease(tmp_path / "lease"), FileLease(tmp_path / "lease")
    stop: list[int] = []

    def work() -> int:
        writes = 0
        while not stop:
            writes += 1
            _taken(busy)
        return writes

    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(work)
        for _ in range(20):
            _taken(other)
        stop.append(1)
        assert working.result(60) > 0


def test_a_file_that_was_removed_locks_nothing(tmp_path: Path) -> None:
    first, second = (FileLease(tmp_path / "lease", patience_s=0) for _ in range(2))
    with first.writing(0) as epoch:
        (tmp_path / "lease").unlink()
        with second.writing(epoch) as later:
            assert later > epoch
            with pytest.raises(LeaseError):
                first.require(epoch)


def _object_lease(world: World, skew_s: float = 0.0) -> ObjectLease:
    objects = LocalObjects(world.folder / "home")
    clock = lambda: world.clock() + timedelta(seconds=skew_s)  # noqa: E731
    return ObjectLease(objects, clock, term_s=TERM_S, patience_s=2 * TERM_S, wait=world.wait)


def test_a_lease_that_ran_out_is_taken_over_by_one(tmp_path: Path) -> None:
    world = World("objects", tmp_path)
    dead, second, third = (_object_lease(world) for _ in range(3))
    epoch = _taken(dead)
    began = world.now_s
    assert _taken(second, epoch) == epoch + 1  # it had to wait until then
    assert TERM_S <= world.now_s - began < TERM_S + 1
    with pytest.raises(LeaseError):
        dead.require(epoch)

    def goes_on_to_write() -> None:
        _taken(second)

    world.while_waiting = goes_on_to_write
    with pytest.raises(LeaseError), third.writing(0):
        pass
    assert _taken(second) == epoch + 1


def test_a_writing_holder_renews(tmp_path: Path) -> None:
    world = World("objects", tmp_path)
    holder = _object_lease(world)
    epoch = _taken(holder)
    for _ in range(10):
        world.now_s += TERM_S * 0.8
        assert _taken(holder) == epoch


def test_a_holder_whose_clock_is_behind_notices_that_it_was_overtaken(tmp_path: Path) -> None:
    world = World("objects", tmp_path)
    behind, other = _object_lease(world), _object_lease(world, skew_s=2 * TERM_S)
    epoch = _taken(behind)
    assert _taken(other) == epoch + 1
    with pytest.raises(LeaseError):
        behind.require(epoch)
    world.now_s += TERM_S * 0.8  # it would renew now, but does not over another's epoch
    assert _taken(other) == epoch + 1
    world.now_s += 4 * TERM_S
    assert _taken(behind) == epoch + 2


def test_a_takeover_in_the_moment_of_renewal_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World("objects", tmp_path)
    holder, other = _object_lease(world), _object_lease(world, skew_s=2 * TERM_S)
    epoch = _taken(holder)
    world.now_s += TERM_S * 0.8
    store = LocalObjects.replace

    def overtaken(self: LocalObjects, key: str, data: bytes) -> None:
        monkeypatch.undo()
        _taken(other)
        store(self, key, data)

    monkeypatch.setattr(LocalObjects, "replace", overtaken)
    with pytest.raises(LeaseError), holder.writing(epoch):
        pass
