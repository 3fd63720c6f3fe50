"""The forest of Liao et al.: what it looks at, and the table that shows it beside ours."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from quantumai.backends.ibm_fake import read_snapshot
from quantumai.circuits.families.family import VARIANTS
from quantumai.cli.em_page import em_page
from quantumai.errors import BadInputError
from quantumai.harness.assessment import truth_of
from quantumai.harness.cells import expand, read_cells
from quantumai.harness.estimation import Bench, place, run_cell
from quantumai.harness.leakage import ALLOWED, LeakageError, require_no_leakage
from quantumai.harness.liao_table import PUBLISHED
from quantumai.harness.ml_qem.learning import learn
from quantumai.harness.ml_qem.learning_rows import learning_rows
from quantumai.harness.ml_qem.liao_forest import PlacedShapes, liao_forest_values
from quantumai.harness.plan import load_plan, parse_plan
from quantumai.harness.report_tables import summarise
from quantumai.harness.run import carry_out
from quantumai.harness.run_folder import RunFolder, RunRecord
from quantumai.mitigation.entry_points import make_method
from quantumai.mitigation.ml_qem.features import FEATURES
from tests.unit.harness.synthetic_results import Truth, World, features_of, results
from tests.unit.harness.test_run import ChannelSimulator

pytestmark = pytest.mark.slow

SNAPSHOT = read_snapshot("lima")
PLAN = b"""
"schema_version": 1
"name": "small"
"seed": "1"
"shots": [4000]
"tolerance": 0.05
"engine": "channel"
"backends": ["ibm.fake_lima"]
"noises": {"readout": {}, "no-readout": {"perfect_readout": true}}
"methods": [{"name": "none"}, {"name": "rem"},
  {"name": "zne", "parameters": {"extrapolation": "linear", "noise_factors": [1.0, 3.0]}}]
"learning": {"variants": ["rf"], "controls": false, "rivals": ["liao-forest"]}
"near_duplicates": "told"
"circuits":
  - {"variant": "liao_ising", "num_qubits": [4], "count": 40, "parameters": {"steps": [2, 3]},
     "split": "train", "noises": ["readout"]}
  - {"variant": "liao_random", "num_qubits": [4], "count": 30,
     "parameters": {"two_qubit_depth": [4]}, "split": "train", "noises": ["no-readout"]}
  - {"variant": "liao_ising", "num_qubits": [4], "count": 12, "first_seed": 900,
     "parameters": {"steps": [2, 3]}, "noises": ["readout"]}
  - {"variant": "liao_random", "num_qubits": [4], "count": 12, "first_seed": 900,
     "parameters": {"two_qubit_depth": [4]}, "noises": ["no-readout"]}
