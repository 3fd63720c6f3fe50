"""Appending: groups, guards, nothing twice, and writers that take over from each other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from quantumai import merkle
from quantumai.canonical import canonical_json
from quantumai.errors import BadInputError, ConflictError, LedgerError, StorageError
from quantumai.provenance.ledger.checkpoint import TreeHead, signed_checkpoint
from quantumai.provenance.ledger.commits import Commit, CommitLog, Leaf, commit_digest, commit_key
from quantumai.provenance.ledger.run_ledger import Ledger
from quantumai.storage.file_lease import FileLease
from quantumai.storage.local_objects import LocalObjects
from quantumai.storage.object_lease import ObjectLease
from quantumai.storage.writer_lease import LeaseError
from tests.unit.provenance.ledger.ledger_faults import (
    ORIGIN,
    Faulty,
    MemoryObjects,
    QuickSigner,
    leaves,
    quick_ledger,
)


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.0005)


class Held(MemoryObjects):
    """A store whose next commit waits until it is let through; counts checkpoints."""

    def __init__(self) -> None:
        super().__init__()
        self.held: threading.Event | None = None
        self.checkpoints = 0

    def create(self, key: str, data: bytes) -> bool:
        held = self.held
        if held is not None and key.startswith("ledger/commits/"):
            self.held = None
            assert held.wait(60)
        return super().create(key, data)

    def replace(self, key: str, data: bytes) -> None:
        self.checkpoints += key == "ledger/checkpoint"
        super().replace(key, data)


def _together(
    store: Held, ledger: Ledger, appends: Sequence[Callable[[], list[int]]]
) -> list[Future[list[int]]]:
    """Outcomes of appends that are made in this order while another commit is being written."""
    queue = ledger._writer._group._queue
    store.held = go_on = threading.Event()
    with ThreadPoolExecutor(len(appends) + 1) as pool:
        first = pool.submit(ledger.append, leaves(1, "ahead"))
        _until(lambda: store.held is None)
        futures = []
        for count, append in enumerate(appends, start=1):
            futures.append(pool.submit(append))
            _until(lambda count=count: len(queue) == count)  # type: ignore[misc]
        go_on.set()
        first.result(60)
    return futures


def _commits(store: MemoryObjects) -> list[Commit]:
    log = CommitLog(store)
    newest = log.newest()
    return [log.read(n) for n in range(1, newest.number + 1)] if newest else []


def test_who_waits_shares_a_commit_and_the_caches_are_published_once() -> None:
    store = Held()
    ledger = quick_ledger(store, publish_after_s=1e9)
    wanted = [leaves(2, f"{number}-") for number in range(20)]
    futures = _together(store, ledger, [lambda w=w: ledger.append(w) for w in wanted])  # type: ignore[misc]
    assert [future.result() for future in futures] == [[1 + 2 * n, 2 + 2 * n] for n in range(20)]
    assert [commit.size for commit in _commits(store)] == [1, 41]
    # The first one had company, so only the last to leave published.
    assert store.checkpoints == 1
    assert store.get("ledger/checkpoint") == ledger.checkpoint()
    assert ledger.verify() == []


def test_a_group_is_capped_by_its_leaves() -> None:
    store = Held()
    ledger = quick_ledger(store, most_leaves=10)
    counts = (4, 5, 3, 30, 1)
    wanted = [leaves(count, f"{count}-") for count in counts]
    _together(store, ledger, [lambda w=w: ledger.append(w) for w in wanted])  # type: ignore[misc]
    assert [len(commit.entries) for commit in _commits(store)] == [1, 9, 3, 30, 1]


def _refusing() -> bool:
    raise BadInputError("the guard's own error")


def _broken() -> bool:
    raise ZeroDivisionError("a bug in a guard")


def test_a_request_that_fails_fails_alone() -> None:
    store = Held()
    ledger = quick_ledger(store)
    a, b, c, d, e, f, g = leaves(7)
    futures = _together(
        store,
        ledger,
        [
            lambda: ledger.append([a]),
            lambda: ledger.append([b], at_size=1),  # there is `a` before it
            lambda: ledger.append([c], at_size=2),
            lambda: ledger.append([d], guard=lambda: False),
            lambda: ledger.append([e], guard=lambda: True),
            lambda: ledger.append([f], guard=_refusing),
            lambda: ledger.append([g], guard=_broken),
            lambda: ledger.append([a, b]),
        ],
    )
    errors = [future.exception() for future in futures]
    kinds = [type(error) for error in errors if error is not None]
    assert kinds == [ConflictError, ConflictError, BadInputError, ZeroDivisionError]
    assert [future.result() for future in futures if not future.exception()] == [
        [1], [2], [3], [1, 4],
    ]  # fmt: skip
    assert [leaf for _, leaf in ledger.leaves("run-manifest")][1:] == [a, c, e, b]


@pytest.mark.parametrize("still", [True, False])
def test_a_guard_is_asked_again_when_another_writer_was_quicker(still: bool) -> None:
    store = MemoryObjects()
    ledger, other = quick_ledger(store), quick_ledger(store)
    other.append(leaves(1, "first"))
    sizes = []

    def guard() -> bool:
        sizes.append(other.size())
        if len(sizes) == 1:
            other.append(leaves(1, "meanwhile"))
            return True
        return still

    if still:
        assert ledger.append(leaves(1), guard=guard) == [2]
    else:
        with pytest.raises(ConflictError):
            ledger.append(leaves(1), guard=guard)
    assert sizes == [1, 2]
    assert ledger.size() == 2 + still
    assert ledger.verify() == []


def test_a_leaf_is_appended_once() -> None:
    store = MemoryObjects()
    ledger = quick_ledger(store)
    first = leaves(300)
    assert ledger.append(first) == list(range(300))
    number = len(_commits(store))
    assert ledger.append(first[250:260]) == list(range(250, 260))
    assert ledger.append([first[7]], at_size=300) == [7]
    with pytest.raises(ConflictError):
        ledger.append([first[7]], at_size=299)
    assert len(_commits(store)) == number
    new = leaves(2, "new")
    assert ledger.append([first[3], new[0], new[0], first[3], new[1]]) == [3, 300, 300, 3, 301]
    # Another process knows as much, and follows what is appended meanwhile.
    other = quick_ledger(store)
    assert other.append([first[299], *new]) == [299, 300, 301]
    (late,) = leaves(1, "late")
    assert ledger.append([late]) == [302]
    assert other.append([late]) == [302]
    # What another type of statement has the same digest is another leaf.
    assert ledger.append([Leaf("release", 1, late.sha256)]) == [303]
    assert ledger.verify() == []


def test_a_leaf_whose_commit_stands_though_an_error_was_reported() -> None:
    store = MemoryObjects()
    quick_ledger(store).append(leaves(3))
    at = 1
    while True:
        faulty = Faulty(store, at, "after", StorageError)
        ledger = quick_ledger(faulty)
        batch = leaves(2, f"{at}-")
        size = quick_ledger(store).size()
        try:
            assert ledger.append(batch) == [size, size + 1]
        except StorageError:
            assert ledger.append(batch) == [size, size + 1]
        if faulty.calls < at:
            break
        at += 1
    assert at > 8
    assert quick_ledger(store).verify() == []


@pytest.mark.parametrize("at", [3, 256, 599])
def test_no_damaged_tile_can_keep_a_leaf_out(at: int) -> None:
    store = MemoryObjects()
    quick_ledger(store).append(leaves(600))
    (wanted,) = leaves(1, "wanted")
    full = at < 512
    key = f"ledger/tile/0/{at // 256:03d}" + ("" if full else ".p/88")
    tile, offset = store.get(key), 32 * (at % 256)
    hashed = merkle.leaf_hash(wanted.entry)
    store.replace(key, tile[:offset] + hashed + tile[offset + 32 :])
    ledger = quick_ledger(store)
    assert ledger.append([wanted]) == [600]
    assert ledger.entry(600) == wanted
    assert ledger.verify() == [
        f"{key.replace('ledger/', 'ledger ')} contradicted the commits; now rebuilt"
    ]
    assert quick_ledger(store).verify() == []


def test_caches_that_are_behind_mislead_nobody() -> None:
    store = MemoryObjects()
    writer, onlooker = quick_ledger(store), quick_ledger(store)
    writer.append(leaves(10))
    assert onlooker.entry(9) == leaves(10)[9]
    writer._caches.publish = lambda *, wait=True: None  # type: ignore[method-assign]
    wanted = leaves(10)
    for number, count in enumerate((3, 600, 1)):
        batch = leaves(count, f"{number}-")
        writer.append(batch)
        wanted += batch
        newest = len(wanted) - 1
        for ledger in (writer, onlooker):
            assert ledger.entry(newest) == wanted[newest]
            assert ledger.inclusion_proof(4)
            assert ledger.consistency_proof(10)
            assert [leaf for _, leaf in ledger.leaves("run-manifest")] == wanted
            assert ledger.verify() == []
    assert (
        TreeHead.parse(store.get("ledger/checkpoint").decode().partition("\n\n")[0] + "\n").size
        == 10
    )
    assert quick_ledger(store).entry(613) == wanted[613]  # whoever opens the log completes them
    assert quick_ledger(store).append(wanted[300:301]) == [300]
    assert store.get("ledger/checkpoint") == writer.checkpoint()


def test_the_published_checkpoint_never_goes_back() -> None:
    store = MemoryObjects()
    behind, ahead = quick_ledger(store), quick_ledger(store)
    publish = behind._caches.publish
    behind._caches.publish = lambda *, wait=True: None  # type: ignore[method-assign]
    behind.append(leaves(10))
    older = behind.checkpoint()
    ahead.append(leaves(2, "ahead"))
    assert ahead.checkpoint() != older
    publish()  # late, of the commit that this one made
    assert store.get("ledger/checkpoint") == ahead.checkpoint()
    # Nor does the tree that this process holds in memory.
    edge = ahead._caches.at(_commits(store)[1])
    assert ahead._caches.advance(_commits(store)[0], edge.tree).commit.number == 2
    assert ahead.verify() == behind.verify() == []


def test_readers_and_writers_in_threads_never_see_a_tree_that_is_not_signed() -> None:
    store = MemoryObjects()
    ledger = quick_ledger(store)
    ledger.append(leaves(1, "first"))
    stop: list[int] = []

    def read() -> int:
        reads = 0
        while not stop:
            index = ledger.size() - 1
            ledger.entry(index)
            ledger.inclusion_proof(index // 2)
            ledger.consistency_proof(index)
            reads += 1
        return reads

    def write(thread: int) -> None:
        for number in range(25):
            ledger.append(leaves(7, f"{thread} {number} "))

    with ThreadPoolExecutor(6) as pool:
        reading = [pool.submit(read) for _ in range(2)]
        try:
            list(pool.map(write, range(4)))
        finally:
            stop.append(1)
        assert all(future.result(60) > 0 for future in reading)
    assert ledger.size() == 701
    assert ledger.verify() == []


def _schema_1_log(store: MemoryObjects, batches: Sequence[Sequence[Leaf]]) -> list[bytes]:
    """A log as it was written before commits had epochs; the commits' bytes."""
    signer, commit, entries = QuickSigner(), None, []
    written = []
    for number, batch in enumerate(batches, start=1):
        first = len(entries)
        entries += [leaf.entry for leaf in batch]
        root = merkle.root_hash([merkle.leaf_hash(entry) for entry in entries])
        head = TreeHead(ORIGIN, len(entries), root)
        fields = {
            "schema": 1,
            "number": number,
            "previous": commit_digest(commit),
            "first": first,
            "size": len(entries),
            "entries": [msgspec.to_builtins(leaf) for leaf in batch],
            "checkpoint": signed_checkpoint(head, signer.sign(head, 1)).decode(),
        }
        data = canonical_json(fields)
        commit = Commit.parse(number, data)
        store.create(commit_key(number), data)
        written.append(data)
    return written


