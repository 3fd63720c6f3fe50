"""Compiling a noisy circuit into a short list of matrices for the channel simulator.

A locally folded self-inverse gate is the odd power of its noisy matrix (Giurgica-Tiron et al.,
2005.10921, section III), so one compilation serves all noise factors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantumai.backends.gate_fusion import Block, FusedCircuit, fuse
from quantumai.backends.idling import IDLE, ZZ, scheduled
from quantumai.backends.noise import DeviceNoise, GateNoise
from quantumai.backends.pauli_transfer import (
    Matrix,
    ideal_transfer,
    noise_transfer,
    readout_to_probabilities,
    relaxation_transfer,
    turn_transfer,
)
from quantumai.backends.physical_circuit import (
    TURNS_ABOUT,
    NativeGate,
    PhysicalCircuit,
    measurement_rotations,
)

ZERO_STATE = np.array([1.0, 0.0, 0.0, 1.0])
"""Components (I, X, Y, Z) of |0>."""


@dataclass(frozen=True)
class ChannelProgram:
    """Blocks in time order, and the read-out probabilities of qubits that no block touches.

    A qubit that no earlier block touched enters with one component (its initial state is merged
    into the matrix); one that no later block touches leaves with two, the probabilities of
    reading 0 and 1; others have four.
    """

    num_qubits: int
    num_factors: int
    blocks: tuple[Block, ...]
    untouched: dict[int, NDArray[np.float64]]


def compile_program(
    circuit: PhysicalCircuit, noise: DeviceNoise, basis: str, folds: NDArray[np.int64]
) -> ChannelProgram:
    """Compile the noisy circuit, read out in `basis`, for all rows of `folds` at once.

    Where waiting counts it depends on the folds, so then there may be one row only.
    """
    gates: tuple[NativeGate, ...] = (*circuit.gates, *measurement_rotations(basis))
    if noise.idle is not None:
        (row,) = folds.tolist()
        gates, counts = scheduled(circuit, basis, noise, row)
        folds = np.array([counts], dtype=np.int64)
    fused = fuse(gates, circuit.num_qubits, _NoisyGates(noise), folds)
    errors = zip(noise.prob_meas1_prep0, noise.prob_meas0_prep1, strict=True)
    readouts = [
        readout_to_probabilities(*confusion) @ (np.eye(4) if trailing is None else trailing)
        for trailing, confusion in zip(fused.trailing, errors, strict=True)
    ]
    _close_ends(fused, readouts)
    untouched = {
        qubit: readouts[qubit] @ ZERO_STATE
        for qubit, block in enumerate(fused.last_block)
        if block is None
    }
    return ChannelProgram(circuit.num_qubits, len(folds), tuple(fused.blocks), untouched)


def _close_ends(fused: FusedCircuit, readouts: Sequence[Matrix]) -> None:
    """Merge initial states into each qubit's first block and read-out into its last."""
    entered: set[int] = set()
    for block in fused.blocks:
        first, second = block.qubits
        tensor: NDArray[Any] = block.matrix.reshape(-1, 4, 4, 4, 4)
        if first not in entered:  # |0> has components 1 at I and Z
            tensor = tensor[:, :, :, :1] + tensor[:, :, :, 3:]
        if second not in entered:
            tensor = tensor[..., :1] + tensor[..., 3:]
        matrix: NDArray[Any] = tensor.reshape(len(tensor), 4, 4, -1)
        if fused.last_block[second] is block:
            matrix = readouts[second] @ matrix
        second_out = matrix.shape[2]
        matrix = matrix.reshape(len(matrix), 4, -1)
        if fused.last_block[first] is block:
            matrix = readouts[first] @ matrix
        block.out_sizes = (matrix.shape[1], second_out)
        block.matrix = matrix.reshape(len(matrix), prod(block.out_sizes), -1)
        entered.update(block.qubits)


class _NoisyGates:
    """Noisy matrices of a device's gates, each looked up once per circuit."""

    def __init__(self, noise: DeviceNoise) -> None:
        self._noise = noise
        self._one_qubit: dict[tuple[str, int], Matrix] = {}
        self._folded: dict[tuple[object, ...], NDArray[np.float64]] = {}

    def one_qubit(self, gate: NativeGate) -> Matrix:
        """See `GateMatrices.one_qubit`."""
        noise = self._noise.one_qubit[gate.qubits[0]]
        if gate.name == IDLE:
            return relaxation_transfer(noise.t1_s[0], noise.t2_s[0], gate.angle)
        key = (gate.name, gate.qubits[0])
        if key not in self._one_qubit:
            self._one_qubit[key] = _noisy_power(gate.name, noise, 1)
        return self._one_qubit[key]

    def folded(self, gate: NativeGate, folds: tuple[int, ...]) -> NDArray[np.float64]:
        """See `GateMatrices.folded`: odd powers of the noisy gate."""
        if gate.name == ZZ:
            return turn_transfer("ZZ", gate.angle)[None]
        key = (gate.name, gate.qubits, folds)
        if key not in self._folded:
            first, second = gate.qubits
            noise = self._noise.two_qubit[first, second]
            over_rotation = self._noise.over_rotation_rad.get((first, second), 0.0)
            target_turn = self._noise.target_turn_rad.get((first, second), 0.0)
            self._folded[key] = np.stack(
                [_noisy_power(gate.name, noise, f, over_rotation, target_turn) for f in folds]
            )
        return self._folded[key]


@lru_cache(maxsize=4096)
def _noisy_power(
    name: str,
    noise: GateNoise,
    power: int,
    over_rotation_rad: float = 0.0,
    target_turn_rad: float = 0.0,
) -> Matrix:
    """Matrix of a noisy gate run `power` times; kept, 2 KiB each, for the device's next circuit."""
    gate = ideal_transfer(name)
    if over_rotation_rad:
        gate = turn_transfer(TURNS_ABOUT[name], over_rotation_rad) @ gate
    if target_turn_rad:
        gate = turn_transfer(f"I{TURNS_ABOUT[name][1]}", target_turn_rad) @ gate
    matrix = np.linalg.matrix_power(noise_transfer(noise) @ gate, power)
    matrix.flags.writeable = False
    return matrix
