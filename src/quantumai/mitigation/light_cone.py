"""How much of an observable's value survives the noise, by its light cone.

The observable is followed backwards through the transpiled circuit (Heisenberg picture) as a
distribution over Pauli letters per qubit: it starts on its own letters, and a block of gates with
ideal Pauli-transfer matrix R moves weight from row i to column j with probability R[i, j]^2, signs
and correlations between blocks forgotten. A gate damps the signal by its noise channel
(`GateNoise.signal`: gate error, T1 and T2 of the mapped qubits) with the probability that the
observable is not the identity there. Outside the light cone that probability is exactly zero.

The weight that ends on I and Z letters is what |0...0> turns into the ideal value, so it is also
the prior on that value's mean square.

On request it also follows what waiting would cost, as the calibration has T1, T2 and gate lengths:
relaxation, and a static ZZ coupling of waiting neighbours. Whether a device does so, and how much,
no calibration tells; these are for models that learn it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from quantumai.backends.gate_fusion import IdealGates, fuse
from quantumai.backends.idling import IDLE, ZZ, waiting_schedule
from quantumai.backends.noise import DeviceNoise
from quantumai.backends.pauli_transfer import Matrix
from quantumai.backends.physical_circuit import NativeGate, PhysicalCircuit
from quantumai.backends.simulator import no_folding
from quantumai.mitigation.readout import Array

REFERENCE_ZZ_HZ = 1e5
"""The static ZZ rate whose cost is told; the cost of others grows with the square."""


@dataclass(frozen=True)
class LightCone:
    """Shape (observables,) each; the signal at noise factor k is exp(fixed_log + k folded_log).

    Only `folded_log` grows with the noise factor, since only two-qubit gates are folded. Readout is
    not in it. `mean_square` is the prior expectation of the squared ideal value.

    `idle_log` is what relaxation while waiting would add at noise factor 1, and `zz_log` what a ZZ
    rate of `REFERENCE_ZZ_HZ` would, to second order in its angles; zero where not asked for.
    """

    fixed_log: Array
    folded_log: Array
    mean_square: Array
    idle_log: Array
    zz_log: Array


def light_cone(
    circuit: PhysicalCircuit, noise: DeviceNoise, paulis: Sequence[str], *, waiting: bool = False
) -> LightCone:
    """Follow compact-qubit Pauli strings back to the start of the circuit.

    `waiting` fills `idle_log` and `zz_log` by the schedule of `backends.idling`.
    """
    gates = _with_waiting(circuit, noise) if waiting else circuit.gates
    fused = fuse(gates, circuit.num_qubits, _WaitingIsIdeal(), no_folding(circuit))
    letters = _letters(paulis)
    fixed, folded, idle, zz = (np.zeros(len(paulis)) for _ in range(4))

    def damping(qubit: int, present: Array) -> Array:
        return np.log1p(-present * (1 - noise.one_qubit[qubit].signal))

    def one_qubit(gate: NativeGate) -> None:
        (qubit,) = gate.qubits
        if isinstance(gate, _Together):
            zz[:] -= gate.angle**2 / 2 * _anticommuting(letters, qubit, gate.other)
        elif gate.name == IDLE:
            idle[:] += _relaxed(letters[:, qubit], noise, qubit, gate.angle)
        else:
            fixed[:] += damping(qubit, 1 - letters[:, qubit, 0])

    for qubit, matrix in enumerate(fused.trailing):
        rotated = letters[:, qubit, 1] + letters[:, qubit, 2]
        fixed += damping(qubit, rotated)  # the measurement's own rotation
        for gate in fused.trailing_gates[qubit]:
            one_qubit(gate)
        if matrix is not None:
            letters[:, qubit] = letters[:, qubit] @ matrix**2
    for block in reversed(fused.blocks):
        first, second = block.qubits
        joint = (letters[:, first, :, None] * letters[:, second, None, :]).reshape(-1, 16)
        joint = joint @ block.matrix[0] ** 2
        joint /= joint.sum(axis=1, keepdims=True)  # rounding would double with every block
        present = 1 - joint[:, 0]
        joint = joint.reshape(-1, 4, 4)
        letters[:, first], letters[:, second] = joint.sum(axis=2), joint.sum(axis=1)
        for gate in block.gates:
            if len(gate.qubits) == 2:
                control, target = gate.qubits
                folded += np.log1p(-present * (1 - noise.two_qubit[control, target].signal))
            else:  # it comes before a two-qubit gate, so the letters before the block count
                one_qubit(gate)
    diagonal = letters[:, :, 0] + letters[:, :, 3]
    return LightCone(fixed, folded, diagonal.prod(axis=1), idle, zz)


@dataclass(frozen=True, slots=True)
class _Together(NativeGate):
    """Waiting beside a coupled neighbour that waits too; `angle` is that of the RZZ it makes."""

    other: int = -1


class _WaitingIsIdeal(IdealGates):
    """Waiting has no matrix of its own."""

    def one_qubit(self, gate: NativeGate) -> Matrix:
        """See `GateMatrices.one_qubit`."""
        if gate.name == IDLE or isinstance(gate, _Together):
            return np.eye(4)
        return super().one_qubit(gate)


def _with_waiting(circuit: PhysicalCircuit, noise: DeviceNoise) -> list[NativeGate]:
    """Gates in order of their start; a pair that waits together stands on its first qubit.

    As a two-qubit gate it would end the blocks of other pairs.
    """
    return [
        _Together(gate.name, gate.qubits[:1], gate.angle, gate.qubits[1])
        if gate.name == ZZ
        else gate
        for gate in waiting_schedule(circuit, noise, REFERENCE_ZZ_HZ)
    ]


def _relaxed(letters: Array, noise: DeviceNoise, qubit: int, waited_s: float) -> Array:
    """Log of what T1 leaves of Z letters and T2 of X and Y."""
    (t1_s,), (t2_s,) = noise.one_qubit[qubit].t1_s, noise.one_qubit[qubit].t2_s
    turned = letters[:, 1] + letters[:, 2]
    lost = turned * -np.expm1(-waited_s / t2_s) - letters[:, 3] * np.expm1(-waited_s / t1_s)
    return np.asarray(np.log1p(-lost))


def _anticommuting(letters: Array, first: int, second: int) -> Array:
    """Probability that exactly one of two letters is X or Y: then ZZ turns the observable."""
    one, two = (letters[:, qubit, 1] + letters[:, qubit, 2] for qubit in (first, second))
    return np.asarray(one * (1 - two) + two * (1 - one))


def _letters(paulis: Sequence[str]) -> Array:
    """One-hot letters, shape (observables, qubits, 4)."""
    index = [["IXYZ".index(letter) for letter in reversed(pauli)] for pauli in paulis]
    return np.eye(4)[index]
