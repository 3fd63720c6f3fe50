"""What every benchmark prints: plain tables, spreads, and the machine and versions it ran on."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

PACKAGES = ("numpy", "qiskit", "qiskit-aer", "qiskit-ibm-runtime", "mitiq", "mqt.bench")


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, quartiles and range, rounded to what a reader can use."""
    points = np.percentile(np.asarray(values, dtype=float), [50, 25, 75, 0, 100])
    names = ("median", "q25", "q75", "min", "max")
    return {name: float(f"{point:.4g}") for name, point in zip(names, points, strict=True)}


def in_words(measured: Mapping[str, float]) -> str:
    """A spread as text."""
    return (
        f"{measured['median']:.3g} (quartiles {measured['q25']:.3g}-{measured['q75']:.3g}, "
        f"range {measured['min']:.3g}-{measured['max']:.3g})"
    )


def environment(
    packages: Sequence[str] = PACKAGES, threads: str = "one thread used"
) -> dict[str, Any]:
    """The machine in words and the versions that matter."""
    python = platform.python_version()
    return {"machine": _machine(threads), "python": python, "versions": _versions(packages)}


def print_table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Columns as wide as their longest cell, numbers to three digits."""
    cells = [list(headers), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(headers))]
    for row in cells:
        first = row[0].ljust(widths[0])
        rest = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        print("  ".join([first, *rest]))
    print()


def print_json(result: Mapping[str, Any], **shown: Any) -> None:
    """One object on one line, so that it can be read by a pipe; `shown` as for `environment`."""
    print(json.dumps({**result, **environment(**shown)}, sort_keys=True))


def print_environment(**shown: Any) -> None:
    """The same as text."""
    found = environment(**shown)
    packages = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    print(f"{found['machine']}; Python {found['python']}; {packages}")


def _cell(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _versions(packages: Sequence[str]) -> dict[str, str]:
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def _machine(threads: str) -> str:
    model = platform.processor() or "unknown processor"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
        named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        model = named[0] if named else model
    load = (
        f", load average {os.getloadavg()[0]:.1f} at the end" if hasattr(os, "getloadavg") else ""
    )
    return f"{model}, {platform.machine()}, {os.cpu_count()} cores, {threads}{load}"
