"""`report.html` of a run of the harness: its summary with pictures, in one file without any link.

Every figure is the summary's. Each noise has a part of its own, and nothing is taken over several.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from quantumai.cli.em_learned import learned_part
from quantumai.cli.em_liao import liao_part
from quantumai.cli.em_pictures import front_chart, legend, looks_of
from quantumai.cli.em_tables import method_tables, pays_off_table
from quantumai.cli.em_words import DEFINITIONS, Row, by_place, of_noise, place
from quantumai.cli.html_parts import html_document, html_table

_STYLE = """
svg .strong { stroke: #1c2733; stroke-width: 2; } h3 { font-size: 16px; margin: 18px 0 6px; }
.fronts { display: grid; grid-template-columns: 1fr 1fr; gap: 8px 20px; }
.fronts figure, figure { margin: 0; } figcaption { font-size: 14px; font-weight: 600; }
.legend span { display: inline-block; margin: 0 16px 4px 0; font-size: 14px; white-space: nowrap; }
.legend svg { width: 40px; height: 18px; vertical-align: middle; }
.figures table { font-size: 12.5px; font-variant-numeric: tabular-nums; }
.lacking { border-left: 5px solid #d55e00; padding-left: 10px; font-weight: 600; }
dt { font-weight: 600; } dd { margin: 0 0 6px 0; }
@media print {
  @page { margin: 14mm; } body { background: #fff; font-size: 11pt; }
  main { max-width: none; padding: 0; } section { border: 0; padding: 0; margin: 10px 0; }
  h2, h3 { break-after: avoid; } figure, tr, svg { break-inside: avoid; }
  .noise { break-before: page; } * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  .figures table { font-size: 8pt; line-height: 1.25; } .figures td { padding: 2px 6px 2px 0; }
}
"""


def em_page(summary: Row, title: str) -> str:
    """The whole page from a summary of `harness.report_tables.summarise`."""
    noises = summary["counts"]["noises"]
    sections = [_head(summary, title), liao_part(summary)]
    sections += [_noise(summary, noise) for noise in noises]
    return html_document(title, [*sections, _left_out(summary), _audit(summary)], _STYLE)


def _head(summary: Row, title: str) -> str:
    counts = summary["counts"]
    words = "".join(f"<dt>{name}</dt><dd>{escape(what)}</dd>" for name, what in DEFINITIONS.items())
    what = (
        f"{counts['circuits']} circuits on {counts['backends']} backends: {counts['cells']} cells, "
        f"{counts['rows']} rows; engine {', '.join(counts['engines'])}; noises, each apart: "
        f"{', '.join(counts['noises'])}. {counts['training_rows']} training rows stand aside."
    )
    lost = (
        f"{counts['failed_rows']} rows failed; {counts['low_signal_cells']} cells have a signal S "
        "below 0.1, and so no fidelity. Both are counted below. Methods are compared on those "
        "cells where all of them gave values."
    )
    return (
        f"<h1>{escape(title)}</h1><section><h2>What this compares</h2><p>{escape(what)}</p>"
        f"<p>{escape(lost)}</p><dl>{words}</dl></section>"
    )


def _noise(summary: Row, noise: str) -> str:
    parts = [
        *learned_part(summary, noise),
        *_fronts(summary, noise),
        pays_off_table(summary, noise),
        *method_tables(summary, noise),
    ]
    return f'<section class="noise"><h2>Noise: {escape(noise)}</h2>{"".join(parts)}</section>'


def _fronts(summary: Row, noise: str) -> Iterator[str]:
    fronts = [one for group in by_place(of_noise(summary["fronts"], noise)) for one in group]
    if not fronts:
        return
    points = [(p["method"], p["label"]) for front in fronts for p in front["points"]]
    looks = looks_of(points)
    yield "<h3>Error against total shots</h3>"
    yield legend(looks)
    yield (
        '<p class="quiet">Filled marks are on the cost-accuracy front: nothing has as small an '
        "error for as few shots. Grey line: raw at as many shots. Whiskers: 95 % intervals.</p>"
    )
    learned = bool(summary["learned"])
    charts = (
        f"<figure><figcaption>{escape(place(front, learned=learned))}</figcaption>"
        f"{front_chart(front, looks)}</figure>"
        for front in fronts
    )
    yield f'<div class="fronts">{"".join(charts)}</div>'


def _left_out(summary: Row) -> str:
    rows = [
        (block["noise"], place(block, learned=bool(summary["learned"])), label, reason, str(count))
        for block in (*summary["blocks"], *summary["empty_blocks"])
        if block["family"] != "all"
        for label, reasons in block["failed"].items()
        for reason, count in reasons.items()
    ]
    told = html_table(("noise", "circuits", "method", "reason", "cells"), rows, numbers={4})
    return f"<section><h2>Rows without values</h2>{told if rows else '<p>None.</p>'}</section>"


def _audit(summary: Row) -> str:
    rows = [(one["outcome"], one["name"], one["detail"]) for one in summary["leakage"]]
    return (
        "<section><h2>Leakage audit</h2><p>A run that leaks has no report.</p>"
        f"{html_table(('outcome', 'check', 'detail'), rows)}</section>"
    )