def test_a_log_of_commits_without_epochs_still_holds_and_goes_on(tmp_path: Path) -> None:
    store = MemoryObjects()
    batches = [leaves(count, f"{count}-") for count in (2, 300, 1)]
    written = _schema_1_log(store, batches)
    assert [Commit.parse(n, data).data for n, data in enumerate(written, 1)] == written
    ledger = quick_ledger(store, FileLease(tmp_path / "lease"))
    assert ledger.verify() == []
    assert ledger.append([batches[1][5], *leaves(1, "new")]) == [7, 303]
    assert [(commit.schema, commit.epoch) for commit in _commits(store)][2:] == [(1, 0), (2, 1)]
    assert ledger.verify() == []
    # Neither schema passes for the other.
    for data in (written[0].replace(b'"schema":1', b'"schema":2'), _with_epoch(written[0])):
        with pytest.raises(LedgerError):
            Commit.parse(1, data)


def _with_epoch(data: bytes) -> bytes:
    return data.replace(b'"first":', b'"epoch":0,"first":')


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Stalling(Faulty):
    """Does something else before its first commit is created."""

    meanwhile: Callable[[], None] | None = None

    def create(self, key: str, data: bytes) -> bool:
        meanwhile = self.meanwhile
        if meanwhile is not None and key.startswith("ledger/commits/"):
            self.meanwhile = None
            meanwhile()
        return super().create(key, data)


