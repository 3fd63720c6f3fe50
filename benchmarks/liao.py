"""The set-up of Liao et al. (2024) run anew: their figures, our draw, their forest and ours.

Runs the plan `paper-liao-2024` from scratch in a home of its own, 25,000 cells, and prints its
table in the paper's metric: mean over circuits of the L2 distance of the four values of Z. Their
forest is trained on the same circuits as our models; the ratio is paired by circuit. Takes 15 to 20
minutes on two cores. `--keep FOLDER` keeps the home with its page.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from pathlib import Path
from typing import Any

from _reporting import print_environment, print_json, print_table

from quantumai.services.em_runs import go_on, read_plan, start_run, summarise_run
from quantumai.services.wiring import open_home

PLAN = "paper-liao-2024"
PACKAGES = ("numpy", "qiskit", "scikit-learn", "xgboost-cpu")
UNSEEN = {"": "", "circuit": ", steps 15-29"}


def main() -> None:
    """Run, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    wanted = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        rows, audit = _measured(wanted.keep or Path(folder), wanted.workers)
    if wanted.json:
        print_json({"rows": rows, "audit": audit}, packages=PACKAGES)
        return
    headers = (
        "circuits", "raw", "(paper)", "REM", "ZNE 1,3", "(paper)", "best ZNE", "best REM+ZNE",
        "line", "their forest", "(paper)", "ML-QEM", "fell back",
    )  # fmt: skip
    print_table(headers, [_errors(row) for row in rows])
    ratios = ("forest_over_ours", "raw_over_ours", "descriptors_over_ours")
    words = ("error over ML-QEM's", "their forest", "raw", "no noisy values")
    print_table(words, [(_place(row), *(_interval(row[r]) for r in ratios)) for row in rows])
    print("\n".join(audit))
    print_environment(packages=PACKAGES, threads="two workers")


def _measured(home: Path, workers: int) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows of the table, and what the audit for leaks says."""
    with open_home(home) as opened:
        run = start_run(opened, *read_plan(PLAN))
    go_on(run, workers, lambda _: None)
    summary = summarise_run(run)
    audit = [f"{one['name']}: {one['outcome']}, {one['detail']}" for one in summary["leakage"]]
    return list(summary["liao_2024"]), audit


def _place(row: dict[str, Any]) -> str:
    return str(row["noise"]) + UNSEEN[row["unseen"]]


def _errors(row: dict[str, Any]) -> tuple[object, ...]:
    published = row["published"]
    return (
        _place(row),
        row["raw"]["value"],
        published["raw"],
        row["rem"]["value"],
        row["their_zne"]["value"],
        published["zne"],
        row["best_zne"]["value"],
        row["best_rem_zne"]["value"],
        row["recalibration"]["value"],
        row["their_forest"]["value"],
        published["rf"],
        row["learned"][row["ours"]]["value"],
        f"{row['fallback_rate']:.0%}",
    )


def _interval(ratio: dict[str, Any]) -> str:
    return f"{ratio['value']:.2f} ({ratio['low']:.2f}-{ratio['high']:.2f})"


if __name__ == "__main__":
    main()
