"""Patience with a vendor: what fails is tried again, and nothing runs twice without being told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantumai.backends.calibration import CalibrationSnapshot
from quantumai.backends.channel_simulator import ChannelSimulator
from quantumai.backends.mock.script import Fault, Script, ScriptedJob
from quantumai.backends.mock.vendor import MockVendor
from quantumai.backends.noise import device_noise
from quantumai.backends.physical_circuit import NativeGate, PhysicalCircuit
from quantumai.backends.vendor import VendorBatch, VendorJob, VendorState
from quantumai.errors import BadInputError, VendorError, VendorUnavailableError
from quantumai.execution.transpile import TranspiledCircuit
from quantumai.execution.vendor_circuit import vendor_circuit
from quantumai.execution.vendor_run import Patience, VendorRun, run_on_vendor
from quantumai.randomness import RootSeed
from tests.synthetic_devices import both_ways, device, random_native
from tests.vendor_world import START, Clock, flips

pytestmark = pytest.mark.slow

FOREVER = float("inf")
LINE = both_ways([(0, 1), (1, 2)])
OLD = device(LINE, num_qubits=3, readout=(0.01, 0.02))
BATCH = VendorBatch(tuple(flips(bits, (0, 1)) for bits in ("01", "10", "11")), 200)


def calibrated(after_s: float, readout: tuple[float, float]) -> CalibrationSnapshot:
    """The device of `OLD` as found so long after the tests' beginning."""
    moment = (START + timedelta(seconds=after_s)).strftime("%Y-%m-%dT%H:%M:%SZ")
    found = device(LINE, num_qubits=3, readout=readout)
    return msgspec.structs.replace(found, created_at=moment, snapshot_id=f"cal-synthetic-{moment}")


class Bench:
    """A mock vendor on a clock that only sleeping moves."""

    def __init__(self, script: Script | None = None, *newer: CalibrationSnapshot) -> None:
        self.clock = Clock()
        self.slept: list[float] = []
        self.vendor = MockVendor(
            "mock", [OLD, *newer], ChannelSimulator(), self.clock, RootSeed.of("7"), script
        )

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock.sleep(seconds)

    def run(
        self, patience: Patience | None = None, sleep: Callable[[float], None] | None = None
    ) -> VendorRun:
        return run_on_vendor(
            self.vendor,
            BATCH,
            "job",
            sleep=sleep or self.sleep,
            monotonic=self.clock.monotonic,
            patience=patience,
        )


def test_a_reply_that_is_lost_starts_one_job() -> None:
    bench = Bench(Script(faults={"submit": (Fault.LOST_REPLY,)}))
    run = bench.run()
    assert bench.vendor.jobs_started == 1
    assert run.jobs[0].job.was_known
    assert run.is_complete


def test_waits_double_until_patience_ends() -> None:
    bench = Bench(Script(faults={"status": (Fault.UNAVAILABLE,) * 9}))
    with pytest.raises(VendorUnavailableError):
        bench.run(Patience(first_wait_s=2, longest_wait_s=10, tries=5))
    assert bench.slept == [2, 4, 8, 10]
    # Later the same key goes on with what was started.
    assert bench.run().is_complete
    assert bench.vendor.jobs_started == 1


def test_the_vendor_says_when_to_ask_again() -> None:
    bench = Bench()
    submit, asked = bench.vendor.submit, []

    def busy(batch: VendorBatch, key: str) -> VendorJob:
        asked.append(key)
        if len(asked) == 1:
            raise VendorUnavailableError("busy", retry_after_s=77)
        return submit(batch, key)

    bench.vendor.submit = busy  # type: ignore[method-assign]
    bench.run()
    assert bench.slept == [77]


def test_a_refusal_is_not_tried_again() -> None:
    bench = Bench(Script(faults={"submit": (Fault.REFUSED,)}))
    with pytest.raises(VendorError, match="refuses"):
        bench.run()
    assert bench.slept == []


def test_only_what_is_missing_is_submitted_again_and_it_is_told() -> None:
    jobs = (ScriptedJob(flaky=(1,), broken=(2,)), ScriptedJob())
    bench = Bench(Script(jobs=jobs, usd_per_circuit=0.5))
    run = bench.run()
    assert [c is None for c in run.counts] == [False, False, True]
    assert "cannot run" in run.failures[2]
    assert run.runs_of_circuits == (1, 2, 1)
    assert [one.positions for one in run.jobs] == [(0, 1, 2), (1,)]
    assert run.jobs[0].result.state is VendorState.PARTIAL
    assert run.cost_usd == 4 * 0.5
    assert max(run.counts[1] or {}, key=(run.counts[1] or {}).__getitem__) == "10"


