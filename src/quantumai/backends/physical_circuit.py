"""A circuit in a device's native gates on compact qubits 0..n-1, and its OpenQASM 2 text.

The text is the artefact: what runs, and what a replay runs, is always read back from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from math import isfinite, pi

from quantumai.errors import BadInputError

ONE_QUBIT_GATES = ("rz", "sx", "x")
TWO_QUBIT_GATES = ("cx", "cz", "ecr")
TURNS_ABOUT = {"cx": "ZX", "ecr": "ZX", "cz": "ZZ"}
"""The axis of the interaction that makes each gate, first qubit first."""

# qelib1.inc as published has neither sx nor ecr; both definitions hold up to a global phase.
_HEADER = (
    "OPENQASM 2.0;",
    'include "qelib1.inc";',
    "gate sx a { sdg a; h a; sdg a; }",
    "gate ecr a,b { s a; sx b; cx a,b; x a; }",
)
_LINE = re.compile(r"(rz\(([^()]+)\)|sx|x|cx|cz|ecr) q\[(\d+)\](?:,q\[(\d+)\])?;")


@dataclass(frozen=True, slots=True)
class NativeGate:
    """One native gate; `angle` (radians) is only used by rz."""

    name: str
    qubits: tuple[int, ...]
    angle: float = 0.0


@dataclass(frozen=True)
class PhysicalCircuit:
    """Native gates in time order on `num_qubits` compact qubits, all starting in |0>."""

    num_qubits: int
    gates: tuple[NativeGate, ...]

    @cached_property
    def two_qubit_gate_count(self) -> int:
        """How many two-qubit gates there are: the ones that folding multiplies."""
        return sum(len(gate.qubits) == 2 for gate in self.gates)

    def to_qasm(self) -> str:
        """OpenQASM 2 text; angles are written so that they read back bit for bit."""
        lines = [*_HEADER, f"qreg q[{self.num_qubits}];"]
        for gate in self.gates:
            head = f"rz({gate.angle!r})" if gate.name == "rz" else gate.name
            lines.append(f"{head} {','.join(f'q[{q}]' for q in gate.qubits)};")
        return "\n".join(lines) + "\n"

    @classmethod
    def from_qasm(cls, text: str) -> PhysicalCircuit:
        """Read what `to_qasm` wrote; anything else is a `BadInputError`."""
        lines = text.splitlines()
        if tuple(lines[: len(_HEADER)]) != _HEADER:
            raise BadInputError("not a transpiled circuit: unexpected header")
        body = lines[len(_HEADER) :]
        size = re.fullmatch(r"qreg q\[(\d{1,4})\];", body[0]) if body else None
        if size is None:
            raise BadInputError("not a transpiled circuit: no qubit register")
        num_qubits = int(size[1])
        circuit = cls(num_qubits, tuple(_parse_gate(line, num_qubits) for line in body[1:]))
        if circuit.to_qasm() != text:  # other spellings would be other artefacts
            raise BadInputError("not a transpiled circuit: not in the form in which we write it")
        return circuit


def _parse_gate(line: str, num_qubits: int) -> NativeGate:
    match = _LINE.fullmatch(line)
    if match is None:
        raise BadInputError(f"not a native gate: {line[:60]!r}")
    name = match[1].partition("(")[0]
    qubits = tuple(int(q) for q in match.group(3, 4) if q is not None)
    expected = 1 if name in ONE_QUBIT_GATES else 2
    if len(set(qubits)) != expected or len(qubits) != expected or max(qubits) >= num_qubits:
        raise BadInputError(f"wrong qubits in native gate: {line[:60]!r}")
    try:
        angle = float(match[2]) if name == "rz" else 0.0
    except ValueError:
        raise BadInputError(f"wrong angle in native gate: {line[:60]!r}") from None
    if not isfinite(angle):
        raise BadInputError(f"wrong angle in native gate: {line[:60]!r}")
    return NativeGate(name, qubits, angle)


def measurement_rotations(basis: str) -> tuple[NativeGate, ...]:
    """Native gates that turn a Z readout into one of `basis`.

    `basis` is a Pauli string in Qiskit's order over the compact qubits; I and Z need nothing.
    RX(pi/2)^dagger Z RX(pi/2) = Y, and RZ(pi/2)^dagger Y RZ(pi/2) = X.
    """
    return tuple(_rotations(enumerate(reversed(basis))))


def _rotations(letters: Iterable[tuple[int, str]]) -> Iterable[NativeGate]:
    for qubit, letter in letters:
        if letter == "X":
            yield NativeGate("rz", (qubit,), pi / 2)
        if letter in "XY":
            yield NativeGate("sx", (qubit,))
