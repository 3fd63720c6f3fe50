"""Tables of learned methods, each with its controls and its strongest rivals.

A learned method may win without having learned to mitigate. What it gains without any noisy value
("descriptors"), with those of other observables ("shuffled"), from a straight line through
the noisy value ("recalibration") and from the physics it starts from ("light cone", "rescaled") is
beside it. Its rivals are the best of their kind in
hindsight: chosen by their errors on these very cells, in every resample anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from quantumai.harness.measured import Arm, Block
from quantumai.harness.results import CONTROLS, LEARNED, LIAO_FOREST
from quantumai.harness.statistics import Array, Estimate, Figures, estimate, ratio

ZNE, REM_ZNE, REM, NONE = "zne", "rem+zne", "rem", "none"
_ROLES = {"zne": ZNE, "richardson": ZNE, "rem+zne": REM_ZNE, "rem": REM, "none": NONE}
RIVALS = (LIAO_FOREST, ZNE, REM_ZNE, REM, NONE)


def role(arm: Arm) -> str:
    """What an arm is in a comparison: a kind of method, "learned", or one of `CONTROLS`."""
    if arm.name == LEARNED:
        return arm.control or "learned"
    return _ROLES.get(arm.name, arm.name)


def learned_table(block: Block, found: Figures) -> dict[str, Any] | None:
    """The comparison of a block's learned methods; None where it has none.

    `against` compares the best learned method with the best of each role. A ratio is the rival's
    mean error over the learned one's, above 1 if learning is better; `shots_ratio` is the learned
    one's shots over the rival's. `missing` names the controls that the run lacks.
    """
    learned = _members(block, "learned")
    if not len(learned):
        return None
    best = int(learned[np.argmin(found.error[0, learned])])
    against = [
        _against(block, found, learned, best, name)
        for name in (*CONTROLS, *RIVALS)
        if len(_members(block, name))
    ]
    return {
        "noise": block.noise,
        "unseen": block.unseen,
        "family": block.family,
        "shots": block.shots,
        "cells": block.complete,
        "circuits": block.circuit_count,
        "signal": float(block.signal.mean()),
        "best": block.arms[best].label,
        "fallback_rate": float(block.fallback[:, best].mean()),
        "against": against,
        "missing": [name for name in CONTROLS if not len(_members(block, name))],
    }


def side_by_side(tables: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each learned table's comparisons, the kinds of unseen circuits next to each other."""
    order = {kind: place for place, kind in enumerate(("", "circuit", "backend", "family"))}
    rows = [
        {
            "noise": table["noise"],
            "family": table["family"],
            "shots": table["shots"],
            "unseen": table["unseen"],
            "circuits": table["circuits"],
            "best": table["best"],
            "fallback_rate": table["fallback_rate"],
            "ratios": {one["role"]: one["ratio"] for one in table["against"]},
        }
        for table in tables
    ]
    return sorted(
        rows,
        key=lambda r: (r["noise"], r["family"], r["shots"], order.get(r["unseen"], len(order))),
    )


def _against(
    block: Block, found: Figures, learned: Sequence[int], best: int, name: str
) -> dict[str, Any]:
    rivals = _members(block, name)
    rival = int(rivals[np.argmin(found.error[0, rivals])])
    ours, theirs = _least(found.error, learned), _least(found.error, rivals)
    shots = block.errors.total_shots
    return {
        "role": name,
        "label": block.arms[rival].label,
        "hindsight_of": len(rivals),
        "error": _estimate(found.error[:, rival], block),
        "learned_error": _estimate(found.error[:, best], block),
        "ratio": _estimate(ratio(theirs, ours), block),
        "shots_ratio": float(shots[:, best].mean() / shots[:, rival].mean()),
    }


def _least(errors: Array, arms: Sequence[int]) -> Array:
    return np.asarray(errors[:, arms].min(axis=1))


def _members(block: Block, name: str) -> Any:
    return np.flatnonzero([role(arm) == name for arm in block.arms])


def _estimate(values: Array, block: Block) -> Estimate:
    return estimate(values, block.circuit_count)
