"""One write for many threads: order, company, errors, and nobody left waiting."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from quantumai.errors import BadInputError, StorageError
from quantumai.storage.group_commit import GroupCommit


def refuse(error: BaseException) -> StorageError:
    return StorageError(f"refused: {error}")


def until(condition: Callable[[], bool]) -> None:
    """Wait for what another thread is about to do."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


class Gate:
    """A write that waits to be let through; remembers what was written together."""

    def __init__(self) -> None:
        self.entered, self.go_on = threading.Event(), threading.Event()
        self.batches: list[list[int]] = []

    def write(self, items: Sequence[int]) -> Sequence[int]:
        self.entered.set()
        assert self.go_on.wait(60)
        self.batches.append(list(items))
        return [-item for item in items]


def test_who_comes_meanwhile_is_written_together_up_to_the_cap() -> None:
    gate = Gate()
    group: GroupCommit[int, int] = GroupCommit(
        gate.write, 60, refuse=refuse, most_at_once=10, weigh=lambda item: item
    )
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(group.submit, 1)
        assert gate.entered.wait(60)
        others = []
        for count, weight in enumerate((4, 5, 3, 7, 99, 2), start=1):
            others.append(pool.submit(group.submit, weight))
            until(lambda wanted=count: len(group._queue) == wanted)  # type: ignore[misc]
        gate.go_on.set()
        assert [first.result(60), *(other.result(60) for other in others)] == [
            -1, -4, -5, -3, -7, -99, -2,
        ]  # fmt: skip
    # In order of arrival; one that is too heavy for any write goes alone.
    assert gate.batches == [[1], [4, 5], [3, 7], [99], [2]]


def test_an_item_that_fails_does_not_fail_its_neighbours() -> None:
    group: GroupCommit[int, int] = GroupCommit(
        lambda items: [BadInputError("odd") if item % 2 else item for item in items],
        60,
        refuse=refuse,
    )
    with pytest.raises(BadInputError, match="odd"):
        group.submit(1)
    assert group.submit(2) == 2


def test_a_failed_write_fails_all_of_it_each_with_an_error_of_its_own() -> None:
    entered, go_on = threading.Event(), threading.Event()

    def write(items: Sequence[int]) -> Sequence[int]:
        entered.set()
        assert go_on.wait(60)
        raise ValueError("broken")

    group: GroupCommit[int, int] = GroupCommit(write, 60, refuse=refuse)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(group.submit, 0)
        assert entered.wait(60)
        others = [pool.submit(group.submit, n) for n in (1, 2, 3)]
        until(lambda: len(group._queue) == 3)
        go_on.set()
        errors = [future.exception(60) for future in (first, *others)]
    assert [str(error) for error in errors] == ["refused: broken"] * 4
    assert len({id(error) for error in errors}) == 4


def test_callers_in_a_loop_come_together_and_a_lone_one_does_not_wait() -> None:
    gate = Gate()
    group: GroupCommit[int, int] = GroupCommit(gate.write, 60, refuse=refuse, max_delay_s=30)
    gate.go_on.set()
    began = time.monotonic()
    for item in range(3):
        group.submit(item)
    assert time.monotonic() - began < 20  # nobody waits for company that there never was
    gate.go_on.clear()
    gate.entered.clear()
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(group.submit, 10)
        assert gate.entered.wait(60)
        others = [pool.submit(group.submit, n) for n in (11, 12, 13)]
        until(lambda: len(group._queue) == 3)
        gate.go_on.set()
        assert all(future.result(60) for future in (first, *others))
        # The last write had three: the next leader waits until there are as many.
        again = [pool.submit(group.submit, n) for n in (21, 22)]
        until(lambda: len(group._queue) == 2)
        again.append(pool.submit(group.submit, 23))
        assert all(future.result(60) for future in again)
    assert [len(batch) for batch in gate.batches] == [1, 1, 1, 1, 3, 3]


def test_an_interrupt_while_waiting_for_company_leaves_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    group: GroupCommit[int, int] = GroupCommit(
        lambda items: list(items), 60, refuse=refuse, max_delay_s=30
    )
    group._expected = 5

    def interrupted(*arguments: object) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(group._company, "wait_for", interrupted)
        with pytest.raises(KeyboardInterrupt):
            group.submit(1)
    assert not group._queue
    group._expected = 1
    assert group.submit(2) == 2


def test_an_interrupt_leaves_nobody_waiting() -> None:
    entered, go_on = threading.Event(), threading.Event()
    written: list[int] = []

    def write(items: Sequence[int]) -> Sequence[int]:
        entered.set()
        assert go_on.wait(60)
        if items[0] == 0:
            raise KeyboardInterrupt
        written.extend(items)
        return items

    group: GroupCommit[int, int] = GroupCommit(write, 60, refuse=refuse)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(group.submit, 0)
        assert entered.wait(60)
        others = [pool.submit(group.submit, n) for n in (1, 2, 3)]
        until(lambda: len(group._queue) == 3)
        go_on.set()
        with pytest.raises(KeyboardInterrupt):
            first.result(60)
        assert sorted(other.result(60) for other in others) == sorted(written) == [1, 2, 3]


def test_who_waits_too_long_gives_up_and_is_not_written() -> None:
    entered, go_on = threading.Event(), threading.Event()
    written: list[int] = []

    def write(items: Sequence[int]) -> Sequence[int]:
        entered.set()
        assert go_on.wait(60)
        written.extend(items)
        return items

    group: GroupCommit[int, int] = GroupCommit(write, 0.01, refuse=refuse)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(group.submit, 0)
        assert entered.wait(60)
        with pytest.raises(StorageError, match="stuck"):
            group.submit(1)
        go_on.set()
        assert first.result(60) == 0
    assert group.submit(2) == 2
    assert written == [0, 2]
