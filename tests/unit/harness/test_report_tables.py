"""The summary against what the synthetic results were made of."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from quantumai.errors import BadInputError
from quantumai.harness.leakage import LeakageError
from quantumai.harness.report_tables import summarise
from quantumai.harness.results import CONTROLS
from tests.unit.harness.synthetic_results import Truth, World, features_of, joined, results

pytestmark = pytest.mark.slow

NONE, REM = Truth("none", 0.2), Truth("rem", 0.1)
ZNES = (
    Truth("zne", 0.08, 4.0, 3, {"extrapolation": "linear", "noise_factors": [1, 2, 3]}),
    Truth("zne", 0.05, 40.0, 3, {"extrapolation": "exponential", "noise_factors": [1, 2, 3]}),
    Truth("richardson", 0.04, 60.0, 3, {"noise_factors": [1, 2, 3]}),
)
CLASSICAL = (NONE, REM, *ZNES, Truth("rem+zne", 0.04, 20.0, 3))


def learned(bias: float, variant: str, control: str | None = None) -> Truth:
    return Truth(
        "ml-qem", bias, 1.0, 1, {"variant": variant, "control": control, "model": "a" * 64}
    )


LEARNED = (
    learned(0.03, "rf"),
    learned(0.02, "xgb"),
    *(learned(b, "rf", c) for b, c in ((0.12, "descriptors"), (0.15, "shuffled"))),
    learned(0.09, "linear", "recalibration"),
    learned(0.07, "rf", "rescaled"),
    learned(0.08, "rf", "light cone"),
)
WORLD = World(circuits=60, observables=20, shots=(10_000,))


def expected(method: Truth, shots: int, scale: float = 1.0) -> float:
    """RMSE of a method over many observables: each has this bias and this variance."""
    total = shots * method.shot_multiplier
    return float(np.sqrt((scale * method.bias) ** 2 + method.variance / total))


def one(rows: list[dict[str, Any]], **wanted: Any) -> dict[str, Any]:
    (found,) = [row for row in rows if all(row[name] == value for name, value in wanted.items())]
    return found


def test_every_figure_is_what_the_results_were_made_of() -> None:
    block = one(summarise(results(CLASSICAL, WORLD))["blocks"], noise="friendly")
    assert (block["cells"], block["complete_cells"], block["circuits"]) == (120, 120, 60)
    assert block["signal"] == pytest.approx(0.48, abs=0.03)
    raw = Truth("none", WORLD.raw_bias)
    for method in CLASSICAL:
        row = next(r for r in block["methods"] if r["parameters"] == dict(method.parameters)
                   and r["method"] == method.name)  # fmt: skip
        mine, shots = expected(method, 10_000), 10_000 * method.shot_multiplier
        twin = float(np.sqrt(raw.bias**2 + raw.variance / shots))
        assert row["total_shots"] == shots
        assert row["error"]["value"] == pytest.approx(mine, rel=0.02)
        assert row["error"]["low"] < row["error"]["value"] < row["error"]["high"]
        assert row["equal_shot_factor"]["value"] == pytest.approx(twin / mine, rel=0.03)
        unmitigated = expected(raw, 10_000) / method.shot_multiplier**0.5
        assert row["improvement_factor"]["value"] == pytest.approx(unmitigated / mine, rel=0.03)
        assert row["harm_rate"]["value"] == pytest.approx(0.5 if method is NONE else 0, abs=0.15)


def test_noises_are_never_mixed_and_families_stand_alone_and_together() -> None:
    world = replace(
        WORLD, families=("random", "trotter"), noises={"friendly": 1.0, "unfriendly": 3.0}
    )
    blocks = summarise(results([NONE, REM], world))["blocks"]
    assert {(b["noise"], b["family"]) for b in blocks} == {
        (noise, family)
        for noise in ("friendly", "unfriendly")
        for family in ("all", "random", "trotter")
    }
    for block in blocks:
        scale = world.noises[block["noise"]]
        rem = one(block["methods"], method="rem")
        assert rem["error"]["value"] == pytest.approx(expected(REM, 10_000, scale), rel=0.03)


def test_failures_and_low_signal_are_counted_and_only_complete_cells_compared() -> None:
    failing = replace(ZNES[0], failing=0.3)
    table = results([NONE, failing], replace(WORLD, circuits=80, signal=0.1))
    lost = [row["cell_id"] for row in table.to_pylist() if row["failure"]]
    dim = {row["cell_id"] for row in table.to_pylist() if row["low_signal"]}
    assert lost
    assert dim
    summary = summarise(table)
    block = summary["blocks"][0]
    label = "zne linear 1,2,3"
    assert summary["counts"]["failures"] == {"the queue was full": len(lost)}
    assert block["failed"] == {label: {"the queue was full": len(lost)}}
    assert block["complete_cells"] == 160 - len(lost)
    assert block["low_signal_cells"] == len(dim - set(lost))
    # Those cells have errors, but no fidelity.
    fidelity_cells = one(block["methods"], method="none")["fidelity_cells"]
    assert fidelity_cells == block["complete_cells"] - block["low_signal_cells"]
    whole = pa.Table.from_pylist(
        [row for row in table.to_pylist() if row["cell_id"] not in lost], schema=table.schema
    )
    alone = one(summarise(whole)["blocks"][0]["methods"], method="none")
    assert one(block["methods"], method="none")["error"] == alone["error"]


def test_a_method_that_always_failed_is_named_and_a_block_without_values_is_not_lost() -> None:
    dead = replace(ZNES[0], failing=1.1)
    block = summarise(results([NONE, dead], WORLD))["blocks"][0]
    assert block["gave_nothing"] == ["zne linear 1,2,3"]
    assert [row["method"] for row in block["methods"]] == ["none"]
    summary = summarise(results([dead], WORLD))
    assert not summary["blocks"]
    assert summary["empty_blocks"][0]["cells"] == 120


def test_rivals_of_a_learned_method_are_the_strongest_in_hindsight_beside_all_controls() -> None:
    world = replace(WORLD, families=("random", "trotter"), unseen="circuit")
    summary = summarise(results([*CLASSICAL, *LEARNED], world))
    table = one(summary["learned"], family="all")
    against = {row["role"]: row for row in table["against"]}
    assert (table["best"], table["missing"]) == ("ml-qem xgb", [])
    ours = expected(LEARNED[1], 10_000)
    assert against["zne"]["label"] == "richardson 1,2,3"
    assert against["zne"]["hindsight_of"] == 3
    for name, rival in (
        ("zne", ZNES[2]), ("rem+zne", CLASSICAL[-1]), ("descriptors", LEARNED[2]),
        ("shuffled", LEARNED[3]), ("recalibration", LEARNED[4]), ("rescaled", LEARNED[5]),
        ("light cone", LEARNED[6]), ("none", NONE),
    ):  # fmt: skip
        ratio = against[name]["ratio"]
        assert ratio["value"] == pytest.approx(expected(rival, 10_000) / ours, rel=0.03)
        assert ratio["low"] < ratio["value"] < ratio["high"]
    # Its standard error counts its bias: no threshold can be told from the two.
    assert one(summary["pays_off"], label="ml-qem rf", family="all")["state"] == "unknown"
    for part in (*(front["points"] for front in summary["fronts"]), summary["pays_off"]):
        assert {"ml-qem rf", "ml-qem xgb"} <= {one["label"] for one in part}
        assert not {one["label"] for one in part} & set(CONTROLS)  # no method to choose
    assert against["zne"]["shots_ratio"] == pytest.approx(1 / 3, rel=1e-4)
    assert one(summary["side_by_side"], family="random")["unseen"] == "circuit"


def test_labels_say_what_sets_methods_apart() -> None:
    quadratic = {"degree": 2, "extrapolation": "polynomial", "noise_factors": [1, 2.5]}
    arms = [
        Truth("zne", 0.1, parameters=quadratic),
        Truth("rem", 0.1, parameters={"confusion": "circuits"}),
        learned(0.1, "mlp"),
        learned(0.1, "mlp", "shuffled"),
    ]
    block = summarise(results(arms, replace(WORLD, circuits=2)))["blocks"][0]
    assert [method["label"] for method in block["methods"]] == [
        "ml-qem mlp",
        "rem confusion circuits",
        "shuffled",
        "zne polynomial degree 2 1,2.5",
    ]


def test_missing_controls_are_named() -> None:
    summary = summarise(results([*CLASSICAL, LEARNED[0]], WORLD))
    assert summary["learned"][0]["missing"] == list(CONTROLS)
    assert summarise(results(CLASSICAL, WORLD))["learned"] == []


def test_kinds_of_unseen_circuits_stand_side_by_side() -> None:
    tables = [
        results([*CLASSICAL, *LEARNED], replace(WORLD, unseen=kind, prefix=f"{kind}-", seed=i))
        for i, kind in enumerate(("family", "", "backend", "circuit"))
    ]
    kinds = [row["unseen"] for row in summarise(joined(*tables))["side_by_side"]]
    assert kinds == ["", "circuit", "backend", "family"]


def test_front_and_shots_that_pay_off_are_those_of_the_closed_form() -> None:
    levels = (100, 1000, 10_000, 100_000)
    noisy = Truth("zne", 0.1, 100.0, 3, {"extrapolation": "linear"})
    harmful = Truth("richardson", 0.3, 100.0, 3)
    summary = summarise(results([NONE, noisy, harmful], replace(WORLD, shots=levels)))
    crossing = (100 - 1) / (WORLD.raw_bias**2 - noisy.bias**2)  # 3300 in all
    line = one(summary["pays_off"], label="zne linear")
    assert (line["state"], line["levels"]) == ("from", 4)
    assert line["from_shots"]["value"] == pytest.approx(crossing, rel=0.1)
    assert line["from_shots"]["low"] < crossing < line["from_shots"]["high"]
    assert line["measured"] == 30_000  # 3000 is just below, 30000 the next that was measured
    assert one(summary["pays_off"], label="richardson")["state"] == "never"

    points = {(p["label"], p["shots"]): p for p in summary["fronts"][0]["points"]}
    assert len(points) == 12
    on_front = {key for key, point in points.items() if point["on_front"]}
    assert {("none", 100), ("none", 1000), ("zne linear", 100_000)} <= on_front
    assert not any(label == "richardson" for label, _ in on_front)


def test_training_rows_are_no_part_of_the_figures_and_leaks_fail() -> None:
    train = results([REM], replace(WORLD, split="train", prefix="seen-", raw_bias=9.0, seed=5))
    table = joined(results(CLASSICAL, WORLD), train)
    features = features_of(table, np.random.default_rng(0))
    summary = summarise(table, features)
    assert summary["counts"]["training_rows"] == train.num_rows
    assert summary["blocks"] == summarise(results(CLASSICAL, WORLD))["blocks"]
    assert {check["outcome"] for check in summary["leakage"]} == {"ok"}
    with pytest.raises(LeakageError, match="circuits apart"):
        summarise(joined(results([NONE], WORLD), results([REM], replace(WORLD, split="train"))))


def test_two_methods_with_one_name_and_other_tables_are_refused() -> None:
    twice = (learned(0.1, "rf"), replace(LEARNED[0], parameters={"variant": "rf", "model": "b"}))
    with pytest.raises(BadInputError, match="both 'ml-qem rf'"):
        summarise(results(twice, WORLD))
    with pytest.raises(BadInputError, match="no results"):
        summarise(results([NONE], WORLD).drop_columns(["noise"]))


def test_the_summary_is_plain_json_and_the_same_for_rows_in_any_order() -> None:
    table = results([*CLASSICAL, *LEARNED], replace(WORLD, circuits=20))
    order = np.random.default_rng(1).permutation(table.num_rows)
    text = json.dumps(summarise(table), allow_nan=False, sort_keys=True)
    assert json.dumps(summarise(table.take(order)), sort_keys=True) == text


def test_a_run_of_1500_circuits_is_summarised_in_seconds() -> None:
    world = replace(WORLD, circuits=750, backends=("fake_a",), families=("random", "trotter"))
    table = results([*CLASSICAL, *LEARNED], replace(world, observables=7))
    began = time.process_time()
    summarise(table)
    assert time.process_time() - began < 20
