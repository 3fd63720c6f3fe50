"""What happens to qubits that wait: an as-soon-as-possible schedule, and gates for the waiting.

A gate begins when all its qubits are free, a folded one lasts as many times as long, rz takes no
time and ends no waiting, and all qubits are read when the last gate has ended; the change of basis
belongs to the readout and comes after all waiting. Waiting becomes two pseudo-gates: `idle` on one
qubit, its angle being the seconds waited, right before the qubit's next gate; and `zz` on two
coupled qubits that wait together, right before the first of them goes on. The static rate zeta
turns them by RZZ(pi zeta t), since H = (zeta/4) ZZ in units of 2 pi hbar.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import pi

from quantumai.backends.noise import DeviceNoise, IdleNoise
from quantumai.backends.physical_circuit import (
    NativeGate,
    PhysicalCircuit,
    measurement_rotations,
)

IDLE, ZZ = "idle", "zz"


def scheduled(
    circuit: PhysicalCircuit, basis: str, noise: DeviceNoise, folds: Sequence[int]
) -> tuple[tuple[NativeGate, ...], tuple[int, ...]]:
    """Gates in order of their start with the waiting between them, and folds to match.

    `folds` has an entry for each two-qubit gate of `circuit`; the result one for each `zz` too.
    The gates that turn the readout into `basis` come last.
    """
    rotations = measurement_rotations(basis)
    if noise.idle is None:
        return (*circuit.gates, *rotations), tuple(folds)
    waiting = _Waiting(noise.num_qubits, noise.idle)
    placed: list[NativeGate] = []
    counts: list[int] = []
    for begins_s, ends_s, gate, fold in _in_time(circuit.gates, noise, folds):
        if gate.name != "rz":
            for waited in waiting.until(begins_s, gate.qubits):
                placed.append(waited)
                counts += [1] * (len(waited.qubits) == 2)
            waiting.busy(gate.qubits, ends_s)
        placed.append(gate)
        counts += [fold] * (len(gate.qubits) == 2)
    for waited in waiting.until(max(waiting.free_s), range(noise.num_qubits)):
        placed.append(waited)
        counts += [1] * (len(waited.qubits) == 2)
    return (*placed, *rotations), tuple(counts)


def waiting_schedule(
    circuit: PhysicalCircuit, noise: DeviceNoise, zz_hz: float
) -> tuple[NativeGate, ...]:
    """The circuit with all its waiting, as if qubits relaxed and coupled ones had this ZZ rate."""
    pairs = sorted({(min(ends), max(ends)) for ends in noise.two_qubit})
    assumed = replace(noise, idle=IdleNoise(True, zz_hz, tuple(pairs)))
    once = [1] * circuit.two_qubit_gate_count
    return scheduled(circuit, "Z" * circuit.num_qubits, assumed, once)[0]


class _Waiting:
    """Since when each qubit waits."""

    def __init__(self, num_qubits: int, idle: IdleNoise) -> None:
        self.free_s = [0.0] * num_qubits
        self._relaxes, self._rate_hz = idle.relaxes, idle.zz_crosstalk_hz
        self._met_s = dict.fromkeys(idle.neighbours, 0.0)
        self._pairs: list[list[tuple[int, int]]] = [[] for _ in range(num_qubits)]
        for pair in idle.neighbours if idle.zz_crosstalk_hz else ():
            for qubit in pair:
                self._pairs[qubit].append(pair)

    def until(self, now_s: float, qubits: Sequence[int]) -> Iterator[NativeGate]:
        """What waiting did to `qubits` by now; afterwards they count as met up to now."""
        for qubit in qubits:
            for pair in self._pairs[qubit]:
                first, second = pair
                since_s = max(self.free_s[first], self.free_s[second], self._met_s[pair])
                if now_s > since_s:
                    self._met_s[pair] = now_s
                    yield NativeGate(ZZ, pair, pi * self._rate_hz * (now_s - since_s))
        for qubit in qubits if self._relaxes else ():
            if now_s > self.free_s[qubit]:
                yield NativeGate(IDLE, (qubit,), now_s - self.free_s[qubit])

    def busy(self, qubits: Sequence[int], until_s: float) -> None:
        """They do not wait until then."""
        for qubit in qubits:
            self.free_s[qubit] = until_s


def _in_time(
    gates: Sequence[NativeGate], noise: DeviceNoise, folds: Sequence[int]
) -> list[tuple[float, float, NativeGate, int]]:
    """Start and end of each gate in seconds, the gate, and how often it runs, by start."""
    free_s = [0.0] * noise.num_qubits
    remaining = iter(folds)
    found = []
    for gate in gates:
        fold = next(remaining) if len(gate.qubits) == 2 else 1
        begins_s = max(free_s[qubit] for qubit in gate.qubits)
        ends_s = begins_s + _duration_s(gate, noise, fold)
        for qubit in gate.qubits:
            free_s[qubit] = ends_s
        found.append((begins_s, ends_s, gate, fold))
    return sorted(found, key=lambda entry: entry[0])  # stable: what starts together stays in order


def _duration_s(gate: NativeGate, noise: DeviceNoise, fold: int) -> float:
    if gate.name == "rz":
        return 0.0
    if len(gate.qubits) == 1:
        return noise.one_qubit[gate.qubits[0]].duration_s
    first, second = gate.qubits
    return fold * noise.two_qubit[first, second].duration_s
