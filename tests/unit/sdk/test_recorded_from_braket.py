"""Amazon Braket's own objects, made by its SDK and its local simulator, taken apart."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from braket.circuits import Circuit, observables
from braket.device_schema.standardized_gate_model_qpu_device_properties_v1 import (
    StandardizedGateModelQpuDeviceProperties,
)
from braket.devices import LocalSimulator
from braket.ir.openqasm import Program

from quantumai.sdk.recorded_backend import calibration_of
from quantumai.sdk.recorded_circuit import circuit_text
from quantumai.sdk.recorded_result import result_parts

pytestmark = pytest.mark.slow  # for its import alone


def test_a_braket_circuit_is_the_same_after_braket_reads_its_text() -> None:
    circuit = Circuit().h(0).cnot(0, 1).rz(1, 0.25).ccnot(0, 1, 2)
    again = Circuit.from_ir(circuit_text(circuit).text)
    gates = [each for each in again.instructions if each.operator.name != "Measure"]
    unitary = Circuit(gates).to_unitary()
    np.testing.assert_allclose(unitary, circuit.to_unitary(), atol=1e-12)


def test_a_braket_program_is_taken_as_it_is() -> None:
    text = "// mine\nOPENQASM 3.0;\nqubit q;\n"
    assert circuit_text(Program(source=text)).text == text


def test_braket_counts_keep_qubit_0_on_the_left_and_values_their_targets() -> None:
    circuit = Circuit().x(0).i(1).i(2)
    z = observables.Z
    circuit.expectation(z() @ z(), target=[0, 2]).variance(z(), target=1)
    circuit.probability(target=[0, 1])
    parts = result_parts(LocalSimulator().run(circuit, shots=25).result())
    (histogram,) = parts.histograms
    assert histogram.counts == {"100": 25}
    assert histogram.bit_order == "leftmost-is-0"
    (value,) = parts.values
    assert (value.observable, value.value) == ("z(0)@z(2)", -1.0)
    found = {other.kind: other.value for other in parts.others}
    assert found == {"variance": 0.0, "probability": [0.0, 0.0, 1.0, 0.0]}


def test_exact_braket_results_without_shots_are_taken_too() -> None:
    circuit = Circuit().h(0).state_vector()
    parts = result_parts(LocalSimulator().run(circuit, shots=0).result())
    (other,) = parts.others
    half = pytest.approx([math.sqrt(0.5), 0])  # each amplitude as [real, imaginary]
    assert other.kind == "statevector"
    assert other.value == [half, half]
    assert parts.shots == 0


def test_an_account_number_is_not_taken_over_with_a_task_id() -> None:
    result = LocalSimulator().run(Circuit().h(0), shots=5).result()
    result.task_metadata.id = "arn:aws:braket:us-east-1:123456789012:quantum-task/abc-1"
    assert result_parts(result).vendor_job_id == "abc-1"


def test_braket_properties_are_taken_and_nothing_else_of_the_device() -> None:
    fidelity = {"fidelityType": {"name": "READOUT_ERROR"}, "fidelity": 0.9}
    standardized = StandardizedGateModelQpuDeviceProperties.parse_obj(
        {
            "braketSchemaHeader": {
                "name": "braket.device_schema.standardized_gate_model_qpu_device_properties",
                "version": "1",
            },
            "oneQubitProperties": {
                "0": {
                    "T1": {"value": 28.9, "standardError": 0.01, "unit": "us"},
                    "T2": {"value": 44.5, "standardError": 0.02, "unit": "us"},
                    "oneQubitFidelity": [fidelity],
                }
            },
            "twoQubitProperties": {},
        }
    )

    class Properties:
        service = "a secret of the service"

        def __init__(self) -> None:
            self.standardized = standardized

    class Device(LocalSimulator):
        secret = "AKIAIOSFODNN7EXAMPLE"
        properties = Properties()  # type: ignore[assignment]

    made = calibration_of(Device())
    assert made is not None
    data = json.loads(made)["data"]
    assert data["standardized"]["oneQubitProperties"]["0"]["T1"]["value"] == 28.9
    assert b"secret" not in made
    assert b"AKIA" not in made
    assert calibration_of(LocalSimulator()) is None
