"""The figures of Liao et al. beside those of a run of their set-up, in their metric.

Their metric is the mean over circuits of the L2 distance of the four values of Z: twice our error,
which is the root mean square over them. The draw differs, hence figures are near each other at
best; what can be claimed is claimed against their forest, trained on the same circuits as ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from quantumai.harness.measured import Block
from quantumai.harness.results import LIAO_FOREST
from quantumai.harness.statistics import Array, Estimate, Figures, estimate, ratio

L2_PER_RMSE = 2.0
"""The square root of the number of values."""
THEIR_ZNE = "zne linear 1,3"

OURS = "rf"
"""The model that is compared with their forest: a forest too, not the best in hindsight."""

# Nature Machine Intelligence 6, 1478 (2024), figures 3 and 4; by family, noise and what is unseen.
# Steps 0 to 14 are in distribution, steps 15 to 29 an unseen circuit.
PUBLISHED: Mapping[tuple[str, str, str], Mapping[str, float]] = {
    ("random", "random", ""): {
        "raw": 0.166,
        "zne": 0.118,
        "rf": 0.0766,
    },
    ("trotter", "no-readout", ""): {"raw": 0.151, "zne": 0.105, "rf": 0.037},
    ("trotter", "readout", ""): {"raw": 0.199, "zne": 0.157, "rf": 0.039},
    ("trotter", "coherent", ""): {"raw": 0.263, "zne": 0.231, "rf": 0.060},
    ("trotter", "no-readout", "circuit"): {"raw": 0.301, "zne": 0.275, "rf": 0.222},
    ("trotter", "readout", "circuit"): {"raw": 0.330, "zne": 0.308, "rf": 0.230},
    ("trotter", "coherent", "circuit"): {"raw": 0.390, "zne": 0.392, "rf": 0.396},
}


def liao_rows(measured: Sequence[tuple[Block, Figures]]) -> list[dict[str, Any]]:
    """A row for each block in which their forest was trained, in the order of `PUBLISHED`."""
    found = [
        _row(block, figures, PUBLISHED.get((block.family, block.noise, block.unseen), {}))
        for block, figures in measured
        if any(arm.control == LIAO_FOREST for arm in block.arms)
    ]
    order = list(PUBLISHED)

    def place(row: dict[str, Any]) -> int:
        key = (row["family"], row["noise"], row["unseen"])
        return order.index(key) if key in order else len(order)

    return sorted(found, key=place)


def _row(block: Block, found: Figures, published: Mapping[str, float]) -> dict[str, Any]:
    labels = [arm.label for arm in block.arms]
    learned = [i for i, arm in enumerate(block.arms) if arm.variant and not arm.control]
    ours = next((i for i in learned if block.arms[i].variant == OURS), learned[0])

    def l2(values: Array) -> Estimate:
        return estimate(L2_PER_RMSE * values, block.circuit_count)

    def of(label: str) -> Estimate | None:
        return l2(found.error[:, labels.index(label)]) if label in labels else None

    def best_of(*names: str) -> Estimate | None:
        chosen = [i for i, arm in enumerate(block.arms) if arm.name in names]
        return l2(found.error[:, chosen].min(axis=1)) if chosen else None

    def over(label: str) -> Estimate | None:
        """The error of an arm over ours."""
        if label not in labels:
            return None
        arm = labels.index(label)
        return estimate(ratio(found.error[:, arm], found.error[:, ours]), block.circuit_count)

    return {
        "noise": block.noise,
        "unseen": block.unseen,
        "family": block.family,
        "circuits": block.circuit_count,
        "published": dict(published),
        "raw": of("none"),
        "their_zne": of(THEIR_ZNE),
        "rem": of("rem"),
        "best_zne": best_of("zne", "richardson"),
        "best_rem_zne": best_of("rem+zne"),
        "recalibration": of("recalibration"),
        "their_forest": of(LIAO_FOREST),
        "learned": {labels[i]: l2(found.error[:, i]) for i in learned},
        "ours": labels[ours],
        "fallback_rate": float(block.fallback[:, ours].mean()),
        "forest_over_ours": over(LIAO_FOREST),
        "raw_over_ours": over("none"),
        "descriptors_over_ours": over("descriptors"),
    }
