"""A run's rows: the same from any number of workers, in any order, after any interruption."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from quantumai.backends.calibration import CalibrationSnapshot
from quantumai.backends.channel_simulator import ChannelSimulator
from quantumai.backends.ibm_fake import read_snapshot
from quantumai.errors import BadInputError, ConflictError
from quantumai.execution.run import calibrated_confusion, run_method
from quantumai.harness.assessment import Truth, truth_of
from quantumai.harness.batch import run_batch
from quantumai.harness.cells import expand, read_cells
from quantumai.harness.estimation import Bench, Placed, method_seed, place
from quantumai.harness.plan import PACKAGED_PLANS, Plan, load_plan, packaged_plans, parse_plan
from quantumai.harness.results import UNREPEATABLE, batch_schema, content_sha256, result_schema
from quantumai.harness.run import carry_out
from quantumai.harness.run_folder import RunFolder, RunRecord
from quantumai.mitigation.entry_points import make_method

pytestmark = pytest.mark.slow

PLAN = b"""
"schema_version": 1
"name": "small"
"seed": "1"
"shots": [500]
"tolerance": 0.05
"engine": "channel"
"backends": ["ibm.fake_nairobi", "ibm.fake_torino"]
"noises":
  "friendly": {}
  "unfriendly": {"over_rotation_rad": 0.05, "idle_relaxation": true, "readout_drift": 0.2}
"methods":
  - {"name": "none"}
  - {"name": "rem"}
  - {"name": "zne", "parameters": {"extrapolation": "exponential"}}
"circuits":
  - {"variant": "brickwork", "num_qubits": [4, 8], "count": 2, "parameters": {"layers": [2]}}
  - {"variant": "tfim", "num_qubits": [4], "count": 1, "split": "train"}
