"""A quick look at how fast a provider signs: one thread, no audit, no verification.

`benchmarks/keys.py` measures with all of that, and at length.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from quantumai.keys.parameters import signature_set
from quantumai.keys.providers.port import KeyProvider
from quantumai.keys.providers.request_checks import require_made


@dataclass(frozen=True)
class SigningSpeed:
    """`per_second` is signatures over `seconds`; the quantiles are of single calls, in ms."""

    provider: str
    algorithm: str
    signatures: int
    seconds: float
    per_second: float
    p50_ms: float
    p99_ms: float


def measure_signing(
    provider: KeyProvider, algorithm: str, seconds: float, clock_s: Callable[[], float]
) -> SigningSpeed:
    """Sign fresh 32-byte messages with a key that is made for it and destroyed after it.

    `clock_s` never goes back. Raises `BadInputError` for what the provider does not sign with.
    """
    signature_set(algorithm)
    require_made(provider.abilities(), algorithm)
    handle = f"bench-{secrets.token_hex(8)}/1"
    try:
        provider.generate(handle, algorithm)
        provider.sign(handle, b"the first use opens what later ones find open")
        taken: list[float] = []
        began = now = clock_s()
        while now - began < seconds or not taken:
            message = secrets.token_bytes(32)
            before = clock_s()
            provider.sign(handle, message)
            now = clock_s()
            taken.append(now - before)
    finally:
        provider.destroy(handle)
    return SigningSpeed(
        provider=provider.name,
        algorithm=algorithm,
        signatures=len(taken),
        seconds=now - began,
        per_second=len(taken) / (now - began),
        p50_ms=1000 * _quantile(taken, 0.5),
        p99_ms=1000 * _quantile(taken, 0.99),
    )


def _quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed."""
    return sorted(values)[math.ceil(share * len(values)) - 1]
