"""A failure at each storage call in turn: nothing acknowledged is lost, nothing is there twice."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from quantumai import merkle
from quantumai.errors import StorageError
from quantumai.provenance.ledger.checkpoint import TreeHead
from quantumai.provenance.ledger.commits import Leaf
from quantumai.provenance.ledger.note import Note
from quantumai.provenance.ledger.run_ledger import Ledger
from quantumai.storage.file_lease import FileLease
from quantumai.storage.object_lease import ObjectLease
from quantumai.storage.objects import ObjectStore
from quantumai.storage.writer_lease import WriterLease
from tests.unit.provenance.ledger.ledger_faults import (
    Faulty,
    MemoryObjects,
    PowerCutError,
    leaves,
    quick_ledger,
)

pytestmark = pytest.mark.slow

BATCHES = [leaves(count, f"{number}-") for number, count in enumerate((1, 254, 3))]
EVERY_FAULT = pytest.mark.parametrize(
    ("effect", "error"),
    [
        ("before", StorageError),
        ("after", StorageError),
        ("before", PowerCutError),
        ("after", PowerCutError),
    ],
)
# A home's writers have a file lease; an object lease is for writers that share no disk.
LEASES = pytest.mark.parametrize("lease", ["optimistic", "file", "object"])


class Clock:
    """A time that passes when somebody waits for it."""

    def __init__(self) -> None:
        self.now_s = 1e9

    def __call__(self) -> datetime:
        return datetime.fromtimestamp(self.now_s, UTC)

    def wait(self, seconds: float) -> None:
        self.now_s += seconds


def _lease(kind: str, folder: Path, objects: ObjectStore, clock: Clock) -> WriterLease | None:
    """The lease of a new process: a file's lock is gone with the one before, as the kernel does."""
    if kind == "file":
        return FileLease(folder / "lease")
    return ObjectLease(objects, clock, wait=clock.wait) if kind == "object" else None


def _appended(ledger: Ledger, batch: Sequence[Leaf]) -> list[int]:
    """Append, as often as a storage error asks for it."""
    for _ in range(2):
        with suppress(StorageError):
            return ledger.append(batch)
    return ledger.append(batch)


def _check(ledger: Ledger, acknowledged: dict[int, Leaf]) -> None:
    assert ledger.verify() == []
    # Hashed up to the signed root, so this is what everybody else sees.
    logged = dict(ledger.leaves("run-manifest")) if acknowledged else {}
    assert acknowledged.items() <= logged.items()
    assert len(set(logged.values())) == len(logged)


def _check_goes_on(ledger: Ledger, wanted: Sequence[Leaf], acknowledged: dict[int, Leaf]) -> None:
    """Whoever comes next appends all again, and each leaf is there once."""
    before = TreeHead.parse(Note.parse(ledger.checkpoint()).text) if ledger.size() else None
    for leaf, index in zip(wanted, ledger.append(wanted), strict=True):
        assert acknowledged.setdefault(index, leaf) == leaf
    assert sorted(acknowledged) == list(range(len(wanted)))
    assert ledger.append(leaves(1, "next")) == [len(wanted)]
    _check(ledger, acknowledged)
    if before:
        after = TreeHead.parse(Note.parse(ledger.checkpoint()).text)
        proof = ledger.consistency_proof(before.size, after.size)
        assert merkle.verify_consistency(before.size, after.size, before.root, after.root, proof)


@EVERY_FAULT
@LEASES
def test_one_writer(tmp_path: Path, effect: str, error: type[BaseException], lease: str) -> None:
    for at in range(1, 300):
        inner, clock = MemoryObjects(), Clock()
        store = Faulty(inner, at, effect, error)
        acknowledged: dict[int, Leaf] = {}
        ledger = quick_ledger(store, _lease(lease, tmp_path, store, clock))
        try:
            for batch in BATCHES:
                acknowledged.update(zip(_appended(ledger, batch), batch, strict=True))
        except PowerCutError:
            pass
        # An interrupted log is already consistent, and goes on.
        _check(quick_ledger(inner), acknowledged)
        if error is StorageError:
            assert sorted(acknowledged) == list(range(258))
        wanted = [leaf for batch in BATCHES for leaf in batch]
        _check_goes_on(
            quick_ledger(inner, _lease(lease, tmp_path, inner, clock)), wanted, acknowledged
        )
        if store.calls < at:
            assert at > 20  # the scenario has come to its end without a failure
            return
    raise AssertionError("the scenario never ended")


class Gathering(Faulty):
    """Its first commit waits until `ready`, so that the next one is a group's."""

    ready: Callable[[], bool] | None = None

    def create(self, key: str, data: bytes) -> bool:
        ready = self.ready
        if ready is not None and key.startswith("ledger/commits/"):
            self.ready = None
            deadline = time.monotonic() + 60
            while not ready():
                assert time.monotonic() < deadline
                time.sleep(0.0005)
        return super().create(key, data)


@EVERY_FAULT
@LEASES
def test_several_threads(
    tmp_path: Path, effect: str, error: type[BaseException], lease: str
) -> None:
    batches = [leaves(60, f"{thread}-") for thread in range(5)]
    for at in range(1, 300):
        inner, clock = MemoryObjects(), Clock()
        quick_ledger(inner).append(leaves(1, "first"))
        store = Gathering(inner, at, effect, error)
        ledger = quick_ledger(store, _lease(lease, tmp_path, store, clock))
        group = ledger._writer._group
        # All five are there: those in this commit and those who wait for it.
        store.ready = lambda group=group: (  # type: ignore[misc]
            group._expected + len(group._queue) == 5
        )
        acknowledged: dict[int, Leaf] = {0: leaves(1, "first")[0]}
        lock = threading.Lock()

        def work(
            batch: list[Leaf],
            ledger: Ledger = ledger,
            acknowledged: dict[int, Leaf] = acknowledged,
            lock: threading.Lock = lock,
        ) -> None:
            try:
                indices = _appended(ledger, batch)
            except (PowerCutError, StorageError):  # the latter: it was in a dead leader's group
                return
            with lock:
                acknowledged.update(zip(indices, batch, strict=True))

        with ThreadPoolExecutor(5) as pool:
            list(pool.map(work, batches))
        if error is StorageError:
            assert sorted(acknowledged) == list(range(301))
        _check(quick_ledger(inner), acknowledged)
        wanted = leaves(1, "first") + [leaf for batch in batches for leaf in batch]
        _check_goes_on(
            quick_ledger(inner, _lease(lease, tmp_path, inner, clock)), wanted, acknowledged
        )
        if store.calls < at:
            assert at > 15
            if lease != "object":  # that one asks the store, so a fault may part the group
                # All but the first came to lie in one commit, though some had to try again.
                assert len(list(inner.keys("ledger/commits/"))) == 4
            return
    raise AssertionError("the scenario never ended")
