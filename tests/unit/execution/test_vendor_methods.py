"""Methods at a vendor: the values that simulators give, paid for once, told where missing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quantumai.backends.channel_simulator import ChannelSimulator
from quantumai.backends.ibm_fake import read_snapshot
from quantumai.backends.mock.script import Fault, Script, ScriptedJob
from quantumai.backends.mock.vendor import MockVendor
from quantumai.backends.noise import device_noise
from quantumai.circuits.families.family import benchmark_circuit
from quantumai.errors import VendorUnavailableError
from quantumai.execution.equal_shot import TwinnedRun, run_with_twins
from quantumai.execution.run import calibrated_confusion
from quantumai.execution.transpile import Transpiler
from quantumai.execution.vendor_methods import VendorAccess, VendorOutcome, run_at_vendor
from quantumai.execution.vendor_run import Patience
from quantumai.mitigation.entry_points import make_method
from quantumai.randomness import RootSeed
from tests.vendor_world import Clock

pytestmark = pytest.mark.slow

SHOTS = 40_000
SNAPSHOT = read_snapshot("nairobi")
CIRCUIT = benchmark_circuit("heisenberg", 4, {"steps": 2}, 0)
OBSERVABLES = (*CIRCUIT.observables, "XXII", "IIYY")
PLACED = Transpiler(CIRCUIT.circuit).transpile(SNAPSHOT)
METHODS = [
    make_method("none", {}),
    make_method("rem", {"confusion": "circuits"}),
    make_method("zne", {"noise_factors": [1.0, 3.0]}),
    make_method("rem+zne", {}),
]
SEEDS = [RootSeed.of(str(number)) for number in range(len(METHODS))]
CONFUSION = calibrated_confusion(SNAPSHOT, PLACED.physical_qubits)
NOISE = device_noise(SNAPSHOT, PLACED.physical_qubits)


def mock(clock: Clock, script: Script | None = None) -> MockVendor:
    return MockVendor("mock", [SNAPSHOT], ChannelSimulator(), clock, RootSeed.of("vendor"), script)


def at_vendor(
    vendor: MockVendor, clock: Clock, shots: int = SHOTS, patience: Patience | None = None
) -> VendorOutcome:
    access = VendorAccess(vendor, clock.sleep, clock.monotonic, patience or Patience())
    return run_at_vendor(
        PLACED,
        OBSERVABLES,
        METHODS,
        shots,
        access=access,
        key="run/cell",
        confusion=CONFUSION,
        calibrated=NOISE,
        seeds=SEEDS,
    )


def simulated(shots: int = SHOTS) -> tuple[TwinnedRun, ...]:
    return run_with_twins(
        PLACED,
        OBSERVABLES,
        METHODS,
        shots,
        noise=NOISE,
        confusion=CONFUSION,
        simulator=ChannelSimulator(),
        seeds=SEEDS,
        calibrated=NOISE,
    )


def test_values_are_those_of_the_simulators_path_within_their_standard_errors() -> None:
    """The mock draws from the same channel: every value of every method, and every twin."""
    clock = Clock()
    found = at_vendor(mock(clock), clock)
    for run, wanted in zip(found.runs, simulated(), strict=True):
        assert isinstance(run, TwinnedRun)
        for ours, theirs, errors, their_errors in (
            (
                run.outcome.mitigated.values,
                wanted.outcome.mitigated.values,
                run.outcome.mitigated.std_errs,
                wanted.outcome.mitigated.std_errs,
            ),
            (run.twin.raw, wanted.twin.raw, run.twin.raw_std_errs, wanted.twin.raw_std_errs),
        ):
            deviations = (ours - theirs) / np.hypot(errors, their_errors)
            assert np.abs(deviations).max() < 4.5
            np.testing.assert_allclose(errors, their_errors, rtol=0.1)
        assert run.outcome.spent == wanted.outcome.spent
        assert run.twin.total_shots == wanted.twin.total_shots == run.outcome.spent.total_shots
        np.testing.assert_array_equal(run.outcome.noise_factors, wanted.outcome.noise_factors)
    assert found.cost_usd == 0
    assert found.calibrations == (SNAPSHOT.sha256,)
    assert len(found.vendor_ids) == len(found.jobs) > 1  # one for each number of shots


def test_each_circuit_is_paid_for_once_and_found_again_by_its_key() -> None:
    clock = Clock()
    vendor = mock(clock, Script(usd_per_circuit=0.5))
    first = at_vendor(vendor, clock, 300)
    bases = 2
    circuits = bases * (1 + 1 + 2 + 3) + 2 + bases  # methods, two preparations, the plain count
    assert first.cost_usd == 0.5 * circuits
    again = at_vendor(vendor, clock, 300)
    assert again.vendor_ids == first.vendor_ids
    for one, other in zip(first.runs, again.runs, strict=True):
        assert isinstance(one, TwinnedRun)
        assert isinstance(other, TwinnedRun)
        np.testing.assert_array_equal(one.outcome.counts, other.outcome.counts)
        np.testing.assert_array_equal(one.twin.raw, other.twin.raw)


def test_a_method_without_counts_fails_alone() -> None:
    """The first job has the circuits with the fewest shots: those of readout calibration."""
    clock = Clock()
    vendor = mock(clock, Script(jobs=(ScriptedJob(broken=(1,)),)))
    none, rem, zne, both = at_vendor(vendor, clock, 300).runs
    assert isinstance(rem, str)
    assert "gave no counts" in rem
    assert all(isinstance(run, TwinnedRun) for run in (none, zne, both))


def test_without_plain_counts_there_is_no_twin_hence_nothing() -> None:
    """The last job has the most shots: those of plain counting."""
    clock = Clock()
    jobs = len(at_vendor(mock(clock), clock, 300).jobs)
    script = Script(jobs=(*(ScriptedJob(),) * (jobs - 1), ScriptedJob(broken=(0,))))
    found = at_vendor(mock(clock, script), clock, 300)
    assert all(isinstance(run, str) for run in found.runs)


def test_a_vendor_that_does_not_answer_is_gone_on_with_under_the_same_key() -> None:
    clock = Clock()
    vendor = mock(clock, Script(faults={"status": (Fault.UNAVAILABLE,) * 3}))
    impatient = replace(Patience(), tries=2)
    with pytest.raises(VendorUnavailableError):
        at_vendor(vendor, clock, 300, impatient)
    found = at_vendor(vendor, clock, 300)
    assert all(isinstance(run, TwinnedRun) for run in found.runs)
    # Nothing was submitted twice: the ids have no gap, and there are as many as jobs.
    assert [name.removeprefix("mock-") for name in found.vendor_ids] == [
        str(number) for number in range(1, len(found.jobs) + 1)
    ]
