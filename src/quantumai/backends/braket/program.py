"""Circuits as OpenQASM 3 for Amazon Braket, and counts out of its bit strings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import pi

from quantumai.backends.physical_circuit import NativeGate
from quantumai.backends.vendor import VendorCircuit
from quantumai.errors import BadInputError, VendorError

_SIMULATOR_NAMES = {"sx": "v", "x": "x", "cx": "cnot", "cz": "cz", "ecr": "ecr"}


def simulator_program(circuit: VendorCircuit) -> str:
    """The circuit on qubits 0, 1, ..., for a simulator, which runs all gates as they are."""
    lines = [_plain(gate, lambda q: f"q[{q}]") for gate in circuit.circuit.gates]
    count = circuit.circuit.num_qubits
    return _program([f"qubit[{count}] q;", *lines], [f"q[{q}]" for q in range(count)])


def device_program(circuit: VendorCircuit, native_gates: Iterable[str]) -> str:
    """The circuit on the device's own qubits, verbatim: Braket compiles nothing within the box.

    `native_gates` are Braket's names. Raises `BadInputError` where our gates are not among what
    they can express one to one.
    """
    natives = {name.lower() for name in native_gates}
    physical = circuit.physical_qubits
    lines = _native(circuit.circuit.gates, natives, lambda q: f"${physical[q]}")
    box = ["#pragma braket verbatim", "box {", *lines, "}"]
    return _program(box, [f"${q}" for q in physical])


def counts_by_compact_qubit(
    counts: Mapping[str, int], measured: Sequence[int], labels: Sequence[int]
) -> dict[str, int]:
    """Braket's counts, whose leftmost bit is `measured[0]`, with compact qubit 0 rightmost.

    `labels[i]` is the label of compact qubit i.
    """
    if sorted(measured) != sorted(labels):
        raise VendorError(f"Braket measured qubits {list(measured)}, not {list(labels)}")
    places = [list(measured).index(label) for label in reversed(labels)]
    turned = {"".join(bits[p] for p in places): int(count) for bits, count in counts.items()}
    return dict(sorted(turned.items()))


def _program(body: Sequence[str], measured: Sequence[str]) -> str:
    head = ["OPENQASM 3.0;", f"bit[{len(measured)}] b;"]
    tail = [f"b[{index}] = measure {qubit};" for index, qubit in enumerate(measured)]
    return "\n".join([*head, *body, *tail]) + "\n"


def _plain(gate: NativeGate, label: Callable[[int], str]) -> str:
    name = f"rz({gate.angle!r})" if gate.name == "rz" else _SIMULATOR_NAMES[gate.name]
    return f"{name} {', '.join(map(label, gate.qubits))};"


def _native(
    gates: Iterable[NativeGate], natives: set[str], label: Callable[[int], str]
) -> list[str]:
    """Gates of ours in native ones; where there is no rz, later pulses are turned instead.

    prx(t, f) = RZ(f) RX(t) RZ(-f), so RX(t) RZ(a) = RZ(a) prx(t, -a): an rz moves behind the pulse,
    through every cz, and at last into the Z measurement, which does not see it.
    """
    lines: list[str] = []
    angles: dict[int, float] = {}
    for gate in gates:
        if len(gate.qubits) == 2:
            name = _SIMULATOR_NAMES[gate.name]
            if name not in natives or (angles and name != "cz"):
                raise BadInputError(f"the device has no {gate.name} that can be run verbatim")
            lines.append(_plain(gate, label))
        elif gate.name == "rz" and "rz" not in natives and "prx" in natives:
            angles[gate.qubits[0]] = angles.get(gate.qubits[0], 0.0) + gate.angle
        elif gate.name == "rz" and "rz" in natives:
            lines.append(_plain(gate, label))
        else:
            turned = -angles.get(gate.qubits[0], 0.0)
            lines.append(f"{_pulse(gate, natives, turned)} {label(gate.qubits[0])};")
    return lines


def _pulse(gate: NativeGate, natives: set[str], turned: float) -> str:
    """Sx or x by what the device has; rx and v differ from sx by a global phase at most."""
    angle = {"sx": pi / 2, "x": pi}.get(gate.name)
    if angle is not None and "rx" in natives and "rz" in natives:
        return f"rx({angle!r})"
    if angle is not None and "prx" in natives:
        return f"prx({angle!r}, {turned!r})"
    if gate.name in _SIMULATOR_NAMES and _SIMULATOR_NAMES[gate.name] in natives:
        return _SIMULATOR_NAMES[gate.name]
    raise BadInputError(f"the device has no {gate.name} that can be run verbatim")
