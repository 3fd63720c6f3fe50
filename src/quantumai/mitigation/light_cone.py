"""How much of an observable's value survives the noise, by its light cone.

The observable is followed backwards through the transpiled circuit (Heisenberg picture) as a
distribution over Pauli letters per qubit: it starts on its own letters, and a block of gates with
ideal Pauli-transfer matrix R moves weight from row i to column j with probability R[i, j]^2, signs
and correlations between blocks forgotten. A gate damps the signal by its noise channel
(`GateNoise.signal`: gate error, T1 and T2 of the mapped qubits) with the probability that the
observable is not the identity there. Outside the light cone that probability is exactly zero.

The weight that ends on I and Z letters is what |0...0> turns into the ideal value, so it is also
the prior on that value's mean square.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from quantumai.backends.gate_fusion import IdealGates, fuse
from quantumai.backends.noise import DeviceNoise
from quantumai.backends.physical_circuit import PhysicalCircuit
from quantumai.backends.simulator import no_folding
from quantumai.mitigation.readout import Array


@dataclass(frozen=True)
class LightCone:
    """Shape (observables,) each; the signal at noise factor k is exp(fixed_log + k folded_log).

    Only `folded_log` grows with the noise factor, since only two-qubit gates are folded. Readout is
    not in it. `mean_square` is the prior expectation of the squared ideal value.
    """

    fixed_log: Array
    folded_log: Array
    mean_square: Array


def light_cone(circuit: PhysicalCircuit, noise: DeviceNoise, paulis: Sequence[str]) -> LightCone:
    """Follow compact-qubit Pauli strings back to the start of the circuit."""
    fused = fuse(circuit.gates, circuit.num_qubits, IdealGates(), no_folding(circuit))
    letters = _letters(paulis)
    fixed, folded = np.zeros(len(paulis)), np.zeros(len(paulis))

    def damping(qubit: int, present: Array) -> Array:
        return np.log1p(-present * (1 - noise.one_qubit[qubit].signal))

    for qubit, matrix in enumerate(fused.trailing):
        rotated = letters[:, qubit, 1] + letters[:, qubit, 2]
        fixed += damping(qubit, rotated)  # the measurement's own rotation
        for _ in fused.trailing_gates[qubit]:
            fixed += damping(qubit, 1 - letters[:, qubit, 0])
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
                fixed += damping(gate.qubits[0], 1 - letters[:, gate.qubits[0], 0])
    diagonal = letters[:, :, 0] + letters[:, :, 3]
    return LightCone(fixed, folded, diagonal.prod(axis=1))


def _letters(paulis: Sequence[str]) -> Array:
    """One-hot letters, shape (observables, qubits, 4)."""
    index = [["IXYZ".index(letter) for letter in reversed(pauli)] for pauli in paulis]
    return np.eye(4)[index]
