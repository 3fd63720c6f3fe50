"""Whether a caller may do something with a key: its policy, and the rate that the policy sets."""

from __future__ import annotations

import threading
from collections.abc import Callable
from fnmatch import fnmatchcase

from quantumai.errors import DeniedError, RateLimitedError
from quantumai.keys.management.records import Caller, KeyPolicy


def is_granted(policy: KeyPolicy, caller: Caller, operation: str) -> bool:
    """Whether a grant covers the caller's operation."""
    return any(grant.covers(caller.principal, operation) for grant in policy.grants)


def require_grant(policy: KeyPolicy, caller: Caller, operation: str, name: str) -> None:
    """Raise `DeniedError` unless a grant covers the caller's operation."""
    if not is_granted(policy, caller, operation):
        raise DeniedError(f"{caller.principal} may not {operation} with key {name}")


def require_types(policy: KeyPolicy, payload_type: str, predicate_type: str, name: str) -> None:
    """Raise `DeniedError` unless the policy lets the key sign such statements."""
    for kind, allowed in (
        (payload_type, policy.payload_types),
        (predicate_type, policy.predicate_types),
    ):
        if not any(fnmatchcase(kind, pattern) for pattern in allowed):
            raise DeniedError(f"key {name} may not sign {kind[:80]!r}")


class RateLimits:
    """Token buckets, one for each key with a rate; `monotonic_s` is a clock that never goes back.

    A bucket holds a minute's worth at most. It counts in this process alone.
    """

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        self._monotonic_s = monotonic_s
        self._buckets: dict[str, tuple[float, float]] = {}  # key -> (tokens, when they were so)
        self._lock = threading.Lock()

    def take(self, key: str, uses_per_minute: int | None) -> None:
        """Count one use, or raise `RateLimitedError` if there is none left."""
        if uses_per_minute is None:
            return
        with self._lock:
            now = self._monotonic_s()
            tokens, since = self._buckets.get(key, (float(uses_per_minute), now))
            tokens = min(uses_per_minute, tokens + (now - since) * uses_per_minute / 60)
            enough = tokens >= 1
            self._buckets[key] = (tokens - 1 if enough else tokens, now)
        if not enough:
            raise RateLimitedError(
                f"the policy allows {uses_per_minute} uses a minute",
                retry_after_s=(1 - tokens) * 60 / uses_per_minute,
            )
