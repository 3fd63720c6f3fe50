"""What every vendor adapter promises, run on all of them; real services are stood in for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from quantumai.backends.braket.device import BraketDevice
from quantumai.backends.braket.local import braket_local
from quantumai.backends.calibration import CalibrationSnapshot
from quantumai.backends.channel_simulator import ChannelSimulator
from quantumai.backends.credentials import Scrubber
from quantumai.backends.ibm import device as ibm_device
from quantumai.backends.ibm.local import ibm_local
from quantumai.backends.ibm_fake import read_snapshot
from quantumai.backends.mock.vendor import MockVendor
from quantumai.backends.noise import device_noise
from quantumai.backends.simulator import no_folding
from quantumai.backends.vendor import (
    VendorBackend,
    VendorBatch,
    VendorCircuit,
    VendorJob,
    VendorState,
)
from quantumai.backends.vendor_entry import Prices, VendorEntry
from quantumai.errors import BadInputError, ConflictError, VendorError
from quantumai.execution.vendor_run import run_on_vendor
from quantumai.randomness import RootSeed
from tests.synthetic_devices import both_ways, device
from tests.vendor_world import (
    BraketService,
    Clock,
    RuntimeService,
    braket_capabilities,
    flips,
    mirrored,
    path_of,
    scrambled,
)

pytestmark = pytest.mark.slow
SHOTS = 4000
PRICES = Prices(usd_per_task=0.3, usd_per_shot=0.001, usd_per_second=1.6)


@dataclass
class Bench:
    """`tolerance`: how far counts may be from the calibration's own noise, in total variation."""

    vendor: VendorBackend
    snapshot: CalibrationSnapshot
    clock: Clock
    tolerance: float
    is_noisy: bool = True


def mock(monkeypatch: pytest.MonkeyPatch) -> Bench:
    clock, snapshot = Clock(), read_snapshot("lima")
    vendor = MockVendor("mock.lima", [snapshot], ChannelSimulator(), clock, RootSeed.of("1"))
    return Bench(vendor, snapshot, clock, 0.0)


def ibm(monkeypatch: pytest.MonkeyPatch) -> Bench:
    clock = Clock()
    vendor = ibm_local("ibm.fake_lima", "fake_lima", clock)
    # IBM's own noise model of the same calibration: it takes idle qubits and readout otherwise.
    return Bench(vendor, read_snapshot("lima"), clock, 0.05)


def ibm_service(monkeypatch: pytest.MonkeyPatch) -> Bench:
    service = RuntimeService()
    monkeypatch.setattr(ibm_device, "sample", service.sample)
    vendor = ibm_device.IbmDevice("ibm.fake_lima", "fake_lima", service, PRICES, Scrubber())
    return Bench(vendor, read_snapshot("lima"), service.clock, 0.05)


def braket(monkeypatch: pytest.MonkeyPatch) -> Bench:
    clock, snapshot = Clock(), read_snapshot("lima")
    return Bench(braket_local("braket.local", snapshot, clock), snapshot, clock, 0.0)


def _braket_service(natives: tuple[str, ...]) -> Bench:
    line = both_ways([(0, 1), (1, 2), (2, 3), (3, 4)])
    snapshot = device(line, num_qubits=5, gate="cz", backend_id="braket.qpu")
    capabilities = braket_capabilities(
        snapshot, natives=natives, gate_name="CZ", updated_at="2026-11-26T11:00:00"
    )
    service = BraketService(capabilities)
    entry = VendorEntry(
        backend_id="braket.qpu",
        vendor="braket",
        device="arn:aws:braket:us-west-1::device/qpu/rigetti/Some",
        prices=PRICES,
        results_bucket="amazon-braket-results",
    )
    vendor = BraketDevice(entry, service, service, Scrubber())
    return Bench(vendor, snapshot, service.clock, 0.0, is_noisy=False)


