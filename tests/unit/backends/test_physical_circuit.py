"""The transpiled circuit's text: bit-exact, readable by strict parsers, nothing else accepted."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit, qasm2
from qiskit.quantum_info import Operator, Pauli

from quantumai.backends.physical_circuit import NativeGate, PhysicalCircuit, measurement_rotations
from quantumai.circuits.loading import load_circuit
from quantumai.errors import BadInputError
from tests.synthetic_devices import random_native

_ANGLES = st.floats(allow_nan=False, allow_infinity=False)
_PAIRS = st.sampled_from([(0, 1), (1, 0), (2, 0), (1, 2)])
_GATES = st.one_of(
    st.builds(NativeGate, st.just("rz"), st.tuples(st.integers(0, 2)), _ANGLES),
    st.builds(NativeGate, st.sampled_from(["sx", "x"]), st.tuples(st.integers(0, 2))),
    st.builds(NativeGate, st.sampled_from(["cx", "cz", "ecr"]), _PAIRS),
)


@settings(derandomize=True, deadline=None)
@given(st.lists(_GATES, max_size=12))
def test_round_trip_is_bit_exact(gates: list[NativeGate]) -> None:
    circuit = PhysicalCircuit(3, tuple(gates))
    text = circuit.to_qasm()
    again = PhysicalCircuit.from_qasm(text)
    assert again == circuit
    assert again.to_qasm() == text
    signs = [math.copysign(1, gate.angle) for gate in again.gates]
    assert signs == [math.copysign(1, gate.angle) for gate in gates]  # -0.0 == 0.0 hides this


def _by_methods(circuit: PhysicalCircuit) -> QuantumCircuit:
    built = QuantumCircuit(circuit.num_qubits)
    for gate in circuit.gates:
        arguments = (gate.angle, *gate.qubits) if gate.name == "rz" else gate.qubits
        getattr(built, gate.name)(*arguments)
    return built


@pytest.mark.parametrize("gate", ["cx", "cz", "ecr"])
def test_other_parsers_read_the_same_unitary(gate: str) -> None:
    circuit = random_native(3, 40, gate, np.random.default_rng(1))
    wanted = Operator(_by_methods(circuit))
    text = circuit.to_qasm()
    assert Operator(qasm2.loads(text, strict=True)).equiv(wanted)
    assert Operator(QuantumCircuit.from_qasm_str(text)).equiv(wanted)
    assert Operator(load_circuit(text).quantum).equiv(wanted)


_TEXT = PhysicalCircuit(2, (NativeGate("rz", (0,), 0.5), NativeGate("ecr", (1, 0)))).to_qasm()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("OPENQASM 2.0;", "OPENQASM 3.0;"),
        ("gate sx a { sdg a; h a; sdg a; }", "gate sx a { x a; }"),
        ("gate sx a { sdg a; h a; sdg a; }\n", ""),
        ("qreg q[2];\n", ""),
        ("qreg q[2];", "qreg q[1];"),
        ("qreg q[2];", "qreg q[99999];"),
        ("qreg q[2];", "qreg q[02];"),
        ("ecr q[1],q[0];", "ecr q[1],q[1];"),
        ("ecr q[1],q[0];", "ecr q[1];"),
        ("ecr q[1],q[0];", "ecr q[1],q[2];"),
        ("ecr q[1],q[0];", "x q[1],q[0];"),
        ("ecr q[1],q[0];", "h q[1];"),
        ("ecr q[1],q[0];", "ecr q[1],q[0]; x q[0];"),
        ("rz(0.5)", "rz"),
        ("rz(0.5)", "rz(nan)"),
        ("rz(0.5)", "rz(inf)"),
        ("rz(0.5)", "rz(1e999)"),
        ("rz(0.5)", "rz(pi/2)"),
        ("rz(0.5)", "rz(0.50)"),
        ("rz(0.5)", "rz(٠.٥)"),
        ("rz(0.5) q[0];\n", "rz(0.5) q[0];\n\n"),
        ("rz(0.5) q[0];\n", "rz(0.5) q[0];\u2028"),
        ("rz(0.5) q[0];\n", "rz(0.5) q[0];\r\n"),
        ("rz(0.5) q[0];\n", "rz(0.5) q[0];\n// comment\n"),
    ],
)
def test_anything_else_is_refused(old: str, new: str) -> None:
    assert old in _TEXT
    with pytest.raises(BadInputError) as caught:
        PhysicalCircuit.from_qasm(_TEXT.replace(old, new))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "\n", "garbage", _TEXT[:-1], _TEXT + "\n", "\0" * 50])
def test_garbage_is_refused(text: str) -> None:
    with pytest.raises(BadInputError):
        PhysicalCircuit.from_qasm(text)


@pytest.mark.parametrize("basis", ["X", "Y", "Z", "I", "XYZ", "ZIY", "YYX"])
def test_rotations_turn_the_basis_into_z(basis: str) -> None:
    size = len(basis)
    rotation = Operator(_by_methods(PhysicalCircuit(size, measurement_rotations(basis)))).data
    read = Pauli("".join("I" if letter == "I" else "Z" for letter in basis)).to_matrix()
    measured = rotation.conj().T @ read @ rotation
    np.testing.assert_allclose(measured, Pauli(basis).to_matrix(), atol=1e-12)


def test_counts_two_qubit_gates() -> None:
    gates = (NativeGate("cx", (0, 1)), NativeGate("sx", (0,)), NativeGate("cx", (1, 0)))
    assert PhysicalCircuit(2, gates).two_qubit_gate_count == 2
