"""Circuits made elsewhere: a folder of OpenQASM files as benchmark circuits."""

from __future__ import annotations

from pathlib import Path

from quantumai.bounded_reading import shown_path
from quantumai.circuits.circuit import Circuit
from quantumai.circuits.families.family import MAX_QUBITS, MIN_QUBITS, BenchmarkCircuit
from quantumai.circuits.families.paulis import z_and_zz
from quantumai.circuits.loading import load_circuit_file
from quantumai.errors import BadInputError

MAX_FILES = 1000


def imported_circuits(folder: Path) -> tuple[BenchmarkCircuit, ...]:
    """Every `*.qasm` file in `folder`, by name; observables: Z of all qubits, ZZ of neighbours.

    Raises `BadInputError` for a folder without any, and for a file that is no usable circuit of
    4 to 10 qubits; the message names the file.
    """
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix == ".qasm")
    except OSError as error:
        raise BadInputError(f"cannot read {shown_path(folder)}: {error.strerror}") from None
    if not 1 <= len(files) <= MAX_FILES:
        raise BadInputError(
            f"{shown_path(folder)} has {len(files)} OpenQASM files",
            hint=f"give a folder with 1 to {MAX_FILES} files named *.qasm",
        )
    found = []
    for file in files:
        circuit = _load(file)
        observables = z_and_zz(circuit.num_qubits)
        parameters = {"file": file.name}
        found.append(BenchmarkCircuit("imported", "file", parameters, 0, circuit, observables))
    return tuple(found)


def _load(file: Path) -> Circuit:
    try:
        circuit = load_circuit_file(file)
    except BadInputError as error:
        raise BadInputError(f"{shown_path(file.name)}: {error}", hint=error.hint) from None
    if not MIN_QUBITS <= circuit.num_qubits <= MAX_QUBITS:
        raise BadInputError(
            f"{shown_path(file.name)} has {circuit.num_qubits} qubits",
            hint=f"circuits of a benchmark have {MIN_QUBITS} to {MAX_QUBITS}",
        )
    return circuit
