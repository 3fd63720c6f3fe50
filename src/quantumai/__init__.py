"""QuantumAI: runs quantum circuits where and how they come out best, and proves it.

import quantumai
report = quantumai.run(circuit, ["ZZ"], shots=8000)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quantumai.sdk.client import replay, run, verify

__all__ = ["replay", "run", "verify"]


def __getattr__(name: str) -> Any:
    """Import the client on first use: `import quantumai` alone stays free of cost (PEP 562)."""
    if name in __all__:
        from quantumai.sdk import client

        return getattr(client, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
