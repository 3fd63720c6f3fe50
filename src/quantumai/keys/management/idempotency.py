"""Doing a call once: its answer is kept under the caller's idempotency key and given again.

The answer is written in the transaction that makes the change, so that either both are there or
neither is. A call that was killed in between is taken up by the next one under the same key.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from quantumai.canonical import canonical_json, sha256_hex
from quantumai.errors import BadInputError, ConflictError, TokenBusyError
from quantumai.keys.management.records import Caller
from quantumai.storage.database import Database, Row

_LONGEST_KEY = 255
_PATIENCE_S = 60.0
KEPT_FOR = timedelta(hours=24)


class AnsweredError(Exception):
    """Another process has answered the same call in the meantime; carries its answer."""

    def __init__(self, answer: Any) -> None:
        super().__init__("answered already")
        self.answer = answer


class Request:
    """One call under an idempotency key (or under none: then `scope` is "" and nothing is kept)."""

    def __init__(self, database: Database, scope: str, body_sha256: str, now: str) -> None:
        self.scope = scope
        self._database = database
        self._body_sha256 = body_sha256
        self._now = now

    def begin(self) -> Any | None:
        """The answer that was given before, else None.

        Raises `ConflictError` if the key was used for another call.
        """
        if not self.scope:
            return None
        # In one transaction: else an answer given in between would be overwritten by none.
        with self._database.transaction():
            row = self._row()
            if row is None or _is_old(row["created_at"], self._now):
                self._database.upsert(
                    "kms_requests",
                    {
                        "scope": self.scope,
                        "body_sha256": self._body_sha256,
                        "response": None,
                        "created_at": self._now,
                    },
                )
                return None
        if row["body_sha256"] != self._body_sha256:
            raise ConflictError(
                "this idempotency key was used for another call", hint="use a fresh key"
            )
        return row["response"]

    def given(self) -> Any | None:
        """The answer that another process gave since `begin`, if one did."""
        row = self._row() if self.scope else None
        return None if row is None else row["response"]

    def require_open(self) -> None:
        """Raise `AnsweredError` if another process has answered; before a change is begun."""
        answer = self.given()
        if answer is not None:
            raise AnsweredError(answer)

    def answer(self, answer: Any) -> None:
        """Keep the answer; inside the transaction of the change.

        Raises `AnsweredError` if another process was first; its change then stands alone.
        """
        if self.scope:
            self.require_open()
            self._database.update("kms_requests", {"scope": self.scope}, {"response": answer})

    def _row(self) -> Row | None:
        return self._database.get("kms_requests", {"scope": self.scope})


class Requests:
    """The kept answers; `clock` gives aware UTC times."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock
        self._turns: dict[str, _Turn] = {}
        self._lock = threading.Lock()

    @contextmanager
    def one(
        self, caller: Caller, operation: str, arguments: Any, idempotency_key: str
    ) -> Iterator[Request]:
        """The request of a call; calls of this process under one key take turns.

        Raises `BadInputError` for a key that is too long or not plain ASCII.
        """
        now = self._clock().strftime("%Y-%m-%dT%H:%M:%SZ")
        if not idempotency_key:
            yield Request(self._database, "", "", now)
            return
        if len(idempotency_key) > _LONGEST_KEY or not idempotency_key.isascii():
            raise BadInputError("an idempotency key has 1 to 255 ASCII characters")
        scope = sha256_hex(
            canonical_json([caller.tenant, caller.principal, operation, idempotency_key])
        )
        with self._turn(scope):
            yield Request(self._database, scope, sha256_hex(canonical_json(arguments)), now)

    @contextmanager
    def _turn(self, scope: str) -> Iterator[None]:
        with self._lock:
            turn = self._turns.setdefault(scope, _Turn())
            turn.waiting += 1
        taken = False
        try:
            taken = turn.lock.acquire(timeout=_PATIENCE_S)
            if not taken:
                raise TokenBusyError("the same call is still being done")
            yield
        finally:
            if taken:
                turn.lock.release()
            with self._lock:
                turn.waiting -= 1
                if turn.waiting == 0:
                    self._turns.pop(scope, None)


def settle(database: Database, scope: str, noted_at: str, answer: Any) -> None:
    """Answer the call that had a key noted at `noted_at` made and died; in a transaction.

    A later call under the same idempotency key is none of it and stays as it is.
    """
    row = database.get("kms_requests", {"scope": scope}) if scope else None
    if row is not None and row["response"] is None and row["created_at"] <= noted_at:
        database.update("kms_requests", {"scope": scope}, {"response": answer})


class _Turn:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.waiting = 0


def _is_old(created_at: str, now: str) -> bool:
    return datetime.fromisoformat(now) - datetime.fromisoformat(created_at) >= KEPT_FOR
