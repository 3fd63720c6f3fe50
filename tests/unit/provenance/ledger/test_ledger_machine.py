"""Any interleaving of writers, crashes and takeovers, against a plain list."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from quantumai import merkle
from quantumai.errors import ConflictError, StorageError
from quantumai.provenance.ledger.checkpoint import TreeHead
from quantumai.provenance.ledger.commits import Leaf
from quantumai.provenance.ledger.note import Note
from quantumai.provenance.ledger.run_ledger import Ledger
from quantumai.storage.file_lease import FileLease
from quantumai.storage.object_lease import ObjectLease
from quantumai.storage.writer_lease import WriterLease
from tests.unit.provenance.ledger.ledger_faults import (
    Faulty,
    MemoryObjects,
    PowerCutError,
    leaves,
    quick_ledger,
)

WRITERS = st.integers(0, 2)
NAMES = st.lists(st.integers(0, 40), min_size=1, max_size=5)


def _batch(names: list[int]) -> list[Leaf]:
    return [leaf for name in names for leaf in leaves(1, str(name))]


class Writers(RuleBasedStateMachine):
    """Three writers of one ledger; the first has no lease. What was acknowledged is the model."""

    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryObjects()
        self.now_s = 1e9
        self.acknowledged: dict[int, Leaf] = {}
        self.head: TreeHead | None = None
        self.writers = [self.open(number, self.store) for number in range(3)]

    def open(self, number: int, store: MemoryObjects | Faulty) -> Ledger:
        return quick_ledger(store, self.lease(store) if number else None)

    def lease(self, store: MemoryObjects | Faulty) -> WriterLease:
        return ObjectLease(store, self.clock, wait=self.wait)

    def clock(self) -> datetime:
        return datetime.fromtimestamp(self.now_s, UTC)

    def wait(self, seconds: float) -> None:
        self.now_s += 10 * seconds

    def acknowledge(self, batch: list[Leaf], indices: list[int]) -> None:
        for leaf, index in zip(batch, indices, strict=True):
            assert self.acknowledged.setdefault(index, leaf) == leaf
            assert list(self.acknowledged.values()).count(leaf) == 1

    def attempt(self, writer: int, batch: list[Leaf], **options: Any) -> None:
        """Append, with what was asked for to be injected meanwhile; the dead are replaced."""
        try:
            self.acknowledge(batch, self.writers[writer].append(batch, **options))
        except StorageError:  # also: another one holds the lease
            return
        except PowerCutError:
            self.writers[writer] = self.open(writer, self.store)

    @rule(writer=WRITERS, names=NAMES)
    def append(self, writer: int, names: list[int]) -> None:
        self.attempt(writer, _batch(names))

    @rule(writer=WRITERS, names=NAMES, other=WRITERS, theirs=NAMES)
    def append_while_another_does(
        self, writer: int, names: list[int], other: int, theirs: list[int]
    ) -> None:
        between: list[int] = []

        def guard() -> bool:
            if not between and other != writer:
                between.append(1)
                self.append(other, theirs)
            return True

        self.attempt(writer, _batch(names), guard=guard)

    @rule(writer=WRITERS, names=NAMES, size=st.integers(0, 60))
    def append_at(self, writer: int, names: list[int], size: int) -> None:
        before = quick_ledger(self.store).size()
        if before == size:
            self.attempt(writer, _batch(names), at_size=size)
        else:
            with suppress(StorageError, PowerCutError), pytest.raises(ConflictError):
                self.writers[writer].append(_batch(names), at_size=size)
            assert quick_ledger(self.store).size() == before

    @rule(
        writer=WRITERS,
        names=NAMES,
        at=st.integers(1, 30),
        effect=st.sampled_from(["before", "after"]),
        error=st.sampled_from([StorageError, PowerCutError]),
    )
    def append_with_a_fault(
        self, writer: int, names: list[int], at: int, effect: str, error: type[BaseException]
    ) -> None:
        # A fault that this append does not come to stays for a later one.
        self.writers[writer] = self.open(writer, Faulty(self.store, at, effect, error))
        self.attempt(writer, _batch(names))

    @rule(writer=WRITERS)
    def close(self, writer: int) -> None:
        with suppress(PowerCutError, StorageError):
            self.writers[writer].close()
        self.writers[writer] = self.open(writer, self.store)

    @rule(seconds=st.floats(0, 40))
    def time_passes(self, seconds: float) -> None:
        self.now_s += seconds

    @invariant()
    def nothing_is_lost_or_forked(self) -> None:
        onlooker = quick_ledger(self.store)
        assert onlooker.verify() == []
        if not onlooker.size():
            assert not self.acknowledged
            return
        logged = dict(onlooker.leaves("run-manifest"))
        assert self.acknowledged.items() <= logged.items()
        assert len(set(logged.values())) == len(logged)
        head = TreeHead.parse(Note.parse(onlooker.checkpoint()).text)
        if self.head:
            proof = onlooker.consistency_proof(self.head.size)
            roots = self.head.root, head.root
            assert merkle.verify_consistency(self.head.size, head.size, *roots, proof)
        self.head = head


class WritersOfOneHome(Writers):
    """The same with file leases; nobody waits for one, since all run in one thread."""

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        super().__init__()

    def lease(self, store: MemoryObjects | Faulty) -> WriterLease:
        return FileLease(Path(self.folder.name) / "lease", patience_s=0)

    def teardown(self) -> None:
        self.folder.cleanup()


@pytest.mark.slow
@pytest.mark.parametrize("writers", [Writers, WritersOfOneHome])
def test_any_interleaving_of_writers(writers: type[Writers]) -> None:
    run_state_machine_as_test(
        writers, settings=settings(max_examples=60, stateful_step_count=25, deadline=None)
    )
