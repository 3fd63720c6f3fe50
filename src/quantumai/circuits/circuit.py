"""The circuit as every later step sees it: its source text and the unitary part of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from quantumai.canonical import sha256_hex

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

SourceFormat = Literal["openqasm2", "openqasm3"]


@dataclass(frozen=True)
class Circuit:
    """A loaded circuit; loading `source` again gives an equal `quantum`.

    `quantum` holds gates of Qiskit's standard library only: no measurement, barrier, classical
    bit or free parameter. Its qubits are numbered as declared in `source`.
    `measured_qubits` are the qubits that `source` measured at its end, in ascending order.
    Two circuits are equal when source and format are.
    """

    source: str
    source_format: SourceFormat
    quantum: QuantumCircuit = field(compare=False, repr=False)
    name: str = field(default="circuit", compare=False)
    measured_qubits: tuple[int, ...] = field(default=(), compare=False)

    @property
    def num_qubits(self) -> int:
        """Number of declared qubits, idle ones included."""
        return int(self.quantum.num_qubits)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the source's UTF-8 bytes, lower-case hex."""
        return sha256_hex(self.source.encode())
