"""Amazon Braket: its JSON as calibration, our gates as its programs, its tasks as jobs."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import msgspec
import numpy as np
import pytest

from quantumai.backends.braket.device import BraketDevice
from quantumai.backends.braket.local import braket_local
from quantumai.backends.braket.program import counts_by_compact_qubit, device_program
from quantumai.backends.braket.properties import (
    GateDurations,
    read_properties,
    snapshot_of_device,
)
from quantumai.backends.channel_simulator import ChannelSimulator
from quantumai.backends.credentials import Scrubber
from quantumai.backends.noise import device_noise
from quantumai.backends.physical_circuit import NativeGate, PhysicalCircuit
from quantumai.backends.simulator import no_folding
from quantumai.backends.vendor import VendorBatch, VendorCircuit, VendorState
from quantumai.backends.vendor_entry import Prices, VendorEntry
from quantumai.errors import BadInputError, ConflictError, VendorError, VendorUnavailableError
from quantumai.execution.vendor_run import run_on_vendor
from tests.synthetic_devices import both_ways, device, pairs, random_native
from tests.vendor_world import (
    START,
    BraketService,
    Clock,
    braket_capabilities,
    client_error,
    flips,
)

pytestmark = pytest.mark.slow
LINE = both_ways([(0, 1), (1, 2), (2, 4)])
DEVICE = device(
    LINE,
    num_qubits=5,
    gate="cz",
    errors={(0, 1): 0.02, (1, 0): 0.02},
    broken=(3,),
    backend_id="braket.qpu",
)
NATIVES = ("rx", "rz", "cz")
NOON = "2026-11-26T11:00:00"


def capabilities(**changes: Any) -> dict[str, Any]:
    return braket_capabilities(DEVICE, natives=NATIVES, gate_name="CZ", updated_at=NOON, **changes)


def snapshot_from(plain: dict[str, Any]) -> Any:
    return snapshot_of_device("braket.qpu", read_properties(json.dumps(plain)))


def test_the_calibration_is_what_braket_reads_out_of_the_same_text() -> None:
    """Braket's own reader and its emulator's noise model against our snapshot."""
    from braket.circuits.noises import BitFlip, Depolarizing, TwoQubitDepolarizing
    from braket.device_schema.rigetti.rigetti_device_capabilities_v2 import (
        RigettiDeviceCapabilities,
    )
    from braket.emulation.local_emulator import LocalEmulator

    text = json.dumps(capabilities())
    theirs = RigettiDeviceCapabilities.parse_raw(text)
    found = snapshot_of_device("braket.qpu", read_properties(text))
    assert found.created_at == theirs.service.updatedAt.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert found.two_qubit_gate == "cz"
    assert [q for q, one in enumerate(found.qubits) if one.operational] == [0, 1, 2, 4]
    errors = {(e.control, e.target): e.error for e in found.edges}
    assert set(errors) == set(LINE)
    model = LocalEmulator.from_device_properties(theirs).noise_model
    seen = set()
    for one in model.instructions:
        noise, qubits = one.noise, one.criteria.get_keys(_qubit_key())
        for target in qubits:
            if isinstance(noise, TwoQubitDepolarizing):
                # p of the 15 Paulis: average gate infidelity 4 p / 5.
                assert errors[target] == pytest.approx(noise.probability * 4 / 5)
            elif isinstance(noise, Depolarizing):
                assert found.qubits[target].sx_error == pytest.approx(noise.probability * 2 / 3)
            elif isinstance(noise, BitFlip):
                assert found.qubits[target].prob_meas1_prep0 == pytest.approx(noise.probability)
                assert found.qubits[target].prob_meas0_prep1 == pytest.approx(noise.probability)
            seen.add((type(noise).__name__, target))
    assert len(seen) == 6 + 4 + 4
    for q in (0, 1, 2, 4):
        times = theirs.standardized.oneQubitProperties[str(q)]
        assert found.qubits[q].t1_s == pytest.approx(times.T1.value * 1e-6)
        assert found.qubits[q].t2_s == pytest.approx(times.T2.value)


def _qubit_key() -> Any:
    from braket.circuits.noise_model import CriteriaKey

    return CriteriaKey.QUBIT


def test_what_is_assumed_stands_among_the_repairs() -> None:
    told = [repair.what for repair in snapshot_from(capabilities()).repairs]
    assert any("durations are not published: 4e-08 s and 7e-08 s assumed" in what for what in told)
    assert any("alike in both" in what for what in told)
    slow = snapshot_of_device(
        "b", read_properties(json.dumps(capabilities())), GateDurations(1e-7, 2e-7)
    )
    assert (slow.qubits[0].sx_duration_s, slow.edges[0].duration_s) == (1e-7, 2e-7)


def test_both_readout_errors_where_they_are_published() -> None:
    plain = capabilities()
    for one in plain["standardized"]["oneQubitProperties"].values():
        for name, error in (("READOUT_ERROR_0_TO_1", 0.02), ("READOUT_ERROR_1_TO_0", 0.05)):
            one["oneQubitFidelity"].append({"fidelityType": {"name": name}, "fidelity": error})
    found = snapshot_from(plain)
    assert (found.qubits[0].prob_meas1_prep0, found.qubits[0].prob_meas0_prep1) == (0.02, 0.05)
    assert not any("alike" in repair.what for repair in found.repairs)


def test_nonsense_is_excluded_by_the_one_cleaning() -> None:
    plain = capabilities()
    one_qubit = plain["standardized"]["oneQubitProperties"]
    one_qubit["0"]["T1"]["unit"] = "furlong"
    one_qubit["1"]["T2"]["value"] = 1.0
    plain["standardized"]["twoQubitProperties"]["2-4"]["twoQubitGateFidelity"][0]["fidelity"] = 0
    found = snapshot_from(plain)
    assert not found.qubits[0].operational
    assert found.qubits[1].t2_s == 2 * found.qubits[1].t1_s
    assert {(e.control, e.target) for e in found.edges} == {(1, 2), (2, 1)}


def test_directed_gates_keep_their_direction() -> None:
    ecr = device([(1, 0), (1, 2)], num_qubits=3, gate="ecr")
    plain = braket_capabilities(
        ecr, natives=("ecr", "rz", "v", "x"), gate_name="ECR", updated_at=NOON, directed=True
    )
    found = snapshot_from(plain)
    assert found.two_qubit_gate == "ecr"
    assert {(e.control, e.target) for e in found.edges} == {(1, 0), (1, 2)}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda plain: plain.pop("paradigm"),
        lambda plain: plain.update(standardized=None),
        lambda plain: plain["service"].pop("updatedAt"),
        lambda plain: plain["standardized"].update(twoQubitProperties={}),
        lambda plain: plain["standardized"]["oneQubitProperties"].update(left={}),
    ],
)
def test_what_is_no_calibration_is_refused(spoil: Any) -> None:
    plain = capabilities()
    spoil(plain)
    with pytest.raises(BadInputError):
        snapshot_from(plain)


@pytest.mark.parametrize("gate", ["cx", "cz", "ecr"])
def test_the_local_simulator_has_our_noise(gate: str) -> None:
    """All gates, both directions, asymmetric readout; against the channel simulator, by shots.

    Qubits of 2 µs and errors of 0.35 make each part of the noise plain to see in a few gates.
    """
    rng = np.random.default_rng(3)
    snapshot = device(pairs(3), num_qubits=3, gate=gate, error=0.35, readout=(0.02, 0.1))
    short = [msgspec.structs.replace(q, t1_s=2e-6, t2_s=1.5e-6) for q in snapshot.qubits]
    snapshot = msgspec.structs.replace(snapshot, qubits=tuple(short))
    circuit = VendorCircuit(random_native(3, 6, gate, rng), (2, 0, 1))
    assert circuit.circuit.two_qubit_gate_count >= 2
    shots = 400_000
    vendor = braket_local("braket.local", snapshot, Clock())
    result = vendor.result(vendor.submit(VendorBatch((circuit,), shots), "k"))
    expected = ChannelSimulator().probabilities(
        circuit.circuit,
        device_noise(snapshot, circuit.physical_qubits),
        "ZZZ",
        no_folding(circuit.circuit),
    )[0]
    for index, probability in enumerate(expected):
        share = (result.circuits[0].counts or {}).get(format(index, "03b"), 0) / shots
        sigma = np.sqrt(probability * (1 - probability) / shots)
        assert abs(share - probability) < 6 * sigma + 1e-9


@pytest.mark.parametrize("natives", [("rx", "rz", "cz"), ("prx", "cz"), ("v", "x", "rz", "cz")])
def test_native_programs_are_the_circuit(natives: tuple[str, ...]) -> None:
    """By Braket's own statevector of the program without its box, up to phases before Z."""
    from braket.circuits import Circuit
    from braket.devices import LocalSimulator

    circuit = random_native(3, 150, "cz", np.random.default_rng(11))
    text = device_program(VendorCircuit(circuit, (0, 1, 2)), natives)
    body = text.split("box {")[1].split("}")[0].replace("$", "q")
    plain = "OPENQASM 3.0;\nqubit[3] q;\n" + body
    for q in range(3):
        plain = plain.replace(f"q{q}", f"q[{q}]")
    found = LocalSimulator().run(Circuit.from_ir(plain).probability(), shots=0).result().values[0]
    from tests.synthetic_devices import perfect

    ours = ChannelSimulator().probabilities(circuit, perfect(3), "ZZZ", no_folding(circuit))[0]
    turned = [int(format(index, "03b")[::-1], 2) for index in range(8)]
    np.testing.assert_allclose(np.asarray(found)[turned], ours, atol=1e-9)
    assert {line.split("(")[0].split()[0] for line in body.split(";") if line.strip()} <= set(
        natives
    )


