"""Circuits from OpenQASM 2, OpenQASM 3 and Qiskit.

OpenQASM 2 knows every gate of Qiskit's standard library by name without a definition, since
Qiskit writes some of them that way; a definition in the text takes precedence.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quantumai.bounded_reading import read_bounded, shown_path
from quantumai.circuits.circuit import Circuit, SourceFormat
from quantumai.circuits.qasm_expansion import QasmOutline
from quantumai.circuits.qasm_limits import outline
from quantumai.circuits.qasm_tokens import MAX_SOURCE_BYTES, check_size, one_line
from quantumai.circuits.reduction import standard_gates, unitary_part
from quantumai.errors import BadInputError

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

_POSITION = re.compile(r"^(?:<input>:)?(\d+),(\d+): ")


def load_circuit_file(path: Path | str) -> Circuit:
    """Load a circuit from an OpenQASM file; its name is the file's stem.

    Raises `BadInputError` when the file cannot be read, is too large or is no usable circuit.
    """
    path = Path(path)
    data = read_bounded(path, MAX_SOURCE_BYTES, "the circuit")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise BadInputError(
            f"{shown_path(path)} is not UTF-8 text", hint="give an OpenQASM 2 or 3 file"
        ) from None
    return load_circuit(text, name=path.stem)


def load_circuit(text: str, *, name: str = "circuit") -> Circuit:
    """Load a circuit from OpenQASM 2 or 3 text; the `OPENQASM` line says which.

    Limits are checked before parsing (see `qasm_limits`), and no other file is ever read.
    Every failure is a `BadInputError` of one line, with the line number where it is known.
    """
    try:
        check_size(len(text.encode()))
    except UnicodeEncodeError:
        raise BadInputError("the circuit is not valid Unicode text") from None
    known = outline(text)
    try:
        parsed = _parse_qasm2(text, known) if known.version == 2 else _parse_qasm3(text)
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # a panic in Qiskit's Rust parser is no Exception
        raise _parse_error(error, known.version) from None
    quantum, measured = unitary_part(parsed)
    source_format: SourceFormat = "openqasm2" if known.version == 2 else "openqasm3"
    return Circuit(text, source_format, quantum, one_line(name), measured)


def from_qiskit(qc: QuantumCircuit, *, name: str | None = None) -> Circuit:
    """Turn a Qiskit circuit into a `Circuit` whose source is OpenQASM 2 written by Qiskit.

    The circuit is first reduced to standard gates (see `reduction`), which OpenQASM 2 can
    always express; final measurements are kept in the source. The result is loaded back from
    that source, so a replay from it is exact. It equals `qc` up to global phase and up to
    Qiskit's rounding of angles within 1e-12 of a fraction of pi.
    """
    from qiskit import ClassicalRegister, qasm2

    written, measured = unitary_part(qc)
    if measured:
        written.add_register(ClassicalRegister(len(measured), "c"))
        written.measure(measured, range(len(measured)))
    return load_circuit(qasm2.dumps(written), name=name or str(qc.name))


def _parse_qasm2(text: str, known: QasmOutline) -> QuantumCircuit:
    from qiskit import qasm2

    legacy = qasm2.LEGACY_CUSTOM_INSTRUCTIONS
    written_by_qiskit = {instruction.name for instruction in legacy}
    instructions = list(legacy)
    for gate_name, gate in standard_gates().items():
        if gate_name not in written_by_qiskit and gate_name != "global_phase":
            example = _example(gate_name)
            instructions.append(
                qasm2.CustomInstruction(
                    gate_name, len(example.params), example.num_qubits, gate, builtin=True
                )
            )
    # Qiskit would silently put its own gate in place of the text's definition, and a register
    # may carry the name of a gate that the text never declares.
    usable = [
        instruction
        for instruction in instructions
        if instruction.name not in known.gate_costs
        and not (instruction.builtin and instruction.name in known.registers)
    ]
    return qasm2.loads(
        text,
        include_path=(),
        custom_instructions=usable,
        custom_classical=qasm2.LEGACY_CUSTOM_CLASSICAL,
    )


def _example(gate_name: str) -> Any:
    from qiskit.circuit.library import get_standard_gate_name_mapping

    return get_standard_gate_name_mapping()[gate_name]


def _parse_qasm3(text: str) -> QuantumCircuit:
    from qiskit import qasm3

    return qasm3.loads(text)


def _parse_error(error: BaseException, version: int) -> BadInputError:
    if isinstance(error, RecursionError | MemoryError):
        return BadInputError("the circuit's expressions are nested too deeply")
    message = getattr(error, "message", None) or str(error)
    if not message:
        message = _stopped_at(error)
    message = _POSITION.sub(r"line \1: ", str(message).strip("\"'"))
    return BadInputError(
        one_line(f"not valid OpenQASM {version}: {message}".rstrip(": ")),
        hint=f"check the text against OpenQASM {version}",
    )


def _stopped_at(error: BaseException) -> str:
    """Where the OpenQASM 3 parser gave up; it keeps the token on the error's cause."""
    for reason in getattr(error.__cause__, "args", ()):
        token = getattr(reason, "offendingToken", None)
        if token is not None:
            return f"line {token.line}: cannot be read from {token.text!r} on"
    return ""
