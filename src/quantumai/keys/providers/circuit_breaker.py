"""A circuit breaker: after failures in a row nobody is kept waiting for a token that is dead.

Closed, every call goes through. After `failures` failed calls in a row it is open for `open_s`
seconds: calls are refused at once, with the time after which to come back. Then one call is the
trial: it closes the breaker again or opens it for another while. Calls that were under way when
it opened count as well: a success closes it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from quantumai.errors import QuantumAIError, TokenBusyError


class CircuitBreaker:
    """Counts what happens inside `guard`; safe for several threads.

    `monotonic_s` is a clock that never goes back. Errors of the types in `counted` are failures;
    any other error on purpose, but for `TokenBusyError`, is an answer and so a success. `subject`
    is who failed, for the message.
    """

    def __init__(
        self,
        monotonic_s: Callable[[], float],
        counted: tuple[type[QuantumAIError], ...],
        *,
        failures: int = 3,
        open_s: float = 5.0,
        subject: str = "the token",
    ) -> None:
        self._monotonic_s = monotonic_s
        self._counted = counted
        self._limit = failures
        self._open_s = open_s
        self._subject = subject
        self._lock = threading.Lock()
        self._in_a_row = 0
        self._reason = ""
        self._open_until: float | None = None
        self._trying = False

    @contextmanager
    def guard(self) -> Iterator[bool]:
        """Let one call through; the value says whether it is the trial.

        Raises `TokenBusyError` while the breaker is open, and in place of the failure that opens
        it.
        """
        trial = self._admit()
        try:
            yield trial
        except self._counted as error:
            refusal = self._failed(str(error), trial)
            if refusal is not None:
                raise refusal from None
            raise
        except TokenBusyError:
            self._undecided(trial)
            raise
        except QuantumAIError:
            self._succeeded(trial)
            raise
        except BaseException:
            self._undecided(trial)
            raise
        self._succeeded(trial)

    def _admit(self) -> bool:
        # Without the lock: in the usual case there is nothing to decide.
        if self._open_until is None:
            return False
        with self._lock:
            return self._try()

    def _try(self) -> bool:
        if self._open_until is None:
            return False
        wait_s = self._open_until - self._monotonic_s()
        if wait_s > 0 or self._trying:
            raise self._refusal(wait_s)
        self._trying = True
        return True

    def _failed(self, reason: str, trial: bool) -> TokenBusyError | None:
        with self._lock:
            self._in_a_row += 1
            self._reason = reason
            self._trying = self._trying and not trial
            if not trial and self._in_a_row < self._limit:
                return None
            self._open_until = self._monotonic_s() + self._open_s
            return self._refusal(self._open_s)

    def _succeeded(self, trial: bool) -> None:
        if not self._in_a_row and not trial:
            return
        with self._lock:
            self._in_a_row = 0
            self._open_until = None
            self._trying = self._trying and not trial

    def _undecided(self, trial: bool) -> None:
        if trial:
            with self._lock:
                self._trying = False

    def _refusal(self, wait_s: float) -> TokenBusyError:
        return TokenBusyError(
            f"{self._subject} failed {self._in_a_row} times in a row, last: {self._reason}",
            retry_after_s=max(wait_s, 1.0),
            hint="try again later; look at `qai kms token status`",
        )