@pytest.mark.parametrize("natives", [("ms", "gpi"), ("rx", "rz", "iswap"), ("prx", "ecr")])
def test_a_device_without_our_gates_is_refused(natives: tuple[str, ...]) -> None:
    gates = (NativeGate("rz", (0,), 0.3), NativeGate("sx", (0,)), NativeGate("ecr", (0, 1)))
    with pytest.raises(BadInputError, match="verbatim"):
        device_program(VendorCircuit(PhysicalCircuit(2, gates), (0, 1)), natives)


def test_bits_are_sorted_by_the_label_that_was_measured() -> None:
    """Measured in the order 7, 2, 5; compact qubits 0, 1, 2 are 5, 7, 2."""
    found = counts_by_compact_qubit({"100": 3, "011": 4}, [7, 2, 5], [5, 7, 2])
    assert found == {"010": 3, "101": 4}
    with pytest.raises(VendorError):
        counts_by_compact_qubit({"10": 1}, [7, 2], [5, 7])


# ---- devices


QPU = VendorEntry(
    backend_id="braket.qpu",
    vendor="braket",
    device="arn:aws:braket:us-west-1::device/qpu/rigetti/Some",
    prices=Prices(usd_per_task=0.3, usd_per_shot=0.001),
    results_bucket="amazon-braket-results",
)
BATCH = VendorBatch(tuple(flips(bits, (1, 0)) for bits in ("01", "10", "11")), 100)