def braket_rx(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return _braket_service(("rx", "rz", "cz"))


def braket_prx(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return _braket_service(("prx", "cz"))


@pytest.fixture(params=[mock, ibm, ibm_service, braket, braket_rx, braket_prx])
def bench(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Bench:
    make: Callable[[pytest.MonkeyPatch], Bench] = request.param
    return make(monkeypatch)


def probabilities(bench: Bench, circuit: VendorCircuit) -> np.ndarray:
    """What an independent simulator of ours says, by the calibration or without noise."""
    noise = device_noise(bench.snapshot, circuit.physical_qubits)
    if not bench.is_noisy:
        from tests.synthetic_devices import perfect

        noise = perfect(circuit.circuit.num_qubits)
    basis = "Z" * circuit.circuit.num_qubits
    return ChannelSimulator().probabilities(
        circuit.circuit, noise, basis, no_folding(circuit.circuit)
    )[0]


def distance(counts: Mapping[str, int], expected: np.ndarray) -> float:
    """Total variation distance."""
    found = np.zeros(len(expected))
    for bits, count in counts.items():
        found[int(bits, 2)] = count
    return float(abs(found / found.sum() - expected).sum() / 2)


def shot_noise(expected: np.ndarray) -> float:
    """A total variation distance that shots alone exceed with probability below 1e-9.

    E[TV] <= sum sqrt(p (1-p) / n) / 2, and by McDiarmid P(TV > E + t) <= exp(-2 n t^2).
    """
    mean = np.sqrt(expected * (1 - expected) / SHOTS).sum() / 2
    return float(mean + np.sqrt(np.log(1e9) / (2 * SHOTS)))


def run(bench: Bench, *circuits: VendorCircuit, key: str = "job") -> VendorJob:
    job = bench.vendor.submit(VendorBatch(circuits, SHOTS), key)
    for _ in range(100):
        if bench.vendor.status(job).state.is_final:
            return job
        bench.clock.sleep(60)
    raise AssertionError("the job does not end")


def test_the_rightmost_bit_is_compact_qubit_0(bench: Bench) -> None:
    qubits = path_of(bench.snapshot, 3)
    prepared = ["001", "010", "100", "011"]
    job = run(bench, *[flips(bits, qubits) for bits in prepared])
    result = bench.vendor.result(job)
    assert result.state is VendorState.DONE
    for bits, circuit in zip(prepared, result.circuits, strict=True):
        assert circuit.counts is not None
        assert all(len(key) == 3 and set(key) <= {"0", "1"} for key in circuit.counts)
        assert circuit.shots == SHOTS
        assert circuit.counts[bits] > 0.75 * SHOTS


def test_gates_run_as_they_stand_with_the_noise_of_the_calibration(bench: Bench) -> None:
    """Folded gates too: a compiler in between would cancel them, and with them their noise."""
    qubits = path_of(bench.snapshot, 3)
    circuits = [scrambled(bench.snapshot, qubits, 1), mirrored(bench.snapshot, qubits, 9)]
    result = bench.vendor.result(run(bench, *circuits))
    expected = [probabilities(bench, circuit) for circuit in circuits]
    for circuit, right in zip(result.circuits, expected, strict=True):
        assert circuit.counts is not None
        assert distance(circuit.counts, right) < bench.tolerance + shot_noise(right)
    if bench.is_noisy:  # cancelled folds would be seen
        plain = probabilities(bench, mirrored(bench.snapshot, qubits, 1))
        apart = abs(plain - expected[1]).sum() / 2
        assert apart > 2 * (bench.tolerance + shot_noise(plain))


def test_the_same_key_runs_once(bench: Bench) -> None:
    circuit = flips("01", path_of(bench.snapshot, 2))
    first = run(bench, circuit)
    again = run(bench, circuit)
    assert again.vendor_ids == first.vendor_ids
    assert first.was_known is not True
    assert again.was_known is not False
    assert bench.vendor.result(again) == bench.vendor.result(first)
    other = run(bench, circuit, key="another job")
    assert not set(other.vendor_ids) & set(first.vendor_ids)


def test_another_batch_under_a_known_key_is_a_conflict(bench: Bench) -> None:
    qubits = path_of(bench.snapshot, 2)
    run(bench, flips("01", qubits))
    with pytest.raises(ConflictError):
        run(bench, flips("10", qubits))
    with pytest.raises(ConflictError):
        bench.vendor.submit(VendorBatch((flips("01", qubits),), SHOTS + 1), "job")


def test_a_job_that_never_was(bench: Bench) -> None:
    job = VendorJob("no such key", ("arn:aws:braket:none",), 1, was_known=None)
    for call in (bench.vendor.status, bench.vendor.result, bench.vendor.cancel):
        with pytest.raises(VendorError) as caught:
            call(job)
        assert not caught.value.retryable


def test_cancelling_what_is_done_changes_nothing(bench: Bench) -> None:
    job = run(bench, flips("01", path_of(bench.snapshot, 2)))
    before = bench.vendor.result(job)
    bench.vendor.cancel(job)
    assert bench.vendor.status(job).state is VendorState.DONE
    assert bench.vendor.result(job) == before


def test_a_circuit_that_does_not_fit_starts_nothing(bench: Bench) -> None:
    far = VendorBatch((flips("01", (0, 4000)),), SHOTS)
    with pytest.raises((BadInputError, VendorError)) as caught:
        bench.vendor.submit(far, "far")
    assert not caught.value.retryable
    good = run(bench, flips("01", path_of(bench.snapshot, 2)), key="good")
    assert bench.vendor.result(good).state is VendorState.DONE


def test_the_calibration_is_that_of_the_run(bench: Bench) -> None:
    now = bench.vendor.calibration()
    result = bench.vendor.result(run(bench, flips("01", path_of(bench.snapshot, 2))))
    assert now is not None
    assert [c.sha256 for c in result.calibrations] == [now.sha256]
    assert result.ended_at is not None
    assert datetime.fromisoformat(now.created_at) <= result.ended_at
    moments = [result.submitted_at, result.started_at, result.ended_at]
    told = [moment for moment in moments if moment is not None]
    assert told == sorted(told)
    assert all(moment.utcoffset() == timedelta(0) for moment in told)
    assert now.qubits == bench.snapshot.qubits or not bench.is_noisy


def test_the_cost_is_a_figure_or_says_why_not(bench: Bench) -> None:
    result = bench.vendor.result(run(bench, flips("01", path_of(bench.snapshot, 2))))
    assert result.cost.basis
    assert result.cost.usd is None or result.cost.usd >= 0
    if isinstance(bench.vendor, BraketDevice):
        assert result.cost.usd == pytest.approx(0.3 + SHOTS * 0.001)
    if isinstance(bench.vendor, ibm_device.IbmDevice):
        assert result.cost.usd == pytest.approx(2.0 * 1.6)


def test_a_patient_run_collects_everything(bench: Bench) -> None:
    qubits = path_of(bench.snapshot, 2)
    batch = VendorBatch((flips("01", qubits), flips("10", qubits)), SHOTS)
    clock = bench.clock
    first = run_on_vendor(bench.vendor, batch, "k", sleep=clock.sleep, monotonic=clock.monotonic)
    assert first.is_complete
    assert first.runs_of_circuits == (1, 1)
    assert [max(counts or {}, key=(counts or {}).__getitem__) for counts in first.counts] == [
        "01",
        "10",
    ]
    again = run_on_vendor(bench.vendor, batch, "k", sleep=clock.sleep, monotonic=clock.monotonic)
    assert (again.counts, again.vendor_ids) == (first.counts, first.vendor_ids)
    assert replace(again.jobs[0].job, was_known=None) == replace(first.jobs[0].job, was_known=None)
