"""Circuits made elsewhere: a folder of OpenQASM files as benchmark circuits.

A circuit's parameters are its file's name and the SHA-256 of its text, so that whoever holds the
text can make it again, and nobody has to go back to the folder.
"""

from __future__ import annotations

from pathlib import Path

from quantumai.bounded_reading import shown_path
from quantumai.circuits.families.family import MAX_QUBITS, MIN_QUBITS, BenchmarkCircuit
from quantumai.circuits.families.paulis import z_and_zz
from quantumai.circuits.loading import load_circuit, load_circuit_file
from quantumai.errors import BadInputError

IMPORTED = "imported"
"""Name of the family and of its only variant."""
MAX_FILES = 1000


def imported_circuits(folder: Path) -> tuple[BenchmarkCircuit, ...]:
    """Every `*.qasm` file in `folder`, by name; observables: Z of all qubits, ZZ of neighbours.

    Raises `BadInputError` for a folder without any, and for a file that is no usable circuit of
    4 to 12 qubits; the message names the file.
    """
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix == ".qasm")
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL in it
        reason = getattr(error, "strerror", None) or str(error)
        raise BadInputError(f"cannot read {shown_path(folder)}: {reason}") from None
    if not 1 <= len(files) <= MAX_FILES:
        raise BadInputError(
            f"{shown_path(folder)} has {len(files)} OpenQASM files",
            hint=f"give a folder with 1 to {MAX_FILES} files named *.qasm",
        )
    return tuple(_load(file) for file in files)


def imported_circuit(source: str, file: str) -> BenchmarkCircuit:
    """The benchmark circuit of an OpenQASM text; `file` names it. Raises `BadInputError`."""
    circuit = load_circuit(source, name=Path(file).stem)
    if not MIN_QUBITS <= circuit.num_qubits <= MAX_QUBITS:
        raise BadInputError(
            f"it has {circuit.num_qubits} qubits",
            hint=f"circuits of a benchmark have {MIN_QUBITS} to {MAX_QUBITS}",
        )
    parameters = {"file": file, "sha256": circuit.sha256}
    return BenchmarkCircuit(
        IMPORTED, IMPORTED, parameters, 0, circuit, z_and_zz(circuit.num_qubits)
    )


def _load(file: Path) -> BenchmarkCircuit:
    name = shown_path(file.name)
    try:
        if not file.name.isprintable():  # a name that is no text would not go into a table
            raise BadInputError("its name is no printable text", hint="rename it")
        return imported_circuit(load_circuit_file(file).source, file.name)
    except BadInputError as error:
        raise BadInputError(f"{name}: {error}", hint=error.hint) from None
