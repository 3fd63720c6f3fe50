"""Small charts as inline SVG: bars, dots with whiskers, and a scatter. No script, no link."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 900
_LEFT = 250  # room for the labels
_RIGHT = WIDTH - 90


@dataclass(frozen=True)
class Bar:
    """One bar: its label, its length, the text at its end, a CSS class."""

    label: str
    value: float
    text: str
    kind: str


@dataclass(frozen=True)
class Dot:
    """One dot: where it stands, half the length of its whisker, a CSS class."""

    value: float
    std_err: float
    kind: str


@dataclass(frozen=True)
class Point:
    """One point of the scatter: x, y, its label (shown on hover, or beside it if `named`)."""

    x: float
    y: float
    label: str
    kind: str
    named: bool = False


def bar_chart(bars: Sequence[Bar]) -> str:
    """Horizontal bars from zero."""
    longest = max((bar.value for bar in bars), default=0.0) or 1.0
    parts = []
    for row, bar in enumerate(bars):
        y = 8 + 26 * row
        length = max(1.0, bar.value / longest * (_RIGHT - _LEFT))
        parts.append(text_at(_LEFT - 10, y + 14, bar.label, "end"))
        parts.append(
            f'<rect class="{bar.kind}" x="{_LEFT}" y="{y}" '
            f'width="{length:.1f}" height="18" rx="3"/>'
        )
        parts.append(text_at(_LEFT + length + 8, y + 14, bar.text))
    return svg(16 + 26 * len(bars), parts)


def dot_chart(rows: Sequence[tuple[str, Sequence[Dot]]]) -> str:
    """One row for each label, dots side by side with whiskers of one standard error."""
    ends = [dot.value + s * dot.std_err for _, dots in rows for dot in dots for s in (-1, 1)]
    ticks = _ticks(min(ends, default=-1.0), max(ends, default=1.0))
    at = _scale(ticks[0], ticks[-1], _LEFT, _RIGHT)
    lane = 16
    parts, y = [], 14
    bottom = 14 + sum(lane * len(dots) + 18 for _, dots in rows)
    for tick in ticks:
        parts.append(line(at(tick), 6, at(tick), bottom, "zero" if tick == 0 else "grid"))
        parts.append(text_at(at(tick), bottom + 18, f"{tick:+.4g}" if tick else "0", "middle"))
    for label, dots in rows:
        parts.append(text_at(_LEFT - 14, y + lane * len(dots) / 2 + 4, label, "end", "mono"))
        for number, dot in enumerate(dots):
            x, mid = at(dot.value), y + lane * number + lane / 2
            if dot.std_err:
                low, high = at(dot.value - dot.std_err), at(dot.value + dot.std_err)
                parts.append(line(low, mid, high, mid, f"whisker {dot.kind}"))
            parts.append(f'<circle class="{dot.kind}" cx="{x:.1f}" cy="{mid:.1f}" r="5"/>')
        y += lane * len(dots) + 18
    return svg(bottom + 30, parts)


def scatter_chart(points: Sequence[Point], x_name: str, y_name: str) -> str:
    """Points on two axes; hovering over one shows its label."""
    top, bottom, left = 14, 330, 80
    x_ticks = _ticks(0.0, max((p.x for p in points), default=1.0))
    y_ticks = _ticks(0.0, max((p.y for p in points), default=1.0))
    at_x = _scale(x_ticks[0], x_ticks[-1], left, WIDTH - 40)
    at_y = _scale(y_ticks[0], y_ticks[-1], bottom, top)
    parts = []
    for tick in x_ticks:
        parts.append(line(at_x(tick), top, at_x(tick), bottom, "grid"))
        parts.append(text_at(at_x(tick), bottom + 20, f"{tick:.4g}", "middle"))
    for tick in y_ticks:
        parts.append(line(left, at_y(tick), WIDTH - 40, at_y(tick), "grid"))
        parts.append(text_at(left - 10, at_y(tick) + 4, f"{tick:.4g}", "end"))
    parts.append(text_at((left + WIDTH) / 2, bottom + 44, x_name, "middle", "axis"))
    parts.append(text_at(18, (top + bottom) / 2, y_name, "middle", "axis", turned=True))
    # Named points last, so that nothing lies upon them.
    for point in sorted(points, key=lambda p: p.named):
        x, y = at_x(point.x), at_y(point.y)
        parts.append(
            f'<circle class="{point.kind}" cx="{x:.1f}" cy="{y:.1f}" r="{8 if point.named else 5}">'
            f"<title>{escape(point.label)}</title></circle>"
        )
        if point.named:
            side, shift = ("end", -12) if x > WIDTH * 0.6 else ("start", 12)
            parts.append(text_at(x + shift, y - 10, point.label, side, "named"))
    return svg(bottom + 56, parts)


def _ticks(low: float, high: float) -> list[float]:
    """About six round numbers that enclose [low, high]."""
    size = max(1.0, abs(low), abs(high))
    # Values that are all but equal get an axis of their own size, not one of rounding errors.
    span = high - low if high - low > 1e-6 * size else size
    step = 10 ** math.floor(math.log10(span / 5))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (step * factor) <= 6)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(step * i, 12) for i in range(first, max(last, first + 1) + 1)]


def _scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    return lambda value: start + (value - low) / (high - low) * (end - start)


def text_at(
    x: float, y: float, text: str, anchor: str = "start", kind: str = "", *, turned: bool = False
) -> str:
    """One label; `anchor` is start, middle or end, `kind` a CSS class."""
    turn = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turned else ""
    css = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{css}{turn}>{escape(text)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """One straight line of a CSS class."""
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def svg(height: float, parts: Sequence[str], width: float = WIDTH) -> str:
    """A picture from its parts."""
    head = f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img">'
    return head + "".join(parts) + "</svg>"
