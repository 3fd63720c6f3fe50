"""Exact outcome probabilities of one circuit, once for all methods that are to run on it.

Simulation is the cost; drawing shots is not. So one simulator call per basis computes the distinct
rows of folds that the methods ask for, and methods whose rows coincide share them. An engine treats
rows independently, so what a method sees does not depend on what else is simulated beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quantumai.backends.noise import DeviceNoise
from quantumai.backends.physical_circuit import NativeGate, PhysicalCircuit
from quantumai.backends.simulator import Simulator, no_folding
from quantumai.circuits.observables import MeasurementBasis, measurement_bases
from quantumai.execution.transpile import TranspiledCircuit
from quantumai.mitigation.folding import choose_folds
from quantumai.mitigation.methods import Method
from quantumai.mitigation.readout import Array
from quantumai.randomness import RootSeed

Folds = NDArray[np.int64]


@dataclass(frozen=True)
class ExactRun:
    """Probabilities at each distinct row of folds; bit q of an outcome is compact qubit q.

    `probabilities[b]` has shape (rows, 2**n) and belongs to `bases[b]`; row 0 is the bare circuit.
    `calibration`, shape (2, 2**n), is what the all-zeros and the all-ones preparation give, or None
    where no method asks for it. `paulis` are the observables over compact qubits.
    """

    circuit: PhysicalCircuit
    paulis: tuple[str, ...]
    bases: tuple[MeasurementBasis, ...]
    folds: Folds
    probabilities: tuple[Array, ...]
    calibration: Array | None

    def rows(self, folds: Folds) -> list[int]:
        """Where each row of `folds` stands."""
        index = {row.tobytes(): i for i, row in enumerate(self.folds)}
        return [index[row.tobytes()] for row in folds]


def method_folds(circuit: PhysicalCircuit, method: Method, seed: RootSeed) -> Folds:
    """A method's folds (noise factors, two-qubit gates); stream "folding"."""
    return choose_folds(
        method.noise_factors, circuit.two_qubit_gate_count, seed.generator("folding")
    )


def simulate(
    transpiled: TranspiledCircuit,
    observables: Sequence[str],
    methods: Sequence[Method],
    *,
    noise: DeviceNoise,
    simulator: Simulator,
    seeds: Sequence[RootSeed],
) -> ExactRun:
    """Everything that `methods` with their `seeds` will draw from."""
    circuit = transpiled.circuit
    paulis = tuple(transpiled.place(pauli) for pauli in observables)
    bases = measurement_bases(paulis)
    wanted = [method_folds(circuit, m, seed) for m, seed in zip(methods, seeds, strict=True)]
    folds = _distinct(np.concatenate([no_folding(circuit), *wanted]))
    probabilities = tuple(
        simulator.probabilities(circuit, noise, basis.pauli, folds) for basis in bases
    )
    calibration = None
    if any(method.calibration_share for method in methods):
        calibration = _calibration(circuit.num_qubits, noise, simulator)
    return ExactRun(circuit, paulis, bases, folds, probabilities, calibration)


def _distinct(folds: Folds) -> Folds:
    return folds[sorted({row.tobytes(): i for i, row in reversed([*enumerate(folds)])}.values())]


def preparation(num_qubits: int, bit: int) -> PhysicalCircuit:
    """All qubits in `bit`, by X gates with their own noise."""
    gates = (NativeGate("x", (qubit,)) for qubit in range(num_qubits) if bit)
    return PhysicalCircuit(num_qubits, tuple(gates))


def _calibration(num_qubits: int, noise: DeviceNoise, simulator: Simulator) -> Array:
    circuits = [preparation(num_qubits, bit) for bit in (0, 1)]
    readings = [
        simulator.probabilities(circuit, noise, "Z" * num_qubits, no_folding(circuit))
        for circuit in circuits
    ]
    return np.concatenate(readings)
