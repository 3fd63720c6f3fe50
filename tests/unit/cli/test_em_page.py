"""The harness' page against its summary: nothing invented, nothing told by colour alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from typing import Any
from xml.etree import ElementTree

import pytest

from quantumai.cli.em_page import em_page
from quantumai.cli.em_pictures import Look, Mark, front_chart, looks_of, ratio_chart
from quantumai.harness.report_tables import summarise
from tests.unit.harness.synthetic_results import Truth, World, joined, results

pytestmark = pytest.mark.slow

NOISES = {"friendly": 1.0, "unfriendly": 3.0}
METHODS = (
    Truth("none", 0.2),
    Truth("zne", 0.1, 4.0, 3, {"extrapolation": "linear"}),
    Truth("zne", 0.05, 40.0, 3, {"extrapolation": "exponential"}),
    Truth("ml-qem", 0.03, 1.0, 1, {"variant": "rf", "control": None}),
    Truth("ml-qem", 0.15, 1.0, 1, {"variant": "rf", "control": "shuffled"}),
)
WORLD = World(circuits=12, noises=NOISES, shots=(100, 10_000), unseen="circuit", prefix="c-")
OTHER = replace(WORLD, unseen="family", families=("trotter",), prefix="f-", seed=1)


@pytest.fixture(scope="module")
def summary() -> dict[str, Any]:
    failing = (*METHODS[:2], replace(METHODS[2], failing=0.2), *METHODS[3:])
    return summarise(joined(results(failing, WORLD), results(METHODS, OTHER)))


def sections(page: str) -> dict[str, str]:
    parts = re.split(r'<section class="noise"><h2>Noise: (\w+)</h2>', page)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def pictures(page: str) -> Iterator[ElementTree.Element]:
    for text in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        yield ElementTree.fromstring(text)


def test_one_file_for_screen_and_print_without_links_or_scripts(summary: dict[str, Any]) -> None:
    page = em_page(summary, "bench")
    assert "@media print" in page
    assert not re.search(r"<script|<link|<img|href=|src=|url\(|@import", page)
    assert len(list(pictures(page))) > 4  # each of them well-formed


def test_noises_are_apart_and_each_figure_stands_in_its_own(summary: dict[str, Any]) -> None:
    found = sections(em_page(summary, "bench"))
    assert set(found) == set(NOISES)
    for noise, text in found.items():
        for block in summary["blocks"]:
            for method in block["methods"]:
                factor = method["equal_shot_factor"]
                shown = f"{factor['value']:.2f} [{factor['low']:.2f},\u00a0{factor['high']:.2f}]"
                if block["noise"] == noise:
                    assert f"<td>{method['label']}</td>" in text
                    assert shown in text
    errors = {
        noise: {f"{m['error']['value']:.4f}" for b in summary["blocks"] if b["noise"] == noise
                for m in b["methods"]} for noise in NOISES
    }  # fmt: skip
    only_unfriendly = errors["unfriendly"] - errors["friendly"]
    assert len(only_unfriendly) > 10
    after = re.sub(r".*Error against total shots", "", found["friendly"], flags=re.DOTALL)
    told = set(re.findall(r"<td class=\"n\">(\d\.\d{4}) \[", after))
    assert told == errors["friendly"]


def test_controls_rivals_signal_failures_and_the_audit_are_told(summary: dict[str, Any]) -> None:
    page = unescape(em_page(summary, "bench"))
    assert "No control: descriptors, light cone, recalibration, rescaled." in page
    assert "control: shuffled" in page
    assert "unseen circuit" in page
    assert "unseen family" in page
    for block in summary["blocks"]:
        assert f"Signal S = {block['signal']:.3f}." in page
    lost = summary["counts"]["failed_rows"]
    assert lost
    assert f"{lost} rows failed" in page
    assert page.count("<td>the queue was full</td>") == 4  # two noises, two numbers of shots
    assert page.count("<td>circuits apart</td>") == 1
    # A method that was measured at both levels and pays off only at the larger one.
    assert "from 30,000, of 2 numbers of shots" in page


def test_names_are_escaped_once(summary: dict[str, Any]) -> None:
    hostile = "<script>&"
    renamed = {**summary, "blocks": [{**b, "family": hostile} for b in summary["blocks"]]}
    page = em_page(renamed, hostile)
    assert "<script" not in page
    assert "&lt;script&gt;&amp;" in page
    assert "&amp;lt;" not in page


def test_a_run_without_learning_has_no_such_part_and_no_kinds() -> None:
    page = em_page(summarise(results(METHODS[:3], replace(WORLD, unseen=""))), "plain")
    assert "ML-QEM" not in re.sub(r".*</style>", "", page, flags=re.DOTALL)
    assert "in distribution" not in page


def test_no_two_methods_look_alike_in_black_and_white() -> None:
    names = ("none", "rem", "zne", "richardson", "rem+zne", "ml-qem", "someone's")
    looks = looks_of([(name, f"{name} {i}") for name in names for i in range(9)])
    assert len({(look.dashes, look.marker) for look in looks.values()}) == 63
    okabe_ito = {"#000000", "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00",
                 "#cc79a7"}  # fmt: skip
    assert {look.colour for look in looks.values()} <= okabe_ito


def test_marks_stand_where_their_values_are_and_are_filled_on_the_front() -> None:
    def point(shots: float, error: float, on_front: bool) -> dict[str, Any]:
        told = {"value": error, "low": error * 0.9, "high": error * 1.1}
        return {"label": "none", "method": "none", "shots": shots, "total_shots": shots,
                "error": told, "on_front": on_front}  # fmt: skip

    front = {
        "points": [point(100, 0.4, True), point(1000, 0.2, False), point(10_000, 0.1, True)],
        "raw": [{"total_shots": 100.0, "error": 0.4}],
        "signal": 0.5,
    }
    root = ElementTree.fromstring(front_chart(front, looks_of([("none", "none")])))
    circles = root.findall("circle")
    xs, ys = ([float(c.get(name, "")) for c in circles] for name in ("cx", "cy"))
    # On logarithmic axes equal factors are equal lengths.
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1], abs=0.2)
    assert xs[1] > xs[0]
    assert ys[1] - ys[0] == pytest.approx(ys[2] - ys[1], abs=0.2)
    assert ys[1] > ys[0]  # downwards, less error
    assert [c.get("fill") == "#ffffff" for c in circles] == [False, True, False]
    assert any("S = 0.5" in (text.text or "") for text in root.findall("text"))


def test_ratios_stand_on_their_side_of_one() -> None:
    look = Look("#000000", "", "circle")
    rows = [("a", [Mark(2.0, 1.5, 2.5, look)]), ("b", [Mark(0.5, None, None, look)])]
    root = ElementTree.fromstring(ratio_chart(rows, "ratio"))
    (one,) = [
        float(line.get("x1", "")) for line in root.findall("line") if line.get("class") == "strong"
    ]
    above, below = (float(c.get("cx", "")) for c in root.findall("circle"))
    assert above - one == pytest.approx(one - below, abs=0.2)
    assert above > one
    assert len(root.findall("polyline")) == 1  # no whisker without an interval
