"""Cells at a vendor: what may go better stops a run, what cannot is a row that says why."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from quantumai.backends.channel_simulator import ChannelSimulator
from quantumai.backends.ibm_fake import read_snapshot
from quantumai.backends.mock.script import Fault, Script, ScriptedJob
from quantumai.backends.mock.vendor import MockVendor
from quantumai.errors import VendorUnavailableError
from quantumai.harness.at_vendors import AtVendors
from quantumai.harness.cells import expand
from quantumai.harness.estimation import Bench
from quantumai.harness.plan import parse_plan
from quantumai.harness.run import carry_out
from quantumai.harness.run_folder import RunFolder, RunRecord
from quantumai.mitigation.entry_points import make_method
from quantumai.randomness import RootSeed
from tests.vendor_world import Clock

pytestmark = pytest.mark.slow

BACKEND = "ibm.fake_nairobi"
SNAPSHOT = read_snapshot("nairobi")
PLAN = b"""
"schema_version": 1
"name": "vendor"
"seed": "1"
"shots": [300]
"tolerance": 0.05
"engine": "channel"
"backends": ["ibm.fake_nairobi"]
"vendors": [{"backend_id": "ibm.fake_nairobi", "vendor": "mock", "device": "nairobi"}]
"noises": {"friendly": {}}
"methods": [{"name": "none"}, {"name": "rem", "parameters": {"confusion": "circuits"}}]
"circuits": [{"variant": "tfim", "num_qubits": [4], "count": 1, "parameters": {"steps": [1, 2]}}]
"""


def _begin(folder: Path) -> RunFolder:
    record = RunRecord(
        schema_version=1,
        run_id="vendor",
        plan_name="vendor",
        created_at="2026-01-01T00:00:00Z",
        date="2026-01-01",
        job_ids={BACKEND: "job"},
        calibrations={BACKEND: SNAPSHOT.sha256},
        versions={},
    )
    cells = expand(parse_plan(PLAN, "the plan"), record.calibrations)
    return RunFolder.create(folder, PLAN, record, {SNAPSHOT.sha256: SNAPSHOT}, cells)


def _carried_out(run: RunFolder, vendor: MockVendor, clock: Clock) -> None:
    at_vendors = AtVendors(
        frozenset({BACKEND}), lambda _: vendor, "vendor", clock.sleep, clock.monotonic
    )
    bench = Bench({SNAPSHOT.sha256: SNAPSHOT}, lambda _: ChannelSimulator(), make_method)
    bench = replace(bench, at_vendors=at_vendors)
    carry_out(run, lambda: bench, workers=1, progress=lambda _: None)


def _mock(clock: Clock, script: Script) -> MockVendor:
    return MockVendor(BACKEND, [SNAPSHOT], ChannelSimulator(), clock, RootSeed.of("v"), script)


def test_a_vendor_out_of_reach_stops_the_run_which_goes_on_without_paying_twice(
    tmp_path: Path,
) -> None:
    clock = Clock()
    script = Script(faults={"result": (Fault.UNAVAILABLE,) * 6}, usd_per_circuit=1.0)
    vendor, run = _mock(clock, script), _begin(tmp_path / "run")
    with pytest.raises(VendorUnavailableError):
        _carried_out(run, vendor, clock)
    assert run.read_table("results/**/*.parquet") is None
    _carried_out(run, vendor, clock)
    rows = run.table("results/**/*.parquet").to_pylist()
    assert [row["failure"] for row in rows] == [None] * 4
    ids = {name for row in rows for name in row["vendor_job_ids"]}
    # Ids without a gap: what had been submitted before the stop was found, not submitted again.
    assert ids == {f"mock-{number}" for number in range(1, len(ids) + 1)}
    # Each cell: plain counts for "none" and for the twins, and three circuits of "rem".
    assert [row["cell_cost_usd"] for row in rows] == [5.0] * 4


def test_circuits_that_give_nothing_are_rows_with_their_reason(tmp_path: Path) -> None:
    clock = Clock()
    vendor = _mock(clock, Script(jobs=(ScriptedJob(broken=(0,)),)))  # readout calibration
    run = _begin(tmp_path / "run")
    _carried_out(run, vendor, clock)
    rows = run.table("results/**/*.parquet").to_pylist()
    failures = [(row["method"], row["failure"]) for row in rows]
    assert [method for method, failure in failures if failure] == ["rem"]
    (told,) = [failure for _, failure in failures if failure]
    assert "gave no counts" in told
    # What failed was billed all the same.
    assert all(row["vendor_job_ids"] and row["cell_cost_usd"] is not None for row in rows)