"""


def open_bench() -> Bench:
    return Bench({SNAPSHOT.sha256: SNAPSHOT}, lambda _: ChannelSimulator(), make_method)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    plan = parse_plan(PLAN, "the plan")
    calibrations = {"ibm.fake_lima": SNAPSHOT.sha256}
    record = RunRecord(
        schema_version=1,
        run_id="small",
        plan_name="small",
        created_at="2026-01-01T00:00:00Z",
        date="2026-01-01",
        job_ids={"ibm.fake_lima": "job"},
        calibrations=calibrations,
        versions={},
    )
    run = RunFolder.create(
        tmp_path_factory.mktemp("liao") / "run",
        PLAN,
        record,
        {SNAPSHOT.sha256: SNAPSHOT},
        expand(plan, calibrations),
    )
    carry_out(run, open_bench, workers=1, progress=lambda _: None)
    learn(run, plan)
    return run


def _summary(run: RunFolder) -> dict[str, Any]:
    return summarise(
        run.table("results/**/*.parquet"),
        run.table("features/*.parquet"),
        near_duplicates="told",
    )


def test_it_looks_at_gates_angles_and_noisy_values_alone(finished: RunFolder) -> None:
    rows = partial(
        learning_rows,
        finished.table("results/**/part-*.parquet"),
        finished.table("features/*.parquet"),
        "readout",
    )
    training, test = rows("train"), rows("test")
    shapes = PlacedShapes(read_cells(finished.table("cells.parquet")), finished.snapshots())
    values = liao_forest_values(training, test, shapes)
    raw = FEATURES.index("raw")

    def with_raw_only(features: np.ndarray) -> np.ndarray:
        changed = np.full_like(features, 0.123)
        changed[:, raw] = features[:, raw]
        return changed

    blind = [replace(rows, features=with_raw_only(rows.features)) for rows in (training, test)]
    np.testing.assert_array_equal(liao_forest_values(*blind, shapes), values)
    nothing = replace(test, features=np.zeros_like(test.features))
    assert not np.array_equal(liao_forest_values(training, nothing, shapes), values)
    # It learns: nearer to the ideal values than what it was given.
    noisy = np.sqrt(np.mean((test.features[:, raw] - test.ideal) ** 2))
    assert np.sqrt(np.mean((values - test.ideal) ** 2)) < 0.9 * noisy


def test_shapes_are_numbers_of_gates_and_of_angles(finished: RunFolder) -> None:
    cells = read_cells(finished.table("cells.parquet"))
    shapes = PlacedShapes(cells, finished.snapshots())
    for cell in (cells[0], cells[-1]):
        circuit = place(cell, SNAPSHOT).transpiled.circuit
        ops = dict.fromkeys(("cx", "rz", "sx", "x"), 0)
        bins = [0] * 40
        for line in circuit.to_qasm().splitlines()[5:]:
            name = line.split(" ")[0].split("(")[0]
            ops[name] += 1
            if name == "rz":
                angle = float(line.split("(")[1].split(")")[0])
                angle -= np.trunc(angle / (2 * np.pi)) * 2 * np.pi
                bins[int(np.floor((angle + 2 * np.pi) / (0.1 * np.pi)))] += 1
        expected = np.array([*ops.values(), *bins]) / 100
        np.testing.assert_allclose(shapes.of(cell.cell_id), expected)


def test_the_table_is_in_their_metric_beside_their_figures(finished: RunFolder) -> None:
    summary = _summary(finished)
    readout, no_readout = (
        next(row for row in summary["liao_2024"] if row["noise"] == noise)
        for noise in ("readout", "no-readout")
    )
    assert readout["published"] == {"raw": 0.199, "zne": 0.157, "rf": 0.039}
    assert readout["circuits"] == 24
    rows = finished.table("results/**/*.parquet").to_pylist()

    def distance(method: str, noise: str, control: str = "") -> float:
        found = [
            np.linalg.norm(np.subtract(row["mitigated"], row["ideal"]))
            for row in rows
            if row["method"] == method
            and row["noise"] == noise
            and row["split"] == "test"
            and (f'"control":"{control}"' in row["parameters"] if control else True)
        ]
        return float(np.mean(found))

    assert readout["raw"]["value"] == pytest.approx(distance("none", "readout"), rel=1e-5)
    assert readout["their_zne"]["value"] == pytest.approx(distance("zne", "readout"), rel=1e-5)
    forest = distance("ml-qem", "readout", "liao-forest")
    assert readout["their_forest"]["value"] == pytest.approx(forest, rel=1e-5)
    best = readout["learned"][readout["ours"]]["value"]
    assert readout["forest_over_ours"]["value"] == pytest.approx(forest / best, rel=1e-4)
    assert no_readout["published"] == {}  # random circuits: the paper has none without readout
    page = em_page(summary, "title")
    assert "<h2>Liao et al. 2024</h2>" in page
    assert '<td class="n">0.199</td>' in page
    # Near duplicates are told, and fail a plan that does not say that it has them.
    outcomes = {check["name"]: check["outcome"] for check in summary["leakage"]}
    assert outcomes["near duplicates"] == ALLOWED
    with pytest.raises(LeakageError, match="near duplicates"):
        summarise(finished.table("results/**/*.parquet"), finished.table("features/*.parquet"))


def test_a_perfect_readout_is_one_that_mitigators_know_of() -> None:
    """REM then changes nothing: its value from the same counts is the raw one."""
    plan = parse_plan(PLAN, "the plan")
    cells = read_cells(expand(plan, {"ibm.fake_lima": SNAPSHOT.sha256}))
    errors = {}
    for cell in (
        next(c for c in cells if c.noise == noise and c.split == "test") for noise in plan.noises
    ):
        placed = place(cell, SNAPSHOT)
        rem = next(run for run in run_cell(cell, placed, open_bench()) if run.wanted.name == "rem")
        outcome = rem.run.outcome  # type: ignore[union-attr]
        errors[cell.noise] = np.abs(outcome.raw - outcome.mitigated.values).max()
        assert truth_of(placed).values.shape == (4,)
    assert errors["no-readout"] < 1e-12
    assert errors["readout"] > 1e-3


def test_only_the_named_check_may_be_allowed() -> None:
    world = World(circuits=20, seed=1)
    table = results([Truth("rem", 0.05)], world)
    twice = table.slice(0, 1)
    import pyarrow as pa

    broken = pa.concat_tables([table, twice])
    features = features_of(table, np.random.default_rng(1))
    with pytest.raises(LeakageError, match="rows stand once"):
        require_no_leakage(broken, features, FEATURES, allowed="near duplicates")


def test_the_packaged_plan_is_theirs() -> None:
    plan = load_plan("paper-liao-2024")[0]
    assert (plan.shots, plan.backends) == ((10_000,), ("ibm.fake_lima",))
    assert set(PUBLISHED) == {
        (VARIANTS[group.variant], noise, group.unseen)
        for group in plan.circuits
        if group.split == "test"
        for noise in group.noises
    }
    steps = {g.unseen: g.parameters["steps"] for g in plan.circuits if g.variant == "liao_ising"}
    assert steps == {"": tuple(range(1, 15)), "circuit": tuple(range(15, 30))}


def test_other_circuits_are_refused() -> None:
    text = PLAN.replace(b"liao_random", b"brickwork").replace(b"liao_ising", b"qaoa")
    with pytest.raises(BadInputError, match="liao"):
        parse_plan(text, "the plan")
