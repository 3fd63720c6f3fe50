"""Results taken apart: against circuits whose outcomes are known without any library."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import ClassicalRegister, Parameter, QuantumRegister
from qiskit.primitives import StatevectorEstimator, StatevectorSampler
from qiskit.providers.basic_provider import BasicSimulator
from qiskit.quantum_info import Pauli, SparsePauliOp

from quantumai.errors import BadInputError
from quantumai.sdk.recorded_result import result_parts


def lowest_qubit_flipped(num_qubits: int = 3) -> QuantumCircuit:
    circuit = QuantumCircuit(num_qubits)
    circuit.x(0)
    circuit.measure_all()
    return circuit


def rotation() -> QuantumCircuit:
    circuit = QuantumCircuit(1)
    circuit.rx(Parameter("theta"), 0)
    return circuit


def test_qiskit_counts_keep_qubit_0_on_the_right() -> None:
    circuits = [lowest_qubit_flipped(), lowest_qubit_flipped(2)]
    parts = result_parts(BasicSimulator().run(circuits, shots=30).result())
    assert [h.counts for h in parts.histograms] == [{"001": 30}, {"01": 30}]
    assert [h.circuit for h in parts.histograms] == [0, 1]
    assert {h.bit_order for h in parts.histograms} == {"rightmost-is-0"}
    assert parts.circuits == 2
    assert parts.shots == 60


def test_registers_of_one_circuit_are_histograms_that_share_their_shots() -> None:
    circuit = QuantumCircuit(
        QuantumRegister(2), ClassicalRegister(1, "a"), ClassicalRegister(1, "b")
    )
    circuit.x(0)
    circuit.measure([0, 1], [0, 1])
    parts = result_parts(StatevectorSampler().run([circuit], shots=20).result())
    assert {h.label: h.counts for h in parts.histograms} == {"a": {"1": 20}, "b": {"0": 20}}
    assert parts.shots == 20


def test_a_sweep_of_a_sampler_keeps_each_places_counts() -> None:
    circuit = rotation()
    circuit.measure_all()
    job = StatevectorSampler().run([(circuit, [[0.0], [math.pi]])], shots=10)
    parts = result_parts(job.result())
    assert {h.index: h.counts for h in parts.histograms} == {(0,): {"0": 10}, (1,): {"1": 10}}
    assert parts.shots == 20


def test_values_of_an_estimator_are_cosines_of_the_angle() -> None:
    angles = [0.0, 0.4, 2.0]
    pub = (rotation(), [[SparsePauliOp("Z"), SparsePauliOp("X")]], [[[a]] for a in angles])
    result = StatevectorEstimator().run([pub]).result()
    parts = result_parts(result, ["Z", "X"])
    found = {(v.index, v.observable): v.value for v in parts.values}
    for place, angle in enumerate(angles):
        assert found[(place, 0), "Z"] == pytest.approx(math.cos(angle))
        assert found[(place, 1), "X"] == pytest.approx(0, abs=1e-12)
    assert all(v.std_err == 0 for v in parts.values)
    assert not parts.histograms


@pytest.mark.parametrize(
    ("observable", "name"),
    [
        (Pauli("ZI"), "ZI"),
        (SparsePauliOp(["ZI", "XX"], [0.5, -1]), "0.5*ZI + -1.0*XX"),
        ("Z0", "Z0"),
    ],
)
def test_observables_are_named_as_their_library_writes_them(observable: Any, name: str) -> None:
    (value,) = result_parts([0.5], [observable]).values
    assert value.observable == name


def test_plain_counts_and_numpy_integers() -> None:
    parts = result_parts([{"0 1": np.int64(3)}, {"11": 4, "00": 0}])
    assert [h.counts for h in parts.histograms] == [{"0 1": 3}, {"11": 4, "00": 0}]
    assert type(parts.histograms[0].counts["0 1"]) is int


@pytest.mark.parametrize(
    ("result", "observables", "message"),
    [
        ({}, None, "the counts are empty"),
        ({"01": 0}, None, "the counts are empty"),
        ({"0x1": 4}, None, "an outcome '0x1'"),
        ({1: 4}, None, "an outcome 1"),
        ({" ": 4}, None, "an outcome ' '"),
        ({"0": -1}, None, "has the count -1"),
        ({"0": 0.5}, None, "has the count 0.5"),
        ({"0": True}, None, "has the count True"),
        ({"0": 2**53 + 1}, None, "has the count"),
        ([], None, "a list is no result"),
        (0.5, None, "a float is no result"),
        ([0.5, 0.1], ["Z"], "2 values do not go with 1 observables"),
        ([math.nan], ["Z"], "Z is nan"),
        ([1j], ["Z"], "not real numbers"),
        (["0.5"], ["Z"], "not real numbers"),
        ([10**400], ["Z"], "not real numbers"),
        ([[1.0], [1.0, 2.0]], ["Z"], "no array of numbers"),
        ({"0": 10**6000}, None, "has the count such a long int"),
        ({"0": 1, "01": 1}, None, "as many bits"),
        ({"0 00": 1, "00 0": 1}, None, "as many bits"),
        ({"0" * 10_001: 1}, None, "as many bits"),
        ([0.5], "Z", "observables are a list"),
        ([0.5], {"Z": 1}, "observables are a list"),
        ([0.5], 5, "observables are a list"),
        ([0.5], SparsePauliOp("Z"), "observables are a list"),
        ([0.5], ["Z\x1b[2J"], "is no observable"),
        ([0.5], [""], "is no observable"),
        ([0.5, 0.1], ["Z", "Z"], "'Z' is given twice"),
        ([0.5, 0.1], ["Z", "ZZ"], "differ in width"),
        ([0.5], [3], "a int is no observable"),
    ],
)
def test_what_is_no_result_is_refused(result: Any, observables: Any, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        result_parts(result, observables)


def test_a_run_that_failed_or_measured_nothing_is_no_result() -> None:
    from qiskit_aer import AerSimulator

    unmeasured = QuantumCircuit(1)
    unmeasured.h(0)
    unmeasured.save_statevector()
    with pytest.raises(BadInputError, match="circuit 0 of the result has no counts"):
        result_parts(AerSimulator().run(unmeasured).result())
    done = BasicSimulator().run(lowest_qubit_flipped(), shots=3).result()
    done.success = False
    with pytest.raises(BadInputError, match="the run failed"):
        result_parts(done)
