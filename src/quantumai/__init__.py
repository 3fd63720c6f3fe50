"""QuantumAI: runs quantum circuits where and how they come out best, and proves it.

import quantumai
report = quantumai.run(circuit, ["ZZ"], shots=8000)
with quantumai.record(backend=backend) as run: ...  # a run of your own, signed all the same
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quantumai.sdk.client import replay, run, verify
    from quantumai.sdk.manifest import Manifest, read_manifest
    from quantumai.sdk.record import record

__all__ = ["Manifest", "read_manifest", "record", "replay", "run", "verify"]
_MODULES = {
    "Manifest": "manifest",
    "read_manifest": "manifest",
    "record": "record",
    "replay": "client",
    "run": "client",
    "verify": "client",
}


def __getattr__(name: str) -> Any:
    """Import the client on first use: `import quantumai` alone stays free of cost (PEP 562)."""
    if name in _MODULES:
        from importlib import import_module

        return getattr(import_module(f"quantumai.sdk.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
