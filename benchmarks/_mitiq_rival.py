"""The rival mitigation: mitiq's folding and linear extrapolation, run on Aer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from _aer_rival import Array, run_shares
from mitiq.interface import convert_from_mitiq, convert_to_mitiq
from mitiq.zne import execute_with_zne
from mitiq.zne.inference import LinearFactory
from mitiq.zne.scaling import fold_gates_at_random
from qiskit import QuantumCircuit
from qiskit_aer import AerSimulator

# mitiq counts a gate of fidelity 1 as one not to fold: only two-qubit gates are folded.
fold_two_qubit_gates = partial(fold_gates_at_random, fidelities={"single": 1.0})


def measured(circuits: Sequence[QuantumCircuit]) -> list[QuantumCircuit]:
    """The same circuits with all qubits measured at the end."""
    return [circuit.measure_all(inplace=False) for circuit in circuits]


def fold(circuit: QuantumCircuit, noise_factors: Sequence[float]) -> list[QuantumCircuit]:
    """Measured circuits of all noise factors.

    Converting to cirq once is quicker than letting mitiq convert for every noise factor.
    """
    converted, _ = convert_to_mitiq(circuit)
    folded = [fold_two_qubit_gates(converted, factor) for factor in noise_factors]
    return measured([convert_from_mitiq(one, "qiskit") for one in folded])


def extrapolate(noise_factors: Sequence[float], shares: Array, weights: Array) -> Array:
    """Linear extrapolation of every observable, all read from the same shares of outcomes."""
    values = shares @ weights
    return np.array([LinearFactory.extrapolate(noise_factors, column) for column in values.T])


def estimate_one_by_one(
    circuit: QuantumCircuit,
    simulator: AerSimulator,
    weights: Array,
    noise_factors: Sequence[float],
    shots: int,
    seed: int,
) -> Array:
    """`execute_with_zne` for one observable after the other, as mitiq's documentation shows.

    Each observable is one executor call with all noise factors in it, which mitiq calls batched.
    """

    def estimate(observable: Array) -> float:
        def executor(circuits: list[QuantumCircuit]) -> list[float]:
            shares = run_shares(simulator, measured(circuits), shots, seed)
            return [float(value) for value in shares @ observable]

        return float(
            execute_with_zne(
                circuit,
                executor,
                factory=LinearFactory(list(noise_factors)),
                scale_noise=fold_two_qubit_gates,
            )
        )

    return np.array([estimate(observable) for observable in weights.T])