def test_what_never_comes_back_ends_after_so_many_jobs() -> None:
    bench = Bench(Script(jobs=(ScriptedJob(flaky=(0, 1, 2)),) * 9))
    run = bench.run(Patience(max_jobs=4))
    assert bench.vendor.jobs_started == 4
    assert run.runs_of_circuits == (4, 4, 4)
    assert not run.is_complete
    assert all("lost" in failure for failure in run.failures)


def test_at_the_deadline_it_is_cancelled_and_what_ran_is_kept() -> None:
    """Three circuits in 3000 s after 100 s in the queue: at 1500 s one has ended."""
    bench = Bench(Script(jobs=(ScriptedJob(queue_s=100, run_s=3000),), usd_per_circuit=0.5))
    run = bench.run(Patience(deadline_s=1500))
    assert [c is None for c in run.counts] == [False, True, True]
    assert run.jobs[0].result.state is VendorState.CANCELLED
    assert run.jobs[0].is_out_of_time
    assert run.cost_usd == 0.5
    assert bench.vendor.jobs_started == 1
    assert bench.clock.monotonic() == 1500


def test_a_job_that_hangs_in_the_queue_costs_nothing() -> None:
    bench = Bench(Script(jobs=(ScriptedJob(queue_s=FOREVER),), usd_per_circuit=0.5))
    run = bench.run(Patience(deadline_s=600))
    assert run.counts == (None, None, None)
    assert run.cost_usd == 0
    assert run.calibrations == ()
    assert run.jobs[0].result.started_at is None


def test_a_job_that_cannot_be_cancelled() -> None:
    bench = Bench(Script(jobs=(ScriptedJob(run_s=FOREVER),)))
    bench.vendor.cancel = lambda job: None  # type: ignore[method-assign]
    with pytest.raises(VendorUnavailableError, match="mock-1 did not end"):
        bench.run(Patience(deadline_s=600, grace_s=50))
    assert bench.clock.monotonic() == 650


def test_who_dies_while_waiting_goes_on_with_the_same_job() -> None:
    class Died(BaseException):
        pass

    def die(seconds: float) -> None:
        raise Died

    bench = Bench(Script(jobs=(ScriptedJob(run_s=50, flaky=(0,)),)))
    with pytest.raises(Died):
        bench.run(sleep=die)
    run = bench.run()
    assert run.is_complete
    assert run.jobs[0].job.was_known
    assert (bench.vendor.jobs_started, run.runs_of_circuits) == (2, (2, 1, 1))
    assert bench.run().counts == run.counts
    assert bench.vendor.jobs_started == 2


def test_a_duplicate_that_the_vendor_started_is_told_and_paid() -> None:
    bench = Bench(Script(jobs=(ScriptedJob(starts_twice=True),), usd_per_circuit=0.5))
    run = bench.run()
    assert run.vendor_ids == ("mock-1", "mock-2")
    assert run.runs_of_circuits == (2, 2, 2)
    assert run.cost_usd == 3.0


def test_calibration_at_run_time_and_not_at_creation() -> None:
    """Recalibrated in the queue: only the new one counts, and it is what the noise was."""
    newer = calibrated(50, readout=(0.3, 0.4))
    bench = Bench(Script(jobs=(ScriptedJob(queue_s=100, run_s=30),)), newer)
    assert bench.vendor.calibration() == OLD
    run = bench.run()
    assert run.calibrations == (newer,)
    assert (run.counts[0] or {})["01"] < 0.6 * BATCH.shots  # 0.7 x 0.6 are read right


def test_calibration_that_changes_in_the_middle_of_a_run() -> None:
    newer = calibrated(150, readout=(0.3, 0.4))
    bench = Bench(Script(jobs=(ScriptedJob(queue_s=0, run_s=300),)), newer)
    run = bench.run()
    assert run.calibrations == (OLD, newer)
    right = [(run.counts[i] or {})[bits] / BATCH.shots for i, bits in enumerate(("01", "10", "11"))]
    assert right[0] > 0.85
    assert right[1] < 0.6
    assert right[2] < 0.6


