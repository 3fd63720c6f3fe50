"""Every way to leak that the audit names, planted into a run that is clean without it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from quantumai.harness.leakage import LEAK, NOT_CHECKED, OK, LeakageError, audit, require_no_leakage
from quantumai.mitigation.ml_qem.features import FEATURES
from tests.unit.harness.synthetic_results import Truth, World, features_of, joined, results

pytestmark = pytest.mark.slow

REM = Truth("rem", 0.05)
TRAIN = World(circuits=30, split="train", prefix="seen-", seed=1, families=("random", "trotter"))
TEST = World(circuits=12, unseen="circuit", prefix="new-", seed=2, families=("random", "trotter"))


def run_of(train: World = TRAIN, test: World = TEST) -> tuple[pa.Table, pa.Table]:
    table = joined(results([REM], train), results([REM, Truth("none", 0.2)], test))
    return table, features_of(table, np.random.default_rng(3))


def outcomes(table: pa.Table, features: pa.Table | None) -> dict[str, str]:
    return {check.name: check.outcome for check in audit(table, features, FEATURES)}


def leaks(table: pa.Table, features: pa.Table | None) -> set[str]:
    return {name for name, outcome in outcomes(table, features).items() if outcome == LEAK}


def edited(table: pa.Table, name: str, edit: Callable[[int, object], object]) -> pa.Table:
    values = [edit(i, value) for i, value in enumerate(table.column(name).to_pylist())]
    place = table.column_names.index(name)
    return table.set_column(place, name, pa.array(values, table.schema.field(name).type))


def test_a_clean_run_passes_every_check() -> None:
    table, features = run_of()
    assert set(outcomes(table, features).values()) == {OK}
    assert outcomes(table, None)["near duplicates"] == NOT_CHECKED
    assert leaks(table, None) == set()


@pytest.mark.parametrize(
    ("column", "check"),
    [
        ("circuit_id", "circuits apart"),
        ("physical_circuit_sha256", "physical circuits apart"),
        ("cell_id", "cells apart"),
    ],
)
def test_what_is_in_both_splits_is_found(column: str, check: str) -> None:
    table, _ = run_of()
    of_training = table.column(column)[0].as_py()
    last = table.num_rows - 1
    shared = edited(table, column, lambda i, value: of_training if i == last else value)
    assert leaks(shared, None) == {check}
    with pytest.raises(LeakageError, match=check):
        require_no_leakage(shared, None, FEATURES)


@pytest.mark.parametrize("kind", ["backend", "family"])
def test_what_is_called_unseen_has_to_be(kind: str) -> None:
    seen, _ = run_of(test=replace(TEST, unseen=kind))
    assert leaks(seen, None) == {f"unseen {kind}"}
    new = replace(TEST, unseen=kind, backends=("fake_new",), families=("variational",))
    assert leaks(run_of(test=new)[0], None) == set()


def test_a_row_that_stands_twice_is_found() -> None:
    table, _ = run_of()
    assert leaks(joined(table, table.slice(table.num_rows - 1)), None) == {"rows stand once"}


def test_a_near_duplicate_is_found_and_two_alike_in_one_way_only_are_not() -> None:
    table, features = run_of()
    rows = table.to_pylist()
    train = rows[0]
    mine = next(r for r in rows if r["split"] == "test" and r["variant"] == train["variant"])
    near = (np.array(train["ideal"]) + 0.005).tolist()

    def moved(i: int, value: object) -> object:
        return near if rows[i]["circuit_id"] == mine["circuit_id"] else value

    same_ideal = edited(table, "ideal", moved)
    assert leaks(same_ideal, features) == set()

    by_cell = dict(
        zip(features["cell_id"].to_pylist(), features["features"].to_pylist(), strict=True)
    )
    cells = features["cell_id"].to_pylist()
    of_circuit = {row["cell_id"]: row["circuit_id"] for row in rows}

    def copied(i: int, value: object) -> object:
        mine_too = of_circuit[cells[i]] == mine["circuit_id"]
        return by_cell[train["cell_id"]] if mine_too else value

    same_shape = edited(features, "features", copied)
    assert leaks(table, same_shape) == set()
    assert leaks(same_ideal, same_shape) == {"near duplicates"}


@pytest.mark.parametrize(
    ("leak", "found"),
    [
        (lambda ideal, rng: ideal, True),
        (lambda ideal, rng: 3 - 2 * ideal, True),
        (lambda ideal, rng: ideal + rng.normal(0, 0.1, len(ideal)) / np.sqrt(1000), True),
        # As good as three times the shots would be: honest, if dear.
        (lambda ideal, rng: ideal + rng.normal(0, 0.58, len(ideal)) / np.sqrt(1000), False),
        (lambda ideal, rng: np.full(len(ideal), rng.normal()), False),
    ],
)
def test_a_feature_that_holds_the_ideal_is_found(
    leak: Callable[[np.ndarray, np.random.Generator], np.ndarray], found: bool
) -> None:
    table, features = run_of()
    ideals = {row["cell_id"]: row["ideal"] for row in table.to_pylist()}
    rng = np.random.default_rng(5)
    flat = []
    for cell, values in zip(*features.to_pydict().values(), strict=True):
        matrix = np.reshape(values, (-1, len(FEATURES)))
        matrix[:, FEATURES.index("weight")] = leak(np.array(ideals[cell]), rng)
        flat.append(matrix.ravel().tolist())
    planted = pa.table({"cell_id": features["cell_id"], "features": flat})
    assert leaks(table, planted) == ({"features hold ideals"} if found else set())


def test_a_leak_in_one_family_only_is_found() -> None:
    table, features = run_of()
    ideals = {r["cell_id"]: r["ideal"] for r in table.to_pylist() if r["family"] == "trotter"}
    flat = []
    for cell, values in zip(*features.to_pydict().values(), strict=True):
        matrix = np.reshape(values, (-1, len(FEATURES)))
        if cell in ideals:
            matrix[:, FEATURES.index("weight")] = 2 * np.array(ideals[cell])
        flat.append(matrix.ravel().tolist())
    planted = pa.table({"cell_id": features["cell_id"], "features": flat})
    assert leaks(table, planted) == {"features hold ideals"}
