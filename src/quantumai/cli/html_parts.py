"""Parts of every HTML page: one file without script or link, and tables."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from html import escape

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1c2733; background: #f6f8fa; margin: 0; }
main { max-width: 1000px; margin: 0 auto; padding: 24px; }
section { background: #fff; border: 1px solid #dde3ea; border-radius: 10px; padding: 8px 28px 22px;
  margin: 20px 0; }
h1 { font-size: 28px; margin: 12px 0 4px; } h2 { font-size: 19px; margin: 16px 0 10px; }
p { margin: 6px 0; } .quiet { color: #5b6b7c; font-size: 14px; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th, td { text-align: left; padding: 5px 10px 5px 0; border-bottom: 1px solid #e8edf2;
  vertical-align: top; }
th { color: #5b6b7c; font-weight: 600; } td.n, th.n { text-align: right; }
tr.chosen td { background: #e9f6ef; font-weight: 600; }
code, pre, .mono { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: 13px; }
pre { overflow-x: auto; line-height: 1.05; font-size: 12px; } .hash { overflow-wrap: anywhere; }
svg { width: 100%; height: auto; } svg text { font-size: 13px; fill: #33414f; }
svg .axis { fill: #5b6b7c; }
svg .named { font-weight: 600; paint-order: stroke; stroke: #fff; stroke-width: 5px; }
svg text.mono { font-size: 13px; }
.grid { stroke: #e8edf2; } .zero { stroke: #9aa8b5; }
.other { fill: #9db4cc; } .win { fill: #14804a; } .refused { fill: #d9c7c7; }
.raw { fill: #d9822b; stroke: none; } .mitigated { fill: #14804a; } .ideal { fill: #1c2733; }
.whisker { stroke-width: 2; } .whisker.raw { stroke: #d9822b; }
.whisker.mitigated { stroke: #14804a; }
.badge { display: inline-block; padding: 3px 12px; border-radius: 14px; color: #fff;
  font-weight: 600; background: #14804a; } .badge.bad { background: #b3261e; }
.key i { display: inline-block; width: 11px; height: 11px; border-radius: 6px;
  margin: 0 5px 0 14px; }
.flow { display: grid; grid-template-columns: 1fr; gap: 0; }
.step { border: 1px solid #dde3ea; border-left: 5px solid #9db4cc; border-radius: 6px;
  padding: 8px 14px; } .step.win { border-left-color: #14804a; }
.arrow { text-align: center; color: #9aa8b5; line-height: 1.3; }
"""


def html_document(title: str, sections: Sequence[str], more_style: str = "") -> str:
    """A whole page; `sections` are HTML, the title is text."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}{more_style}</style></head>"
        f"<body><main>{''.join(sections)}</main></body></html>\n"
    )


def html_table(
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    numbers: Collection[int] | None = None,
    chosen: int | None = None,
) -> str:
    """A table of texts; columns in `numbers` are flush right, the row `chosen` is marked."""
    css = [' class="n"' if i in (numbers or ()) else "" for i in range(len(headers))]
    head = "".join(f"<th{c}>{escape(h)}</th>" for c, h in zip(css, headers, strict=True))
    body = "".join(
        ('<tr class="chosen">' if number == chosen else "<tr>")
        + "".join(f"<td{c}>{escape(cell)}</td>" for c, cell in zip(css, row, strict=True))
        + "</tr>"
        for number, row in enumerate(rows)
    )
    return f"<table><tr>{head}</tr>{body}</table>"