def open_device(service: BraketService, entry: VendorEntry = QPU) -> BraketDevice:
    return BraketDevice(entry, service, service, Scrubber())


def test_half_a_submission_is_gone_on_with() -> None:
    """The second task's answer fails once; the first is not started again."""
    service = BraketService(capabilities())
    service.fails = [None, client_error("ThrottlingException", "slow down")]
    run = run_on_vendor(
        open_device(service),
        BATCH,
        "k",
        sleep=service.clock.sleep,
        monotonic=service.clock.monotonic,
    )
    assert run.is_complete
    assert len(service.tasks) == 3
    assert len(run.vendor_ids) == 3
    again = open_device(service).submit(BATCH, "k/1")  # by another process
    assert again.vendor_ids == run.vendor_ids
    vendor = open_device(service)
    vendor.submit(BATCH, "k/1")
    with pytest.raises(ConflictError):
        vendor.submit(BATCH.part((0,)), "k/1")


def test_a_refused_task_takes_the_others_back() -> None:
    service = BraketService(capabilities())
    service.fails = [None, client_error("ValidationException", "not so")]
    original = service._run

    def queued(request: Any) -> str:
        arn = original(request)
        service.tasks[arn]["status"] = "QUEUED"
        return arn

    service._run = queued  # type: ignore[method-assign]
    with pytest.raises(VendorError, match="not so"):
        open_device(service).submit(BATCH, "k")
    assert [task["status"] for task in service.tasks.values()] == ["CANCELLED"]


