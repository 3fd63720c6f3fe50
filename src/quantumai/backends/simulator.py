"""The simulator port: exact outcome probabilities of a noisy, locally folded circuit."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from quantumai.backends.noise import DeviceNoise
from quantumai.backends.physical_circuit import PhysicalCircuit


class Simulator(Protocol):
    """An engine that computes probabilities; drawing shots from them is the caller's part."""

    @property
    def name(self) -> str:
        """Name that a manifest records."""
        ...

    @property
    def max_qubits(self) -> int:
        """Widest circuit this engine takes; wider ones are refused before anything is spent."""
        ...

    def probabilities(
        self,
        circuit: PhysicalCircuit,
        noise: DeviceNoise,
        basis: str,
        folds: NDArray[np.int64],
    ) -> NDArray[np.float64]:
        """Outcome probabilities, readout errors included.

        `basis` is a Pauli string over the compact qubits (rightmost is qubit 0). `folds` has shape
        (noise factors, two-qubit gates) and odd entries f: that gate is run as
        G (G^-1 G)^((f-1)/2), noise after each. Returns shape (noise factors, 2**n); bit q of the
        index is qubit q.
        """
        ...


def no_folding(circuit: PhysicalCircuit) -> NDArray[np.int64]:
    """Folds of the circuit as it is: shape (1, two-qubit gates), all ones."""
    return np.ones((1, circuit.two_qubit_gate_count), dtype=np.int64)


def require_folds(circuit: PhysicalCircuit, folds: NDArray[np.int64]) -> None:
    """Guard against a caller's slip: one odd, positive number for each two-qubit gate."""
    if folds.ndim != 2 or folds.shape[1] != circuit.two_qubit_gate_count:
        raise ValueError(f"folds of shape {folds.shape}, not (noise factors, two-qubit gates)")
    if folds.size and (folds.min() < 1 or not np.all(folds % 2)):
        raise ValueError("folds must be odd and positive")


def normalised(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities without rounding errors: none below zero, each row summing to one."""
    clipped = np.clip(probabilities, 0.0, None)
    return np.asarray(clipped / clipped.sum(axis=1, keepdims=True))
