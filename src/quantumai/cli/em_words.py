"""Words and figures of the harness' report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
"""An object of the summary."""

KINDS = {
    "": "in distribution",
    "circuit": "unseen circuit",
    "backend": "unseen backend",
    "family": "unseen family",
}
RIVALS = {
    "zne": "strongest ZNE",
    "rem+zne": "strongest REM+ZNE",
    "rem": "REM",
    "none": "raw",
    "descriptors": "control: descriptors",
    "shuffled": "control: shuffled",
    "recalibration": "control: recalibration",
    "rescaled": "control: rescaled",
    "light cone": "control: light cone",
    "liao-forest": "forest of Liao et al.",
}
DEFINITIONS = {
    "error": """Mean over cells (circuit x backend) of the RMSE over a cell's observables,
        unclipped.""",
    "signal S": """RMS of the ideal values, mean over cells. Answering zero to everything has this
        error: a method near S has found out nothing, whatever it gained over raw.""",
    "equal shots": """The raw value with all the shots that the method spent: over noise factors,
        bases and calibration. Equal-shot factor: its error over the method's; above 1 is better.
        """,
    "improvement factor": """Russo et al. 2022 (arXiv:2210.07194), eq. 5:
        sqrt(sum N e^2 of raw / sum N e^2 of the method), each with its own N shots.""",
    "harm rate": """Share of cells where the method is farther off than raw at equal shots. Shot
        noise alone gives method none about one half.""",
    "excess loss": """What is lost there, as a mean over all cells:
        max(0, error - error at equal shots).""",
    "strongest": """Chosen in hindsight: of its kind the one with the least error on these very
        cells, in every resample anew. So is the learned method.""",
    "controls": """A learned method without any noisy value (descriptors), with the noisy values of
        other observables (shuffled), a straight line through the noisy value (recalibration), the
        REM value over the signal that the calibration's light cone leaves (light cone), and the
        same with a decay of four numbers that are fitted to the training runs (rescaled).""",
    "brackets": """95 % intervals from 2000 bootstrap resamples of whole circuits, the same for all
        methods; [-] where there are fewer than 10 circuits.""",
}


def place(row: Row, *, learned: bool) -> str:
    """Which circuits, in words. What is unseen means something beside learned methods only."""
    kind = KINDS.get(row["unseen"], row["unseen"]) if learned or row["unseen"] else ""
    shots = f"{row['shots']} shots" if row.get("shots") else ""
    family = "all families" if row["family"] == "all" else row["family"]
    return ", ".join(part for part in (family, kind, shots) if part)


def size(row: Row) -> str:
    """How many circuits and cells stand behind a table, and their signal."""
    parts = [f"{row['circuits']} circuits"]
    if "complete_cells" in row:
        parts.append(f"{row['complete_cells']} of {row['cells']} cells complete")
        parts.append(f"{row['low_signal_cells']} of low signal")
    else:
        parts.append(f"{row['cells']} cells")
    text = f"{', '.join(parts)}. Signal S = {row['signal']:.3f}."
    if row.get("gave_nothing"):
        text += f" Without any value: {', '.join(row['gave_nothing'])}."
    return text


def figure(
    estimate: Row | None, form: str, *, bare: bool = False, unbounded: str = "infinite"
) -> str:
    """A figure with its interval; `bare` leaves that out."""
    if estimate is None:
        return "-"
    if estimate["value"] is None:
        return unbounded
    value = form.format(estimate["value"])
    if bare:
        return value
    if estimate["low"] is None:
        return f"{value} [-]"
    high = unbounded if estimate["high"] is None else form.format(estimate["high"])
    # No-break spaces within the brackets: a line breaks before them.
    return f"{value} [{form.format(estimate['low'])},\u00a0{high}]"


def by_place(rows: Sequence[Row]) -> list[list[Row]]:
    """Rows of one kind and family together, in the order of kinds; all families first."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["unseen"], row["family"]), []).append(row)
    order = list(KINDS)

    def key(where: tuple[str, str]) -> tuple[int, str, bool, str]:
        kind, family = where
        at = order.index(kind) if kind in order else len(order)
        return at, kind, family != "all", family

    return [groups[where] for where in sorted(groups, key=key)]


def of_noise(rows: Sequence[Row], noise: str) -> list[Row]:
    """The rows of one noise."""
    return [row for row in rows if row["noise"] == noise]
