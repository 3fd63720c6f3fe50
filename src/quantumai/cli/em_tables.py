"""The report's tables of all methods, each with all its numbers of shots."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from quantumai.cli.em_words import Row, by_place, figure, of_noise, place, size
from quantumai.cli.html_parts import html_table


def method_tables(summary: Row, noise: str) -> Iterator[str]:
    """The HTML of every figure of every method under one noise."""
    learned = bool(summary["learned"])
    for blocks in by_place(of_noise(summary["blocks"], noise)):
        where = place({**blocks[0], "shots": None}, learned=learned)
        yield f"<h3>All figures: {escape(where)}</h3>{_methods(blocks)}"


def pays_off_table(summary: Row, noise: str) -> str:
    """The HTML on how many shots methods need before they are worth them."""
    lines = [one for group in by_place(of_noise(summary["pays_off"], noise)) for one in group]
    if not lines:
        return ""
    learned = bool(summary["learned"])
    rows = [
        (place(one, learned=learned), one["label"], _threshold(one), _measured(one))
        for one in lines
    ]
    return (
        "<h3>The fewest total shots at which a method pays off</h3>"
        '<p class="quiet">From bias and variance: where its mean square error falls below that of '
        "raw at as many shots; unknown for learned methods, whose standard errors count their own "
        "bias. Measured: the smallest total of this run from which on the whole interval of the "
        "equal-shot factor is above 1.</p>"
        '<div class="figures">'
        f"{html_table(('circuits', 'method', 'from bias and variance', 'measured'), rows)}</div>"
    )


def _methods(blocks: Sequence[Row]) -> str:
    """One table of blocks that differ in shots only, each method's rows together."""
    rows = [
        (
            method["label"],
            f"{method['total_shots']:,.0f}",
            figure(method["error"], "{:.4f}"),
            figure(method["equal_shot_error"], "{:.4f}", bare=True),
            figure(method["equal_shot_factor"], "{:.2f}"),
            figure(method["improvement_factor"], "{:.2f}"),
            figure(method["harm_rate"], "{:.0%}"),
            figure(method["excess_loss"], "{:.4f}", bare=True),
            f"{method['fallback_rate']:.1%}",
            "-" if method["mitigated_fidelity"] is None else f"{method['mitigated_fidelity']:.3f}",
        )
        for block in blocks
        for method in block["methods"]
    ]
    headers = (
        "method", "total shots", "error", "raw at equal shots", "equal-shot factor",
        "improvement factor", "harm rate", "excess loss", "fell back", "fidelity",
    )  # fmt: skip
    rows.sort(key=lambda row: row[0])
    sizes = "<br>".join(f"{block['shots']} shots: {escape(size(block))}" for block in blocks)
    return (
        f'<p class="quiet">{sizes}</p>'
        f'<div class="figures">{html_table(headers, rows, numbers=range(1, 10))}</div>'
    )


def _threshold(one: Row) -> str:
    if one["state"] in ("never", "always", "unknown"):
        return str(one["state"])
    end = one["from_shots"] if one["state"] == "from" else one["to_shots"]
    return f"{one['state']} {figure(end, '{:,.0f}', unbounded='no end')}"


def _measured(one: Row) -> str:
    levels = f"{one['levels']} number{'s' if one['levels'] > 1 else ''} of shots"
    if one["measured"] is None:
        return f"not at any of {levels}"
    return f"from {one['measured']:,.0f}, of {levels}"
