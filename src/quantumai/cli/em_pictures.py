"""Pictures of the harness' report: error against shots, and ratios with their intervals.

Nothing is told by colour alone. Colours are those of Okabe and Ito ("Color Universal Design",
2008), which colour-blind people tell apart; dashes and markers say the same in black and white.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from quantumai.cli.svg import line, svg, text_at

_WIDTH = 470
_LEFT, _RIGHT, _TOP, _BOTTOM = 66, 24, 20, 280
_WIDE, _LABELS = 900, 210
_MARKERS = ("circle", "square", "triangle", "diamond", "point-down", "hexagon")
_CORNERS = {
    "square": (45, 4),
    "triangle": (90, 3),
    "diamond": (0, 4),
    "point-down": (-90, 3),
    "hexagon": (0, 6),
}
"""Where the first corner lies, in degrees, and how many there are."""
_KNOWN = {
    "none": ("#000000", ""),
    "rem": ("#56b4e9", "7 3"),
    "zne": ("#e69f00", "2 3"),
    "richardson": ("#d55e00", "8 3 2 3"),
    "rem+zne": ("#009e73", "4 4"),
    "ml-qem": ("#0072b2", "14 3"),
}
_OTHER = ("#cc79a7", "1 2")


@dataclass(frozen=True)
class Look:
    """How one series is drawn: its colour, the dashes of its line, the shape of its marks."""

    colour: str
    dashes: str
    marker: str


@dataclass(frozen=True)
class Mark:
    """A value with its interval, if it has one, and how it looks."""

    value: float
    low: float | None
    high: float | None
    look: Look


def looks_of(methods: Sequence[tuple[str, str]]) -> dict[str, Look]:
    """A look for each (method, label): colour and dashes by method, the marker by its variant."""
    looks: dict[str, Look] = {}
    for method in sorted({method for method, _ in methods}):
        labels = sorted({label for name, label in methods if name == method})
        for number, label in enumerate(labels):
            colour, dashes = _KNOWN.get(method, _OTHER)
            again, place = divmod(number, len(_MARKERS))  # more variants than markers
            more = f"{dashes or '20 2'} 1 {3 * again}" if again else dashes
            looks[label] = Look(colour, more, _MARKERS[place])
    return looks


def kind_looks(count: int) -> list[Look]:
    """Looks for a few kinds that are no methods."""
    colours = ("#0072b2", "#009e73", "#e69f00", "#d55e00")
    return [Look(colours[i % 4], "", _MARKERS[i % len(_MARKERS)]) for i in range(count)]


def front_chart(front: Mapping[str, Any], looks: Mapping[str, Look]) -> str:
    """Error against total shots on two logarithmic axes, of one entry of the summary's `fronts`.

    Filled marks are on the front. The grey line is the raw value at as many shots, the dotted one
    the error of answering zero, which is the signal S.
    """
    points, signal = front["points"], front["signal"]
    shots = [p["total_shots"] for p in points]
    errors = [p["error"][end] for p in points for end in ("value", "low", "high")]
    errors += [*(r["error"] for r in front["raw"]), signal]
    at_x, x_ticks = _log_axis(shots, _LEFT, _WIDTH - _RIGHT)
    at_y, y_ticks = _log_axis([e for e in errors if e], _BOTTOM, _TOP)
    parts = _grid(at_x, x_ticks, at_y, y_ticks)
    parts.append(_zero_line(at_y(signal), signal))
    raw = [(at_x(r["total_shots"]), at_y(r["error"])) for r in front["raw"]]
    parts.append(_path(raw, "#8a97a3", "", 3))
    for label in sorted({p["label"] for p in points}):
        mine = sorted((p for p in points if p["label"] == label), key=lambda p: p["total_shots"])
        parts += _series(mine, looks[label], at_x, at_y)
    parts.append(text_at((_LEFT + _WIDTH) / 2, _BOTTOM + 40, "total shots", "middle", "axis"))
    y_name = text_at(14, (_TOP + _BOTTOM) / 2, "error (RMSE)", "middle", "axis", turned=True)
    return svg(_BOTTOM + 50, [*parts, y_name], _WIDTH)


def ratio_chart(rows: Sequence[tuple[str, Sequence[Mark]]], x_name: str) -> str:
    """Rows of ratios with intervals on a logarithmic axis; the strong line is 1, neither better."""
    every = [mark for _, marks in rows for mark in marks]
    ends = [end for m in every for end in (m.value, m.low, m.high) if end]
    at, ticks = _log_axis([*ends, 1.0], _LABELS, _WIDE - 30)
    lane, y = 18, 12.0
    bottom = y + sum(lane * len(marks) + 14 for _, marks in rows)
    parts = []
    for tick in ticks:
        parts.append(line(at(tick), 6, at(tick), bottom, "grid"))
        parts.append(text_at(at(tick), bottom + 18, f"{tick:.3g}", "middle"))
    parts.append(line(at(1.0), 6, at(1.0), bottom, "strong"))
    for label, marks in rows:
        parts.append(text_at(_LABELS - 16, y + lane * len(marks) / 2 + 4, label, "end"))
        for number, mark in enumerate(marks):
            middle = y + lane * (number + 0.5)
            if mark.low and mark.high:
                ends_at = [(at(mark.low), middle), (at(mark.high), middle)]
                parts.append(_path(ends_at, mark.look.colour, "", 2))
            parts.append(_marker(at(mark.value), middle, mark.look, filled=True))
        y += lane * len(marks) + 14
    parts.append(text_at((_LABELS + _WIDE) / 2, bottom + 40, x_name, "middle", "axis"))
    return svg(bottom + 50, parts, _WIDE)


def legend(looks: Mapping[str, Look]) -> str:
    """What each look stands for, as HTML."""
    entries = []
    for label, look in looks.items():
        parts = [_path([(2, 9), (38, 9)], look.colour, look.dashes, 2)]
        parts.append(_marker(20, 9, look, filled=True))
        entries.append(f"<span>{svg(18, parts, 40)} {escape(label)}</span>")
    return f'<p class="legend">{"".join(entries)}</p>'


def _series(
    points: Sequence[Mapping[str, Any]],
    look: Look,
    at_x: Callable[[float], float],
    at_y: Callable[[float], float],
) -> list[str]:
    places = [(at_x(p["total_shots"]), at_y(p["error"]["value"])) for p in points]
    parts = [_path(places, look.colour, look.dashes, 2)] if len(places) > 1 else []
    for point, (x, y) in zip(points, places, strict=True):
        low, high = point["error"]["low"], point["error"]["high"]
        if low and high:
            parts.append(_path([(x, at_y(low)), (x, at_y(high))], look.colour, "", 1.5))
        shown = (
            f"{point['label']}: {point['error']['value']:.4g} at {point['total_shots']:.6g} shots"
        )
        parts.append(_marker(x, y, look, filled=point["on_front"], title=shown))
    return parts


def _grid(
    at_x: Callable[[float], float],
    x_ticks: Sequence[float],
    at_y: Callable[[float], float],
    y_ticks: Sequence[float],
) -> list[str]:
    parts = []
    for tick in x_ticks:
        parts.append(line(at_x(tick), _TOP, at_x(tick), _BOTTOM, "grid"))
        parts.append(text_at(at_x(tick), _BOTTOM + 18, f"{tick:,.0f}", "middle"))
    for tick in y_ticks:
        parts.append(line(_LEFT, at_y(tick), _WIDTH - _RIGHT, at_y(tick), "grid"))
        parts.append(text_at(_LEFT - 6, at_y(tick) + 4, f"{tick:.3g}", "end"))
    return parts


def _zero_line(y: float, signal: float) -> str:
    across = _path([(_LEFT, y), (_WIDTH - _RIGHT, y)], "#5b6b7c", "1 4", 1.5)
    words = text_at(_WIDTH - _RIGHT, y - 5, f"answering zero: S = {signal:.3g}", "end", "named")
    return across + words


def _log_axis(
    values: Sequence[float], start: float, end: float
) -> tuple[Callable[[float], float], list[float]]:
    """Where values stand from `start` to `end`, and round ticks among them.

    `values` are above 0; what is 0 stands where the axis begins.
    """
    low = math.log10(min(values, default=1.0)) - 0.06
    high = math.log10(max(values, default=1.0)) + 0.06
    if high - low < 0.5:  # all but equal values are not blown up
        low, high = (low + high) / 2 - 0.25, (low + high) / 2 + 0.25

    def at(value: float) -> float:
        place = math.log10(value) if value > 0 else low
        return start + (place - low) / (high - low) * (end - start)

    steps = (1, 2, 5) if high - low < 1.8 else (1,)
    decades = range(math.floor(low), math.ceil(high) + 1)
    ticks = [step * 10.0**decade for decade in decades for step in steps]
    return at, [tick for tick in ticks if low <= math.log10(tick) <= high]


def _path(places: Sequence[tuple[float, float]], colour: str, dashes: str, width: float) -> str:
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    look = f'fill="none" stroke="{colour}" stroke-width="{width}"{dashed}'
    return f'<polyline points="{points}" {look}/>'


def _marker(x: float, y: float, look: Look, *, filled: bool, title: str = "") -> str:
    paint = f'fill="{look.colour if filled else "#ffffff"}" stroke="{look.colour}" stroke-width="2"'
    told = f"<title>{escape(title)}</title>" if title else ""
    if look.marker == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" {paint}>{told}</circle>'
    first, count = _CORNERS[look.marker]
    angles = [math.radians(first + 360 * i / count) for i in range(count)]
    corners = " ".join(f"{x + 6.5 * math.cos(a):.1f},{y - 6.5 * math.sin(a):.1f}" for a in angles)
    return f'<polygon points="{corners}" {paint}>{told}</polygon>'
