"""Circuits of a recorded run as OpenQASM text: from Qiskit, Amazon Braket, or text as it is.

Unlike a circuit that QuantumAI runs, a recorded one may hold anything that OpenQASM can say:
measurements in between, control flow, resets, free parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from quantumai.circuits.qasm_tokens import one_line, qasm_version
from quantumai.errors import BadInputError, QuantumAIError
from quantumai.sdk.foreign import is_a

MAX_TEXT_BYTES = 64 << 20
"""The longest artefact that a verifier reads."""

_HINT = "give a qiskit QuantumCircuit, a braket Circuit, or OpenQASM text"


@dataclass(frozen=True)
class CircuitText:
    """A circuit's OpenQASM text and the name that its maker gave it.

    `num_qubits` is None where that is not told without reading the text.
    """

    text: str
    name: str
    num_qubits: int | None = None


def circuit_text(circuit: Any) -> CircuitText:
    """The OpenQASM text of a circuit. Raises `BadInputError` for what is none.

    A Qiskit or Braket circuit is written by its own library as OpenQASM 3.
    """
    if isinstance(circuit, str):
        return CircuitText(_checked(circuit), "circuit")
    try:
        found = _written(circuit)
    except QuantumAIError:
        raise
    except Exception as error:  # whatever the other library raises says why
        reason = one_line(f"{type(error).__name__}: {error}")
        raise BadInputError(
            f"the circuit cannot be written as OpenQASM 3: {reason}",
            hint="decompose what the writer does not know, or give OpenQASM text",
        ) from error
    return CircuitText(_checked(found.text), one_line(found.name) or "circuit", found.num_qubits)


def _written(circuit: Any) -> CircuitText:
    if is_a(circuit, "qiskit", "QuantumCircuit"):
        from qiskit import qasm3

        return CircuitText(qasm3.dumps(circuit), str(circuit.name), circuit.num_qubits)
    if is_a(circuit, "braket", "Circuit"):
        from braket.circuits.serialization import IRType

        return CircuitText(circuit.to_ir(ir_type=IRType.OPENQASM).source, "circuit")
    if is_a(circuit, "braket", "Program") and isinstance(getattr(circuit, "source", None), str):
        return CircuitText(circuit.source, "circuit")
    raise BadInputError(f"a {type(circuit).__name__} is no circuit", hint=_HINT)


def _checked(text: str) -> str:
    qasm_version(text)
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise BadInputError("the circuit is not valid Unicode text") from None
    if size > MAX_TEXT_BYTES:
        raise BadInputError(f"the circuit's text is larger than {MAX_TEXT_BYTES} bytes")
    return text
