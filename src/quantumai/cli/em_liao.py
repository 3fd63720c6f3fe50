"""The report's part on the set-up of Liao et al.: their figures, our draw, both sides' models."""

from __future__ import annotations

from html import escape

from quantumai.cli.em_words import KINDS, Row, figure
from quantumai.cli.html_parts import html_table

_HEADERS = (
    "noise", "circuits", "of them", "raw", "paper", "REM", "ZNE 1,3", "paper", "best ZNE",
    "best REM+ZNE", "straight line", "their forest", "paper", "ML-QEM", "its error", "fell back",
    "forest / ML-QEM", "raw / ML-QEM", "descriptors / ML-QEM",
)  # fmt: skip


def liao_part(summary: Row) -> str:
    """A section with one table; nothing for a run without the forest of Liao et al."""
    rows = summary.get("liao_2024", ())
    if not rows:
        return ""
    table = html_table(
        _HEADERS, [_line(row) for row in rows], numbers=(2, *range(3, 13), *range(14, 19))
    )
    told = (
        "Mean over circuits of the L2 distance of the four values of Z. Figures headed paper are "
        "those of Liao et al., Nature Machine Intelligence 6, 1478 (2024), on their own draw. "
        "Their forest is trained here, on the same circuits as ML-QEM. The straight line goes "
        "through the REM value, the descriptors are a forest without noisy values. Ratios are "
        "paired by circuit; above 1 ML-QEM is better. Among the learned steps many test circuits "
        "are near duplicates of training circuits, as in the paper: see the audit."
    )
    return (
        f"<section><h2>Liao et al. 2024</h2><p>{escape(told)}</p>"
        f'<div class="figures">{table}</div></section>'
    )


def _line(row: Row) -> tuple[str, ...]:
    published = row["published"]

    def paper(name: str) -> str:
        return f"{published[name]:g}" if name in published else "-"

    def error(name: str) -> str:
        return figure(row[name], "{:.4f}", bare=True)

    return (
        row["noise"],
        KINDS[row["unseen"]],
        str(row["circuits"]),
        error("raw"),
        paper("raw"),
        error("rem"),
        error("their_zne"),
        paper("zne"),
        error("best_zne"),
        error("best_rem_zne"),
        error("recalibration"),
        error("their_forest"),
        paper("rf"),
        row["ours"],
        figure(row["learned"][row["ours"]], "{:.4f}", bare=True),
        f"{row['fallback_rate']:.0%}",
        figure(row["forest_over_ours"], "{:.2f}"),
        figure(row["raw_over_ours"], "{:.2f}"),
        figure(row["descriptors_over_ours"], "{:.2f}"),
    )
