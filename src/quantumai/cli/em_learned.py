"""The report's part on learned methods: every table with its controls and strongest rivals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape

from quantumai.cli.em_pictures import Look, Mark, kind_looks, legend, ratio_chart
from quantumai.cli.em_words import KINDS, RIVALS, Row, by_place, figure, of_noise, place, size
from quantumai.cli.html_parts import html_table


def learned_part(summary: Row, noise: str) -> Iterator[str]:
    """The HTML of all learned methods under one noise; nothing where there is none."""
    tables = of_noise(summary["learned"], noise)
    if not tables:
        return
    yield "<h3>ML-QEM side by side: in distribution, unseen circuit, backend and family</h3>"
    for shots in sorted({table["shots"] for table in tables}):
        yield _side_by_side(
            [t for t in of_noise(summary["side_by_side"], noise) if t["shots"] == shots]
        )
    for group in by_place(tables):
        where = place({**group[0], "shots": None}, learned=True)
        yield f"<h3>ML-QEM beside its rivals and controls: {escape(where)}</h3>{_against(group)}"


def _side_by_side(rows: Sequence[Row]) -> str:
    """A chart with one mark for each kind of unseen circuits, and a table of all families."""
    kinds = {str(row["unseen"]): KINDS.get(row["unseen"], str(row["unseen"])) for row in rows}
    looks = dict(zip(kinds, kind_looks(len(kinds)), strict=True))
    # A kind has a row of all families, or a single family.
    whole = {row["unseen"] for row in rows if row["family"] == "all"}
    together = [r for r in rows if r["family"] == "all" or r["unseen"] not in whole]
    chart = ratio_chart(
        [
            (RIVALS[role], marks)
            for role in RIVALS
            if (marks := [_mark(row, role, looks) for row in together if role in row["ratios"]])
        ],
        "rival's error / ML-QEM's error (above 1: ML-QEM is better)",
    )
    roles = [role for role in RIVALS if any(role in row["ratios"] for row in rows)]
    table = html_table(
        (
            "family",
            "circuits",
            "of them",
            "best model",
            "fell back",
            *(RIVALS[role] for role in roles),
        ),
        [
            (
                row["family"],
                kinds[row["unseen"]],
                str(row["circuits"]),
                row["best"],
                f"{row['fallback_rate']:.0%}",
                *(figure(row["ratios"].get(role), "{:.2f}") for role in roles),
            )
            for row in rows
        ],
        numbers=range(4, 5 + len(roles)),
    )
    meaning = legend({kinds[kind]: look for kind, look in looks.items()})
    return (
        f"<figure><figcaption>{rows[0]['shots']} shots</figcaption>{chart}</figure>{meaning}"
        f'<div class="figures">{table}</div>'
    )


def _mark(row: Row, role: str, looks: Mapping[str, Look]) -> Mark:
    ratio = row["ratios"][role]
    return Mark(ratio["value"], ratio["low"], ratio["high"], looks[row["unseen"]])


def _against(tables: Sequence[Row]) -> str:
    """One table of comparisons that differ in shots only."""
    rows = [
        (
            f"{table['shots']:,}",
            RIVALS[one["role"]],
            one["label"] + (f" (of {one['hindsight_of']})" if one["hindsight_of"] > 1 else ""),
            figure(one["error"], "{:.4f}"),
            table["best"],
            figure(one["learned_error"], "{:.4f}", bare=True),
            figure(one["ratio"], "{:.2f}"),
            f"{one['shots_ratio']:.2f}",
        )
        for table in tables
        for one in table["against"]
    ]
    headers = ("shots", "beside", "which", "its error", "best model", "error", "ratio", "shots x")
    sizes = "<br>".join(f"{table['shots']} shots: {escape(size(table))}" for table in tables)
    lacking = sorted({name for table in tables for name in table["missing"]})
    warning = f'<p class="lacking">No control: {escape(", ".join(lacking))}.</p>' if lacking else ""
    return (
        f"<p class=\"quiet\">{sizes}<br>Ratio: its error over the model's. Shots x: the model's "
        f"total shots over its.</p>{warning}"
        f'<div class="figures">{html_table(headers, rows, numbers=(0, 3, 5, 6, 7))}</div>'
    )
