"""Packaged IBM calibration, checked against the files themselves and IBM's own reader."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from quantumai.backends.calibration import CalibrationSnapshot
from quantumai.backends.catalogue import load_catalogue
from quantumai.backends.ibm_fake import backend_id_of, read_snapshot
from quantumai.canonical import sha256_hex
from quantumai.errors import BadInputError

DEVICES = [entry.device for entry in load_catalogue()]


def _properties(device: str) -> Any:
    import qiskit_ibm_runtime

    root = Path(qiskit_ibm_runtime.__file__).parent / "fake_provider" / "backends"
    return json.loads((root / device / f"props_{device}.json").read_text())


@pytest.mark.parametrize("device", DEVICES)
def test_exclusions_are_those_seen_in_the_file(device: str) -> None:
    snapshot = read_snapshot(device)
    properties = _properties(device)

    def value(parameters: list[dict[str, Any]], name: str) -> float:
        return next(float(p["value"]) for p in parameters if p["name"] == name)

    bad_qubits = {
        index
        for index, qubit in enumerate(properties["qubits"])
        if max(value(qubit, "prob_meas0_prep1"), value(qubit, "prob_meas1_prep0")) >= 0.5
    } | {
        gate["qubits"][0]
        for gate in properties["gates"]
        if gate["gate"] == "sx" and value(gate["parameters"], "gate_error") >= 0.1
    }
    gates = [g for g in properties["gates"] if g["gate"] == snapshot.two_qubit_gate]
    expected = [
        tuple(g["qubits"])
        for g in gates
        if value(g["parameters"], "gate_error") < 0.5 and not bad_qubits & set(g["qubits"])
    ]
    assert [(edge.control, edge.target) for edge in snapshot.edges] == expected
    assert {i for i, q in enumerate(snapshot.qubits) if not q.operational} == bad_qubits
    told = [r for r in snapshot.repairs if r.what.startswith("edge excluded")]
    assert len(told) == len(gates) - len(expected)
    clipped = [r for r in snapshot.repairs if r.what.startswith("T2 ")]
    assert len(clipped) == sum(value(q, "T2") > 2 * value(q, "T1") for q in properties["qubits"])
    moment = datetime.fromisoformat(snapshot.created_at)
    assert moment == datetime.fromisoformat(properties["last_update_date"])
    assert snapshot.created_at.endswith("Z")
    assert snapshot.snapshot_id == f"cal-{backend_id_of(device)}-{snapshot.created_at}"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lima", "brisbane", "torino"])
def test_numbers_and_units_are_those_of_ibms_own_reader(name: str) -> None:
    from qiskit_ibm_runtime import fake_provider

    theirs = getattr(fake_provider, f"Fake{name.title()}{'V2' if name == 'lima' else ''}")()
    properties = theirs.properties()
    ours = read_snapshot(name)
    assert ours.num_qubits == theirs.num_qubits
    for index, qubit in enumerate(ours.qubits):
        if qubit.operational:
            assert qubit.t1_s == pytest.approx(properties.t1(index), rel=1e-12)
            reported = properties.t2(index)
            assert qubit.t2_s == pytest.approx(min(reported, 2 * qubit.t1_s), rel=1e-12)
            assert qubit.sx_duration_s == pytest.approx(properties.gate_length("sx", index))
            for name in ("prob_meas1_prep0", "prob_meas0_prep1"):
                assert getattr(qubit, name) == properties.qubit_property(index, name)[0]
            assert qubit.sx_error == properties.gate_error("sx", index)
            # QubitCalibration stands for sx and x alike.
            assert qubit.sx_error == properties.gate_error("x", index)
    for edge in ours.edges:
        pair = [edge.control, edge.target]
        assert edge.error == properties.gate_error(ours.two_qubit_gate, pair)
        length = properties.gate_length(ours.two_qubit_gate, pair)
        assert edge.duration_s == pytest.approx(length, rel=1e-12)


def test_the_bytes_are_stable_and_read_back() -> None:
    first, second = read_snapshot("hanoi"), read_snapshot("hanoi")
    data = first.to_bytes()
    assert data == second.to_bytes()
    assert CalibrationSnapshot.from_bytes(data) == first
    assert first.sha256 == sha256_hex(data)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"num_qubits":5', b'"num_qubits":6'),
        (b'"two_qubit_gate":"cx"', b'"two_qubit_gate":"cy"'),
        (b'"control":0,', b'"control":7,'),
        (b'"control":0,', b'"control":-1,'),
        (b'"prob_meas0_prep1":0.', b'"prob_meas0_prep1":5.'),
        (b'"t1_s":0.', b'"t1_s":-0.'),
        (b'"t1_s":0.', b'"t1_s":1e999,"t1_s":0.'),
        (b'"backend_id"', b'"Backend_id"'),
        (b"}", b""),
    ],
)
def test_a_damaged_snapshot_is_refused(old: bytes, new: bytes) -> None:
    data = read_snapshot("lima").to_bytes()
    assert old in data
    with pytest.raises(BadInputError):
        CalibrationSnapshot.from_bytes(data.replace(old, new, 1))


@pytest.mark.parametrize(
    "device", ["nowhere", "../backends/lima", "Lima", "", ".", "cairo", "rome/"]
)
def test_an_unknown_or_unfit_device_is_refused_with_a_hint(device: str) -> None:
    with pytest.raises(BadInputError) as caught:
        read_snapshot(device)
    assert caught.value.hint
    assert "\n" not in str(caught.value)


def test_reading_does_not_import_qiskit() -> None:
    script = (
        "import sys; from quantumai.backends.ibm_fake import read_snapshot; read_snapshot('lima');"
        "sys.exit(any(m.split('.')[0].startswith('qiskit') for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