def test_a_stalled_writer_that_wakes_up_after_a_takeover_acknowledges_nothing() -> None:
    store, clock = MemoryObjects(), Clock()
    stalling = Stalling(store)
    stalled = quick_ledger(stalling, ObjectLease(stalling, clock, wait=clock.wait))
    other = quick_ledger(store, ObjectLease(store, clock, wait=clock.wait))
    stalled.append(leaves(1, "first"))

    def takeover() -> None:
        clock.wait(3600)
        assert other.append(leaves(2, "other")) == [1, 2]

    # It has shown its lease already and is about to create the commit.
    stalling.meanwhile = takeover
    with pytest.raises(StorageError, match="taken the ledger over") as refused:
        stalled.append(leaves(1, "stalled"))
    assert refused.value.retryable
    assert other.size() == 3
    assert other.verify() == []
    # It stands by until the other's lease has run out, and is then a new holder.
    assert stalled.append(leaves(1, "stalled")) == [3]
    assert [commit.epoch for commit in _commits(store)] == [1, 2, 3]
    assert stalled.verify() == []


def test_a_writer_that_cannot_show_its_lease_creates_nothing() -> None:
    store, clock = MemoryObjects(), Clock()
    ledger = quick_ledger(store, ObjectLease(store, clock, wait=clock.wait))
    ledger.append(leaves(1, "first"))

    def guard() -> bool:
        clock.wait(3600)  # the guard takes longer than the lease
        return True

    with pytest.raises(LeaseError):
        ledger.append(leaves(1), guard=guard)
    assert ledger.size() == 1
    assert ledger.append(leaves(1)) == [1]


