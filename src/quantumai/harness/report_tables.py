"""`summary.json` of a run: every figure of its report, computed from its results alone."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from quantumai.harness.leakage import NEAR, require_no_leakage
from quantumai.harness.learned_tables import learned_table, role, side_by_side
from quantumai.harness.liao_table import liao_rows
from quantumai.harness.measured import Block, Rows, blocks_of
from quantumai.harness.results import LEARNED
from quantumai.harness.statistics import Array, Estimate, Figures, estimate, figures, front
from quantumai.mitigation.ml_qem.features import FEATURES
from quantumai.randomness import RootSeed

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA_VERSION = 1
DIGITS = 6
"""Significant digits of a figure: more would only repeat the last bits of a summation."""
_SEED = "report"

Measured = tuple[Block, Figures]


def summarise(
    results: pa.Table,
    features: pa.Table | None = None,
    feature_names: Sequence[str] = FEATURES,
    seed: str = _SEED,
    *,
    near_duplicates: str = "refused",
) -> dict[str, Any]:
    """The summary of results of `result_schema`, plain JSON data, infinite figures as null.

    `features` are the rows that models learned from, with columns `cell_id` and `features`;
    `near_duplicates` as in `Plan`. Raises `LeakageError` where the audit finds a leak,
    `BadInputError` for a table that is no results'.
    """
    audited = require_no_leakage(
        results, features, feature_names, allowed=NEAR if near_duplicates == "told" else ""
    )
    rows = Rows(results)
    root = RootSeed.of(seed)
    blocks = blocks_of(rows)
    measured = [(b, figures(b.circuits, b.errors, root)) for b in blocks if b.complete]
    tables = [table for one in measured if (table := learned_table(*one)) is not None]
    return dict(
        _plain(
            {
                "schema_version": SCHEMA_VERSION,
                "counts": _counts(rows),
                "leakage": [asdict(check) for check in audited],
                "blocks": [_block(*one) for one in measured],
                "empty_blocks": [_head(block) for block in blocks if not block.complete],
                "fronts": [_front(group) for group in _by_family(measured)],
                "pays_off": [line for group in _by_family(measured) for line in _pays_off(group)],
                "learned": tables,
                "side_by_side": side_by_side(tables),
                **({"liao_2024": liao} if (liao := liao_rows(measured)) else {}),
            }
        )
    )


def _counts(rows: Rows) -> dict[str, Any]:
    reasons = Counter(str(reason) for reason in rows.reasons)
    del reasons[""]
    _, first = np.unique(rows.texts["cell_id"].astype(str), return_index=True)
    return {
        "rows": len(rows),
        "training_rows": rows.training_count,
        "cells": len(first),
        "circuits": _distinct(rows, "circuit_id"),
        "backends": _distinct(rows, "backend_id"),
        "engines": sorted(set(rows.texts["engine"])),
        "noises": sorted(set(rows.texts["noise"])),
        "low_signal_cells": int(rows.low_signal[first].sum()),
        "failed_rows": sum(reasons.values()),
        "failures": dict(sorted(reasons.items())),
    }


def _distinct(rows: Rows, name: str) -> int:
    return len(set(rows.texts[name]) - {""})


def _head(block: Block) -> dict[str, Any]:
    """Which block this is, and what of it could be compared."""
    return {
        "noise": block.noise,
        "unseen": block.unseen,
        "family": block.family,
        "shots": block.shots,
        "cells": block.cell_count,
        "complete_cells": block.complete,
        "circuits": block.circuit_count,
        "low_signal_cells": int(block.low_signal.sum()),
        "signal": float(block.signal.mean()) if block.complete else None,
        "failed": block.failed,
        "gave_nothing": list(block.no_arms),
    }


def _block(block: Block, found: Figures) -> dict[str, Any]:
    return {**_head(block), "methods": [_method(block, found, i) for i in range(len(block.arms))]}


def _method(block: Block, found: Figures, index: int) -> dict[str, Any]:
    arm, errors = block.arms[index], block.errors

    def interval(values: Array) -> Estimate:
        return estimate(values[:, index], block.circuit_count)

    with_signal = ~np.isnan(block.fidelity[:, index])
    return {
        "method": arm.name,
        "parameters": dict(arm.options),
        "label": arm.label,
        "role": role(arm),
        "total_shots": float(errors.total_shots[:, index].mean()),
        "error": interval(found.error),
        "mae": interval(found.mae),
        "std_err": float(errors.std_err[:, index].mean()),
        "raw_error": float(errors.raw_error[:, index].mean()),
        "equal_shot_error": interval(found.twin_error),
        "equal_shot_factor": interval(found.equal_shot_factor),
        "improvement_factor": interval(found.improvement_factor),
        "harm_rate": interval(found.harm_rate),
        "excess_loss": interval(found.excess_loss),
        "fallback_rate": float(block.fallback[:, index].mean()),
        "mitigated_fidelity": (
            float(block.fidelity[with_signal, index].mean()) if with_signal.any() else None
        ),
        "fidelity_cells": int(with_signal.sum()),
        "precision_fidelity": float(block.precision[:, index].mean()),
    }


def _by_family(measured: Sequence[Measured]) -> list[list[Measured]]:
    """Blocks that differ in shots only, fewest shots first."""

    def place(one: Measured) -> tuple[str, str, str]:
        return one[0].noise, one[0].unseen, one[0].family

    return [list(group) for _, group in groupby(measured, place)]


def _front(group: Sequence[Measured]) -> dict[str, Any]:
    """Error against total shots of all methods at all numbers of shots; controls are left out."""
    points: list[dict[str, Any]] = []
    totals, errors, twins = [], [], {}
    for block, found in group:
        for index, arm in enumerate(block.arms):
            if arm.control:
                continue
            totals.append(float(block.errors.total_shots[:, index].mean()))
            errors.append(float(found.error[0, index]))
            twins[totals[-1]] = float(found.twin_error[0, index])
            points.append(
                {
                    "label": arm.label,
                    "method": arm.name,
                    "shots": block.shots,
                    "total_shots": totals[-1],
                    "error": estimate(found.error[:, index], block.circuit_count),
                }
            )
    best = front(np.array(totals), np.array(errors))
    last = group[-1][0]
    return {
        "noise": last.noise,
        "unseen": last.unseen,
        "family": last.family,
        "circuits": last.circuit_count,
        "signal": float(last.signal.mean()),
        "points": [{**p, "on_front": bool(b)} for p, b in zip(points, best, strict=True)],
        "raw": [{"total_shots": shots, "error": twins[shots]} for shots in sorted(twins)],
    }


def _pays_off(group: Sequence[Measured]) -> list[dict[str, Any]]:
    """From how many total shots each method beats its twin, by the model and as measured.

    The model is taken at the most shots, where it tells bias best. Learned methods have none: their
    standard errors count their own bias. `measured` is the smallest total at which, and at all
    larger ones, the whole interval of the equal-shot factor is above 1.
    """
    block, found = group[-1]
    lines = []
    for index, arm in enumerate(block.arms):
        if arm.control or arm.name == "none":
            continue
        first, last = found.pays_off_from[:, index], found.pays_off_to[:, index]
        learned = arm.name == LEARNED
        lines.append(
            {
                "noise": block.noise,
                "unseen": block.unseen,
                "family": block.family,
                "label": arm.label,
                "state": "unknown" if learned else _state(float(first[0]), float(last[0])),
                "from_shots": None if learned else estimate(first, block.circuit_count),
                "to_shots": None if learned else estimate(last, block.circuit_count),
                "measured": _measured_from(group, arm.label),
                "levels": len(group),
            }
        )
    return lines


def _state(first: float, last: float) -> str:
    if first >= last:
        return "never"
    if math.isinf(last):
        return "from" if first > 0 else "always"
    return "up to"


def _measured_from(group: Sequence[Measured], label: str) -> float | None:
    reached = None
    for block, found in reversed(group):
        labels = [arm.label for arm in block.arms]
        if label not in labels:
            break
        index = labels.index(label)
        factor = estimate(found.equal_shot_factor[:, index], block.circuit_count)
        if factor.low is None or factor.low <= 1:
            break
        reached = float(block.errors.total_shots[:, index].mean())
    return reached


def _plain(value: Any) -> Any:
    """As JSON data: figures to `DIGITS` digits, what is not finite as null."""
    if isinstance(value, Estimate):
        return {name: _plain(part) for name, part in asdict(value).items()}
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return value