FAULTS = st.lists(st.sampled_from([Fault.NONE, Fault.UNAVAILABLE, Fault.LOST_REPLY]), max_size=9)
JOBS = st.lists(
    st.builds(
        ScriptedJob,
        queue_s=st.sampled_from([0.0, 40.0, 900.0, FOREVER]),
        run_s=st.sampled_from([0.0, 30.0, 900.0]),
        broken=st.sets(st.integers(0, 2)).map(tuple),
        flaky=st.sets(st.integers(0, 2)).map(tuple),
        starts_twice=st.booleans(),
    ),
    max_size=4,
)


@settings(max_examples=150)
@given(jobs=JOBS, submit=FAULTS, status=FAULTS, result=FAULTS, cancel=FAULTS)
def test_whatever_happens_every_job_is_told(
    jobs: list[ScriptedJob],
    submit: list[Fault],
    status: list[Fault],
    result: list[Fault],
    cancel: list[Fault],
) -> None:
    faults = {
        "submit": tuple(submit),
        "status": tuple(status),
        "result": tuple(result),
        "cancel": tuple(cancel),
    }
    bench = Bench(Script(jobs=tuple(jobs), faults=faults, usd_per_circuit=0.25))
    patience = Patience(tries=3, deadline_s=500, grace_s=10)
    first, second = until_it_answers(bench, patience), until_it_answers(bench, patience)
    for counts, failure in zip(first.counts, first.failures, strict=True):
        assert (counts is None) == bool(failure)
        assert counts is None or sum(counts.values()) == BATCH.shots
    # The second call goes on where the first ended, if time was up; it repeats nothing.
    assert second.vendor_ids[: len(first.vendor_ids)] == first.vendor_ids
    assert len(set(second.vendor_ids)) == len(second.vendor_ids) == bench.vendor.jobs_started
    kept = [position for position, counts in enumerate(first.counts) if counts is not None]
    assert [second.counts[i] for i in kept] == [first.counts[i] for i in kept]
    assert [second.runs_of_circuits[i] for i in kept] == [first.runs_of_circuits[i] for i in kept]


def until_it_answers(bench: Bench, patience: Patience) -> VendorRun:
    """The same key again and again, as after crashes."""
    for _ in range(60):
        try:
            return bench.run(patience)
        except VendorUnavailableError:
            continue
    raise AssertionError("it never answers")


def test_a_script_gives_the_same_counts_again() -> None:
    script = Script(jobs=(ScriptedJob(flaky=(1,)),), faults={"submit": (Fault.LOST_REPLY,)})
    assert Bench(script).run() == Bench(script).run()


@pytest.mark.parametrize("gate", ["cx", "cz", "ecr"])
def test_a_folded_circuit_is_what_the_simulator_folds(gate: str) -> None:
    """Gates written out against the simulator's own folding, in a basis other than Z."""
    rng = np.random.default_rng(5)
    snapshot = device(both_ways([(0, 1), (1, 2), (0, 2)]), num_qubits=3, gate=gate, error=0.03)
    circuit = random_native(3, 30, gate, rng)
    qubits, basis = (2, 0, 1), "XYZ"
    folds = rng.choice([1, 3, 5], circuit.two_qubit_gate_count)
    written = vendor_circuit(TranspiledCircuit(circuit, qubits, (0, 1, 2)), basis, folds.tolist())
    noise, engine = device_noise(snapshot, qubits), ChannelSimulator()
    plain = np.ones((1, written.circuit.two_qubit_gate_count), dtype=np.int64)
    np.testing.assert_allclose(
        engine.probabilities(written.circuit, noise, "ZZZ", plain),
        engine.probabilities(circuit, noise, basis, folds[None]),
        atol=1e-9,
    )
    assert written.physical_qubits == qubits


def test_what_is_no_batch() -> None:
    circuit = PhysicalCircuit(2, (NativeGate("x", (0,)),))
    for qubits in ((0,), (1, 1), (0, 1, 2)):
        with pytest.raises(BadInputError):
            replace(BATCH.circuits[0], circuit=circuit, physical_qubits=qubits)
    with pytest.raises(BadInputError):
        VendorBatch((), 100)
    with pytest.raises(BadInputError):
        replace(BATCH, shots=0)
