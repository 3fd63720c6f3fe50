from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantumai.cli.svg import Bar, Dot, Point, bar_chart, dot_chart, scatter_chart

values = st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: round(x, 6))


def numbers(svg: str, attribute: str) -> list[float]:
    return [float(text) for text in re.findall(rf' {attribute}="([^"]*)"', svg)]


def test_labels_are_escaped() -> None:
    hostile = '<script>alert("x")</script>'
    for svg in (
        bar_chart([Bar(hostile, 1.0, hostile, "win")]),
        dot_chart([(hostile, [Dot(0.5, 0.1, "raw")])]),
        scatter_chart([Point(1.0, 2.0, hostile, "win", True)], hostile, "y"),
    ):
        ElementTree.fromstring(svg)
        assert "<script" not in svg


def test_bars_are_as_long_as_their_values() -> None:
    svg = bar_chart([Bar("a", 4.0, "", "win"), Bar("b", 1.0, "", "other")])
    long, short = numbers(svg, "width")
    assert long == pytest.approx(4 * short)


@given(st.lists(st.tuples(values, st.floats(0, 10)), min_size=1, max_size=6))
def test_dots_stay_inside_and_in_order(dots: list[tuple[float, float]]) -> None:
    svg = dot_chart([("Z", [Dot(value, err, "raw") for value, err in dots])])
    ElementTree.fromstring(svg)
    at = numbers(svg, "cx")
    assert all(0 <= x <= 900 for x in at + numbers(svg, "x1") + numbers(svg, "x2"))
    by_value = [x for _, x in sorted(zip([v for v, _ in dots], at, strict=True))]
    assert by_value == sorted(at)


@given(st.lists(st.tuples(st.floats(0, 1e4), st.floats(0, 2)), min_size=1, max_size=6))
def test_cheaper_is_further_left_and_better_is_lower(found: list[tuple[float, float]]) -> None:
    svg = scatter_chart([Point(x, y, "p", "other") for x, y in found], "x", "y")
    ElementTree.fromstring(svg)
    xs, ys = numbers(svg, "cx"), numbers(svg, "cy")
    assert [x for _, x in sorted(zip([p[0] for p in found], xs, strict=True))] == sorted(xs)
    assert [y for _, y in sorted(zip([-p[1] for p in found], ys, strict=True))] == sorted(ys)
    assert all(0 <= y <= 386 for y in ys)


def test_nothing_to_draw_is_drawn() -> None:
    for svg in (bar_chart([]), dot_chart([]), scatter_chart([], "x", "y")):
        ElementTree.fromstring(svg)
