"""The circuit breaker: what it promises to callers, whatever happens in which order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantumai.errors import KeyUnavailableError, NotFoundError, StorageError, TokenBusyError
from quantumai.keys.providers.circuit_breaker import CircuitBreaker

OPEN_S = 5.0


class _BrokenError(KeyUnavailableError):
    """The counted error."""


class _Bench:
    def __init__(self) -> None:
        self.now = 0.0
        self.breaker = CircuitBreaker(lambda: self.now, (_BrokenError,), failures=3, open_s=OPEN_S)

    def call(self, outcome: BaseException | None = None) -> bool:
        """Make a call that ends so; the value says whether it was the trial."""
        with self.breaker.guard() as trial:
            if outcome is not None:
                raise outcome
            return trial

    def ended(self, outcome: Exception | None) -> Any:
        """What a call that ends with `outcome` raises to its caller."""
        try:
            self.call(outcome)
        except Exception as error:
            return error
        return None

    def is_open(self) -> bool:
        """Whether the next call is refused, without changing anything if it is."""
        try:
            with self.breaker.guard():
                raise TokenBusyError("looking only")
        except TokenBusyError as error:
            return str(error) != "looking only"

    def fail(self, times: int = 1) -> None:
        for _ in range(times):
            with pytest.raises((_BrokenError, TokenBusyError)):
                self.call(_BrokenError("broken"))


@given(
    st.lists(
        st.sampled_from(["ok", "fail", "busy", "answer", "crash"])
        | st.floats(0, 12, allow_nan=False),
        max_size=60,
    )
)
def test_it_opens_after_three_failures_in_a_row_and_for_five_seconds(
    steps: list[str | float],
) -> None:
    """The rule, told from outside: by the calls that were let through and the clock."""
    bench = _Bench()
    outcomes = {
        "ok": None,
        "fail": _BrokenError("broken"),
        "busy": TokenBusyError("a queue"),
        "answer": NotFoundError("no such key"),
        "crash": ZeroDivisionError(),
    }
    in_a_row, opened_at = 0, None
    for step in steps:
        if isinstance(step, float):
            bench.now += step
            continue
        ended = bench.ended(outcomes[step])
        refused = isinstance(ended, TokenBusyError) and ended is not outcomes["busy"]
        if opened_at is not None and bench.now < opened_at + OPEN_S:
            # Refused without a call, and told when it is worth coming back.
            assert refused
            assert bench.now + ended.retry_after_s >= opened_at + OPEN_S
            continue
        # It was let through; the failure that opens it is told as a refusal.
        in_a_row = {"ok": 0, "answer": 0, "fail": in_a_row + 1}.get(step, in_a_row)
        assert refused == (step == "fail" and in_a_row >= 3)
        assert refused or ended is outcomes[step]
        if refused:
            opened_at = bench.now
        elif step in ("ok", "answer"):
            opened_at = None


def test_one_call_is_the_trial_and_the_others_wait() -> None:
    bench = _Bench()
    bench.fail(3)
    bench.now += OPEN_S
    with bench.breaker.guard() as trial:
        assert trial
        assert bench.is_open()
    assert not bench.is_open()
    assert bench.call() is False


@pytest.mark.parametrize("undecided", [TokenBusyError("a queue"), KeyboardInterrupt()])
def test_a_trial_that_shows_nothing_leaves_room_for_the_next(undecided: BaseException) -> None:
    bench = _Bench()
    bench.fail(3)
    bench.now += OPEN_S
    with pytest.raises(type(undecided)):
        bench.call(undecided)
    assert bench.call() is True


def test_a_trial_that_fails_opens_it_for_another_while() -> None:
    bench = _Bench()
    bench.fail(3)
    bench.now += OPEN_S
    with pytest.raises(TokenBusyError, match="4 times in a row, last: broken") as caught:
        bench.call(_BrokenError("broken"))
    assert caught.value.retry_after_s == OPEN_S
    assert caught.value.retryable
    bench.now += OPEN_S - 0.001
    assert bench.is_open()


def test_answers_of_the_token_are_successes() -> None:
    bench = _Bench()
    for answer in (NotFoundError("no"), StorageError("no")):
        bench.fail(2)
        with pytest.raises(type(answer)):
            bench.call(answer)
    bench.fail(2)
    assert not bench.is_open()


def test_a_call_that_was_under_way_closes_it() -> None:
    bench = _Bench()
    with bench.breaker.guard():
        bench.fail(3)
        assert bench.is_open()
    assert not bench.is_open()
