"""The error-mitigation benchmark: `qai em run` of the packaged plans, and what came of it.

Runs the plans `bench` and `bench-unseen-family` from scratch in a home of its own, prints the
tables of both, and compares every figure with the committed benchmarks/em_summary.json: bit for bit
on the machine that wrote it, to four significant digits elsewhere. `--write` writes the file anew,
`--keep FOLDER` keeps the home with its pages.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import platform
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from quantumai.services.em_runs import go_on, read_plan, start_run, summarise_run
from quantumai.services.wiring import open_home

SUMMARY = Path(__file__).with_name("em_summary.json")
PLANS = ("bench", "bench-unseen-family")
DIGITS = 4
SHOWN = ("all", "variational")
RIVALS = {
    "zne": "best ZNE in hindsight",
    "rem+zne": "best REM+ZNE in hindsight",
    "rescaled": "fitted baseline",
    "light cone": "baseline as calibrated",
}


def main() -> int:
    """Exit code 1 where the committed summary is not met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    wanted = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        home = wanted.keep or Path(folder)
        found = {plan: _measured(home, plan, wanted.workers) for plan in PLANS}
    made = {"machine": _machine(), "plans": found}
    if wanted.write:
        SUMMARY.write_text(json.dumps(made, indent=1, sort_keys=True) + "\n")
        return 0
    return _compared(json.loads(SUMMARY.read_text()), made)


def _measured(home: Path, plan: str, workers: int) -> dict[str, Any]:
    began = time.perf_counter()
    with open_home(home) as opened:
        run = start_run(opened, *read_plan(plan))
    go_on(run, workers, lambda _: None)
    summary = summarise_run(run)
    counts = summary["counts"]
    cells = run.table("cells.parquet")
    places = {split: _places(cells, split) for split in ("train", "test")}
    print(
        f"== {plan}: circuits x backends: {places['test']} measured by all methods, "
        f"{places['train']} to learn from; {counts['rows']} measured rows, "
        f"{time.perf_counter() - began:.0f} s on {workers} workers"
    )
    tables = [_table(block) for block in summary["blocks"] if block["family"] in SHOWN]
    ratios = [_ratios(one) for one in summary["learned"] if one["family"] in SHOWN]
    for table in tables:
        _show(table, ratios)
    shown = {"tables": tables, "ratios": ratios}
    return {"circuit_backend_cells": places, "counts": counts, **shown}


def _places(cells: pa.Table, split: str) -> int:
    """Pairs of a circuit and a backend; both noises of a pair are one."""
    chosen = cells.filter(pc.equal(cells.column("split"), split))
    place = ("variant", "num_qubits", "parameters", "circuit_seed", "backend_id")
    return len(set(zip(*(chosen.column(name).to_pylist() for name in place), strict=True)))


def _table(block: dict[str, Any]) -> dict[str, Any]:
    methods = {
        method["label"]: {
            "role": method["role"],
            "error": method["error"]["value"],
            "low": method["error"]["low"],
            "high": method["error"]["high"],
            "total_shots": method["total_shots"],
            "harm_rate": method["harm_rate"]["value"],
            "fallback_rate": method["fallback_rate"],
        }
        for method in block["methods"]
    }
    names = ("noise", "unseen", "family", "shots", "complete_cells", "circuits", "signal")
    return {**{name: block[name] for name in names}, "methods": methods}


def _ratios(learned: dict[str, Any]) -> dict[str, Any]:
    """The rivals' errors over the best model's, paired by circuit."""
    against = {one["role"]: one for one in learned["against"] if one["role"] in RIVALS}
    return {
        **{name: learned[name] for name in ("noise", "unseen", "family", "best")},
        **{role: {**one["ratio"], "shots": one["shots_ratio"]} for role, one in against.items()},
    }


def _show(table: dict[str, Any], ratios: list[dict[str, Any]]) -> None:
    unseen = table["unseen"] or "nothing (new draws)"
    print(
        f"\n{table['noise']} noise, unseen: {unseen}, family {table['family']}: "
        f"{table['complete_cells']} cells, {table['circuits']} circuits, S {table['signal']:.2f}"
    )
    for label, method in sorted(table["methods"].items(), key=lambda item: item[1]["error"]):
        interval = f"{method['low']:.4f}-{method['high']:.4f}" if method["low"] else "-"
        print(
            f"  {label:<42} {method['error']:.4f} ({interval})  shots {method['total_shots']:8,.0f}"
            f"  harm {method['harm_rate']:4.0%}  fell back {method['fallback_rate']:5.1%}"
        )
    place = ("noise", "unseen", "family")
    for one in (one for one in ratios if all(one[name] == table[name] for name in place)):
        for role, words in RIVALS.items():
            found = one[role]
            print(
                f"  {words} over {one['best']}: {found['value']:.2f} ({found['low']:.2f}-"
                f"{found['high']:.2f}) at {found['shots']:.2f} of its shots"
            )


def _machine() -> str:
    """A name for the kind of machine: processor, libraries."""
    from importlib import metadata

    model = next(
        (line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.machine(),
    )
    versions = [f"{n} {metadata.version(n)}" for n in ("numpy", "scikit-learn", "xgboost-cpu")]
    return hashlib.sha256(" ".join([model, *versions]).encode()).hexdigest()[:16]


def _compared(committed: dict[str, Any], made: dict[str, Any]) -> int:
    same_machine = committed["machine"] == made["machine"]
    differing = list(_differences(committed["plans"], made["plans"], "", exact=same_machine))
    how = "bit for bit" if same_machine else f"to {DIGITS} digits (another machine)"
    for line in differing[:20]:
        print(line)
    print(f"\ncommitted summary: {'NOT met' if differing else 'met'} {how}")
    return 1 if differing else 0


def _differences(old: Any, new: Any, where: str, *, exact: bool) -> Any:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted({*old, *new}):
            yield from _differences(old.get(name), new.get(name), f"{where}/{name}", exact=exact)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, (left, right) in enumerate(zip(old, new, strict=True)):
            yield from _differences(left, right, f"{where}/{number}", exact=exact)
    elif isinstance(old, float) and isinstance(new, float) and not exact:
        if not math.isclose(old, new, rel_tol=10.0**-DIGITS, abs_tol=1e-6):
            yield f"{where}: {old} was {new}"
    elif old != new:
        yield f"{where}: {old} was {new}"


if __name__ == "__main__":
    sys.exit(main())