"""
WHICH = ("raw", "mitigated", "equal_shot")
DEVICES = {"ibm.fake_nairobi": "nairobi", "ibm.fake_torino": "torino"}


def open_small_bench(snapshots: dict[str, CalibrationSnapshot]) -> Bench:
    return Bench(snapshots, lambda _: ChannelSimulator(), make_method)


def _snapshots() -> dict[str, CalibrationSnapshot]:
    found = [read_snapshot(device) for device in DEVICES.values()]
    return {snapshot.sha256: snapshot for snapshot in found}


def _cells(plan: Plan) -> pa.Table:
    calibrations = {s.backend_id: digest for digest, s in _snapshots().items()}
    return expand(plan, calibrations)


def _begin(folder: Path) -> RunFolder:
    plan = parse_plan(PLAN, "the plan")
    record = RunRecord(
        schema_version=1,
        run_id="small",
        plan_name="small",
        created_at="2026-01-01T00:00:00Z",
        date="2026-01-01",
        job_ids={name: f"job of {name}" for name in DEVICES},
        calibrations={s.backend_id: digest for digest, s in _snapshots().items()},
        versions={},
    )
    return RunFolder.create(folder, PLAN, record, _snapshots(), _cells(plan))


def _results(run: RunFolder) -> pa.Table:
    table = run.read_table("results/**/*.parquet")
    assert table is not None
    return table


def _silent(_: object) -> None:
    pass


def test_any_number_of_workers_and_any_interruption_give_the_same_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quantumai.harness.run.CELLS_PER_BATCH", 3)
    opener = partial(open_small_bench, _snapshots())
    alone, many = _begin(tmp_path / "alone"), _begin(tmp_path / "many")
    carry_out(alone, opener, workers=1, progress=_silent)
    carry_out(many, opener, workers=2, progress=_silent)
    wanted = content_sha256(_results(alone))
    assert content_sha256(_results(many)) == wanted

    class Killed(Exception):  # noqa: N818
        pass

    stopped = _begin(tmp_path / "stopped")

    def kill(progress: Any) -> None:
        if progress.done - progress.ready >= 3:
            raise Killed

    for _ in range(20):
        try:
            carry_out(stopped, opener, workers=1, progress=kill)
        except Killed:
            continue
        break
    assert content_sha256(_results(stopped)) == wanted
    # Finished batches are not touched again.
    times = {name: (stopped.path / name).stat().st_mtime_ns for name in stopped.files()}
    carry_out(stopped, opener, workers=1, progress=_silent)
    assert {n: (stopped.path / n).stat().st_mtime_ns for n in stopped.files()} == times
    with pytest.raises(ConflictError, match="has begun"):
        _begin(tmp_path / "alone")


def test_rows_have_the_promised_columns_and_point_at_their_histograms(tmp_path: Path) -> None:
    import json

    run = _begin(tmp_path / "run")
    carry_out(run, partial(open_small_bench, _snapshots()), workers=1, progress=_silent)
    table = _results(run)
    assert table.schema == result_schema()
    assert table.schema.names[:10] == [
        "job_id", "circuit_id", "family", "shots", "raw_histogram_path", "unmitigated_fidelity",
        "mitigated_fidelity", "method", "parameters", "runtime_seconds",
    ]  # fmt: skip
    partitions = {path.parent.name for path in run.path.glob("results/date=2026-01-01/*/*.parquet")}
    assert partitions == {f"backend_id={name}" for name in DEVICES}
    for row in table.to_pylist():
        assert row["job_id"] == f"job of {row['backend_id']}"
        if row["failure"]:
            continue
        name, _, number = row["raw_histogram_path"].partition("#")
        histograms = json.loads(run.table(name).column("histograms")[int(number)].as_py())
        spent = sum(sum(c.values()) for basis in histograms["bases"] for c in basis["counts"])
        assert spent == row["total_shots"]
        assert row["rmse_raw"] == pytest.approx(
            np.sqrt(np.mean((np.array(row["raw"]) - row["ideal"]) ** 2))
        )


def test_order_does_not_matter() -> None:
    cells = _cells(parse_plan(PLAN, "the plan"))
    bench = open_small_bench(_snapshots())
    shuffled = cells.take(np.random.default_rng(1).permutation(cells.num_rows))
    made = [
        run_batch(table.combine_chunks().to_batches()[0], bench=bench)
        for table in (cells, shuffled)
    ]
    assert made[0].schema == batch_schema()
    digests = {content_sha256(pa.Table.from_batches([batch])) for batch in made}
    assert len(digests) == 1


def test_poisoned_ideals_change_no_estimate() -> None:
    """Everything but what is compared with the ideal values stays, to the last bit."""
    cells = _cells(parse_plan(PLAN, "the plan")).combine_chunks().to_batches()[0]
    bench = open_small_bench(_snapshots())

    def poisoned(placed: Placed) -> Truth:
        truth = truth_of(placed)
        return replace(truth, values=np.full_like(truth.values, 1e6))

    honest, wrong = run_batch(cells, bench=bench), run_batch(cells, bench=bench, truth_of=poisoned)
    changed = {
        name
        for name in honest.schema.names
        if name not in UNREPEATABLE and honest.column(name) != wrong.column(name)
    }
    compared = {f"{what}_{which}" for what in ("rmse", "mae") for which in WHICH}
    fidelities = {"unmitigated_fidelity", "mitigated_fidelity", "observed_precision_fidelity"}
    assert changed == {"ideal", "signal"} | fidelities | compared


def test_a_row_is_what_a_user_would_get() -> None:
    """The harness and a job share the way: one method run alone gives the very numbers."""
    from quantumai.backends.extra_noise import true_noise

    cells = _cells(parse_plan(PLAN, "the plan"))
    cell = next(c for c in read_cells(cells) if c.split == "test" and c.noise == "unfriendly")
    snapshot = _snapshots()[cell.calibration_sha256]
    placed = place(cell, snapshot)
    wanted = cell.methods[2]
    qubits = placed.transpiled.physical_qubits
    alone = run_method(
        placed.transpiled,
        placed.circuit.observables,
        make_method(wanted.name, wanted.parameters),
        cell.shots,
        noise=true_noise(snapshot, qubits, cell.noise_terms, cell.device_seed),
        confusion=calibrated_confusion(snapshot, qubits),
        simulator=ChannelSimulator(),
        seed=method_seed(cell.seed, wanted),
    )
    batch = run_batch(
        cells.filter(pa.compute.equal(cells["cell_id"], cell.cell_id)).to_batches()[0],
        bench=open_small_bench(_snapshots()),
    )
    row = batch.to_pylist()[2]
    assert row["mitigated"] == alone.mitigated.values.tolist()
    assert row["total_shots"] == alone.spent.total_shots


def test_what_cannot_run_is_a_row_with_its_reason() -> None:
    cells = _cells(parse_plan(PLAN, "the plan"))
    rows = run_batch(
        cells.combine_chunks().to_batches()[0], bench=open_small_bench(_snapshots())
    ).to_pylist()
    failed = [row for row in rows if row["failure"]]
    # Nairobi has seven qubits, two noises, two circuits of eight, three methods.
    assert len(failed) == 12
    assert all(row["num_qubits"] == 8 and "nairobi" in row["failure"] for row in failed)
    assert all(row["mitigated"] is None and row["rmse_raw"] is None for row in failed)
    trained = [row for row in rows if row["split"] == "train"]
    assert {row["method"] for row in trained} == {"rem"}


@pytest.mark.parametrize("name", packaged_plans())
def test_packaged_plans_hold(name: str) -> None:
    plan, data = load_plan(name)
    assert data == (PACKAGED_PLANS / f"{name}.yaml").read_bytes()
    calibrations = dict.fromkeys(plan.backends, "0" * 64)
    cells = expand(plan, calibrations)
    assert cells.num_rows == plan.cell_count
    assert len(set(cells["cell_id"].to_pylist())) == cells.num_rows
    for wanted in plan.methods:
        make_method(wanted.name, wanted.parameters)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ((b'"shots": [500]', b'"shots": [0]'), "shots: each from 1"),
        ((b'"shots": [500]', b'"shots": 500'), "Expected `array`"),
        ((b'"tolerance": 0.05', b'"tolerance": 0'), "tolerance"),
        ((b'"name": "small"', b'"name": "../small"'), "name '../small': 1 to 100 letters"),
        ((b'"count": 1,', b'"count": 1, "speed": 1,'), "unknown field `speed`"),
        ((b'"split": "train"', b'"split": "all"'), "split: one of"),
        ((b'  - {"name": "none"}\n', b'  - {"name": "rem"}\n'), 'methods: {"name":"rem"'),
        ((b'"count": 2', b'"count": 200000'), "cells, more than"),
        ((b'"schema_version": 1', b"schema_version: 1"), "not strict YAML"),
    ],
)
def test_bad_plans(change: tuple[bytes, bytes], message: str) -> None:
    assert change[0] in PLAN
    with pytest.raises(BadInputError, match=message):
        parse_plan(PLAN.replace(*change), "the plan")
