"""Circuits as text: what is read back from the text is the circuit that was handed in."""

from __future__ import annotations

import pytest
from qiskit import QuantumCircuit, qasm3
from qiskit.circuit import Parameter
from qiskit.quantum_info import Operator

from quantumai.errors import BadInputError
from quantumai.sdk.recorded_circuit import circuit_text


def test_a_qiskit_circuit_is_the_same_after_reading_its_text() -> None:
    circuit = QuantumCircuit(3, name="three")
    circuit.h(0)
    circuit.cp(0.3, 0, 2)
    circuit.swap(1, 2)
    circuit.u(0.1, 0.2, 0.3, 1)
    written = circuit_text(circuit)
    assert written.name == "three"
    assert Operator(qasm3.loads(written.text)).equiv(Operator(circuit))


def test_what_quantumai_does_not_run_can_still_be_recorded() -> None:
    circuit = QuantumCircuit(2, 2)
    circuit.rx(Parameter("theta"), 0)
    circuit.measure(0, 0)
    with circuit.if_test((0, 1)):
        circuit.x(1)
    circuit.reset(0)
    text = circuit_text(circuit).text
    assert "input float[64] theta;" in text
    assert "reset" in text


def test_text_is_taken_as_it_is() -> None:
    text = "// mine\nOPENQASM 3.0;\nqubit q;\n"
    assert circuit_text(text).text == text


class QuantumCircuitOfMine:
    name = "no circuit"


@pytest.mark.parametrize(
    ("circuit", "message"),
    [
        (QuantumCircuitOfMine(), "a QuantumCircuitOfMine is no circuit"),
        (None, "a NoneType is no circuit"),
        ("qubit q;", "not an OpenQASM 2 or 3 circuit"),
        ("OPENQASM 3.0;\n// \ud800\n", "not valid Unicode"),
    ],
)
def test_what_is_no_circuit_is_refused(circuit: object, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        circuit_text(circuit)


def test_a_circuit_that_has_no_text_says_why() -> None:
    from qiskit.circuit import Instruction

    circuit = QuantumCircuit(1, 1)
    circuit.append(Instruction("black box", 1, 1, []), [0], [0])
    with pytest.raises(BadInputError, match="cannot be written as OpenQASM 3"):
        circuit_text(circuit)
