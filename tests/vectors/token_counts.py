"""Counts of published vectors that ran inside a token; the expected line stands in the test."""

from __future__ import annotations

from collections import Counter

import pytest


class TokenCount:
    """Counts (published verdict)/(what the token did), and what was left out and why."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._request = request
        self._seen: Counter[str] = Counter()
        self._left_out: Counter[str] = Counter()

    def add(self, published: str, said: str) -> None:
        self._seen[f"{published}/{said}"] += 1

    def leave_out(self, reason: str) -> None:
        self._left_out[reason] += 1

    def close(self, name: str, expected: str) -> None:
        """Publish the counts. They must be the expected ones: no vector vanishes unnoticed."""
        shown = _listed(self._seen)
        if self._left_out:
            shown += f"; left out: {_listed(self._left_out)}"
        line = f"{name} in a token (published/token): {shown}"
        self._request.node.user_properties.append(("vectors", line))
        assert shown == expected, shown


def _listed(counter: Counter[str]) -> str:
    return ", ".join(f"{number} {what}" for what, number in sorted(counter.items()))
