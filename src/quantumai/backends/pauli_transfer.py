"""Pauli-transfer matrices: R[i, j] = Tr(P_i E(P_j)) / d over I, X, Y, Z (Greenbaum, 1509.02921).

A two-qubit index is 4 * i_first + i_second, first and second as the gate names its qubits.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import cos, exp, sin
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantumai.backends.noise import GateNoise

Matrix = NDArray[np.float64]

_PAULIS = np.array(
    [[[1, 0], [0, 1]], [[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]], dtype=complex
)
_I, _X, _Y, _Z = _PAULIS
_UNITARIES: dict[str, NDArray[Any]] = {
    "sx": np.array([[1 + 1j, 1 - 1j], [1 - 1j, 1 + 1j]]) / 2,
    "x": _X,
    "cx": np.kron((_I + _Z) / 2, _I) + np.kron((_I - _Z) / 2, _X),
    "cz": np.diag([1, 1, 1, -1]).astype(complex),
    "ecr": (np.kron(_X, _I) - np.kron(_Y, _X)) / np.sqrt(2),
}


@cache
def ideal_transfer(name: str) -> Matrix:
    """Noiseless matrix of a native gate without an angle, 4 x 4 or 16 x 16."""
    transfer = _transfer(_UNITARIES[name])
    transfer.flags.writeable = False
    return transfer


def rz_transfers(angles: Sequence[float]) -> NDArray[np.float64]:
    """Matrices of RZ by each angle (radians), shape (angles, 4, 4); X -> X cos + Y sin."""
    transfers = np.zeros((len(angles), 4, 4))
    transfers[:, 0, 0] = transfers[:, 3, 3] = 1
    transfers[:, 1, 1] = transfers[:, 2, 2] = np.cos(angles)
    transfers[:, 2, 1] = np.sin(angles)
    transfers[:, 1, 2] = -transfers[:, 2, 1]
    return transfers


def turn_transfer(axis: str, angle: float) -> Matrix:
    """Matrix of exp(-i angle/2 P) for a two-qubit Pauli P, such as "ZX": Z on the first qubit."""
    still, in_phase, out_of_phase = _turn_parts(axis)
    turned: Matrix = still + cos(angle) * in_phase + sin(angle) * out_of_phase
    return turned


@cache
def _turn_parts(axis: str) -> tuple[Matrix, Matrix, Matrix]:
    """Of a turn: the Paulis that commute with the axis, and what goes with cos and sin."""
    generator = np.kron(*(_PAULIS["IXYZ".index(letter)] for letter in axis))
    half, quarter = _transfer(generator), _transfer((np.eye(4) - 1j * generator) / np.sqrt(2))
    still = (np.eye(16) + half) / 2
    return still, np.eye(16) - still, quarter - still


def _transfer(unitary: NDArray[Any]) -> Matrix:
    paulis = _PAULIS if len(unitary) == 2 else two_qubit_paulis()
    moved = unitary @ paulis @ unitary.conj().T
    transfer: Matrix = np.einsum("iab,jba->ij", paulis, moved).real / len(unitary)
    return transfer


def two_qubit_paulis() -> NDArray[Any]:
    """The sixteen products of two Paulis, shape (16, 4, 4), first qubit the slow index."""
    return np.array([np.kron(first, second) for first in _PAULIS for second in _PAULIS])


def relaxation_transfer(t1_s: float, t2_s: float, duration_s: float) -> Matrix:
    """Relaxation to |0> at zero temperature: X, Y decay with T2, Z with T1 towards +1."""
    survives = exp(-duration_s / t1_s)
    transfer: Matrix = np.diag([1.0, exp(-duration_s / t2_s), exp(-duration_s / t2_s), survives])
    transfer[3, 0] = 1 - survives
    return transfer


def noise_transfer(noise: GateNoise) -> Matrix:
    """Matrix of the noise after a gate: relaxation of each qubit, then depolarising."""
    transfer: NDArray[Any] = np.eye(1)
    for t1, t2 in zip(noise.t1_s, noise.t2_s, strict=True):
        transfer = np.kron(transfer, relaxation_transfer(t1, t2, noise.duration_s))
    transfer[1:] *= 1 - noise.depolarizing_probability
    return transfer


def readout_to_probabilities(prob_meas1_prep0: float, prob_meas0_prep1: float) -> Matrix:
    """Maps a qubit's (I, X, Y, Z) components to the probabilities of reading 0 and 1, 2 x 4.

    The I component of a normalised one-qubit state is 1 in this convention.
    """
    confusion = np.array(
        [[1 - prob_meas1_prep0, prob_meas0_prep1], [prob_meas1_prep0, 1 - prob_meas0_prep1]]
    )
    to_confuse: Matrix = confusion @ np.array([[0.5, 0, 0, 0.5], [0.5, 0, 0, -0.5]])
    return to_confuse