def test_some_tasks_fail() -> None:
    service = BraketService(capabilities())
    vendor = open_device(service)
    job = vendor.submit(BATCH, "k")
    service.tasks[job.vendor_ids[1]].update(status="FAILED", failureReason="the fridge is warm")
    result = vendor.result(job)
    assert vendor.status(job).message == "the fridge is warm"
    assert result.state is vendor.status(job).state is VendorState.PARTIAL
    assert result.circuits[1].failure == "the fridge is warm"
    assert result.cost.usd == pytest.approx(2 * 0.3 + 200 * 0.001)


def test_the_queue_and_the_states() -> None:
    service = BraketService(capabilities())
    vendor = open_device(service)
    job = vendor.submit(BATCH, "k")
    for arn, place in zip(job.vendor_ids, ("4", ">2000", "7"), strict=True):
        service.tasks[arn].update(status="QUEUED", queueInfo={"queue": "QUANTUM_TASKS_QUEUE"})
        service.tasks[arn]["queueInfo"]["position"] = place
    assert vendor.status(job).queue_position == 7
    service.tasks[job.vendor_ids[0]]["status"] = "COMPLETED"
    assert vendor.status(job).state is VendorState.RUNNING
    vendor.cancel(job)
    assert vendor.status(job).state is VendorState.CANCELLED
    assert [c.counts is None for c in vendor.result(job).circuits] == [False, True, True]


def test_recalibrated_between_submission_and_end() -> None:
    service = BraketService(capabilities())
    vendor = open_device(service)
    job = vendor.submit(BATCH, "k")
    before = vendor.calibration()
    service.capabilities = braket_capabilities(
        DEVICE,
        natives=NATIVES,
        gate_name="CZ",
        updated_at=(START + timedelta(seconds=5)).strftime("%Y-%m-%dT%H:%M:%S"),
    )
    after = vendor.calibration()
    assert before is not None
    assert vendor.result(job).calibrations == (before, after)
    service.capabilities["service"]["updatedAt"] = "2026-11-26T23:00:00"  # long after its end
    assert vendor.calibration() not in vendor.result(job).calibrations


def test_a_managed_simulator_bills_three_seconds_at_least() -> None:
    entry = VendorEntry(
        backend_id="braket.dm1",
        vendor="braket",
        device="arn:aws:braket:::device/quantum-simulator/amazon/dm1",
        prices=Prices(usd_per_second=0.075 / 60),
        results_bucket="amazon-braket-results",
    )
    service = BraketService(capabilities())
    vendor = open_device(service, entry)
    job = vendor.submit(BATCH, "k")
    assert vendor.result(job).cost.usd is None  # it does not say how long it took
    for name, text in service.bodies.items():
        plain = json.loads(text)
        header = {"name": "braket.task_result.simulator_metadata", "version": "1"}
        plain["additionalMetadata"]["simulatorMetadata"] = {
            "braketSchemaHeader": header,
            "executionDuration": 12,
        }
        service.bodies[name] = json.dumps(plain)
    result = vendor.result(job)
    assert result.cost.usd == pytest.approx(3 * 3 * 0.075 / 60)
    assert result.calibrations == ()
    assert "verbatim" not in service.programs[0]


def test_which_failures_may_be_tried_again() -> None:
    from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError

    service = BraketService(capabilities())
    unreachable = [
        EndpointConnectionError(endpoint_url="x"),
        ConnectTimeoutError(endpoint_url="x"),
        client_error("InternalServiceException", "x"),
        client_error("DeviceOfflineException", "x"),
    ]
    for error in unreachable:
        service.fails = [error]
        with pytest.raises(VendorUnavailableError):
            open_device(service).submit(BATCH, "k")
    for code in ("DeviceRetiredException", "AccessDeniedException", "ValidationException"):
        service.fails = [client_error(code, "x")]
        with pytest.raises(VendorError) as caught:
            open_device(service).submit(BATCH, "k")
        assert not caught.value.retryable