class Believing:
    """A lease that is always believed to be held: the worst of them."""

    def __init__(self, epoch: int) -> None:
        self._epoch = epoch

    @contextmanager
    def writing(self, least: int) -> Iterator[int]:
        yield self._epoch

    def require(self, epoch: int) -> None:
        pass

    def close(self) -> None:
        pass


def test_two_writers_that_both_believe_they_hold_the_lease_cannot_fork() -> None:
    store = MemoryObjects()
    stalling = Stalling(store)
    older, newer = quick_ledger(stalling, Believing(1)), quick_ledger(store, Believing(2))
    older.append(leaves(1, "first"))
    stalling.meanwhile = lambda: (newer.append(leaves(1, "newer")), None)[1]
    with pytest.raises(StorageError):
        older.append(leaves(1, "older"))
    # The other way round both go on, one after the other.
    stalling = Stalling(store)
    newer, older = quick_ledger(stalling, Believing(3)), quick_ledger(store, Believing(2))
    stalling.meanwhile = lambda: (older.append(leaves(1, "older")), None)[1]
    assert newer.append(leaves(1, "newest")) == [3]
    assert [commit.epoch for commit in _commits(store)] == [1, 2, 2, 3]
    assert newer.verify() == []
    # A chain whose epoch falls is none of ours.
    commits = _commits(store)
    fallen = msgspec.structs.replace(commits[3], epoch=1)
    store.replace(commit_key(4), fallen.data)
    assert "whose lease was over" in newer.verify()[0]


def test_writers_with_a_file_lease_share_a_home(tmp_path: Path) -> None:
    store = LocalObjects(tmp_path / "o")

    def write(number: int) -> list[int]:
        ledger = quick_ledger(store, FileLease(tmp_path / "lease"))
        with ThreadPoolExecutor(3) as pool:
            batches = [leaves(1, f"{number} {n} ") for n in range(12)]
            return [index for (index,) in pool.map(ledger.append, batches)]

    with ThreadPoolExecutor(3) as pool:
        indices = [index for found in pool.map(write, range(3)) for index in found]
    assert sorted(indices) == list(range(36))
    log = CommitLog(store)
    newest = log.newest()
    assert newest
    epochs = [log.read(number).epoch for number in range(1, newest.number + 1)]
    assert epochs == sorted(epochs)
    assert quick_ledger(store).verify() == []
