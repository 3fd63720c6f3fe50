"""The rival simulator: qiskit-aer with a `NoiseModel` of the same reduced device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from qiskit.quantum_info import SuperOp
from qiskit_aer import AerSimulator
from qiskit_aer.noise import (
    NoiseModel,
    QuantumError,
    ReadoutError,
    depolarizing_error,
    thermal_relaxation_error,
)

from quantumai.backends.noise import DeviceNoise, GateNoise
from quantumai.backends.physical_circuit import PhysicalCircuit

Array = NDArray[np.float64]

PLAIN = "as Aer's own error constructors give it"
QUICKEST = "one superoperator per error"
CONFIGURATIONS: Mapping[str, Mapping[str, Any]] = {
    PLAIN: {},
    QUICKEST: {},
    "one superoperator per error, no fusion": {"fusion_enable": False},
    "one superoperator per error, fusion from 1 qubit": {"fusion_threshold": 1},
}
"""Ways to run Aer's density-matrix method; the quickest on a circuit is the rival there.

Aer takes up to twice as long with errors as its constructors give them, lists of many small
circuits. Its statevector method, one trajectory a shot, took 50 times longer and more at 8 qubits,
20 times longer at 10; it is not tried again. `QUICKEST` is so, or nearly, from 4 to 12 qubits.
"""


def backend(circuit: PhysicalCircuit, noise: DeviceNoise, configuration: str) -> AerSimulator:
    """Aer on one thread with the noise of the gates that the circuit uses."""
    return AerSimulator(
        method="density_matrix",
        noise_model=_noise_model(circuit, noise, plain=configuration == PLAIN),
        max_parallel_threads=1,
        **CONFIGURATIONS[configuration],
    )


def _noise_model(circuit: PhysicalCircuit, noise: DeviceNoise, *, plain: bool) -> NoiseModel:
    """Relaxation, depolarising and asymmetric readout, as Aer defines them."""

    def built(gate: GateNoise) -> QuantumError:
        error = _gate_error(gate)
        return error if plain else QuantumError(SuperOp(error))

    model = NoiseModel(basis_gates=["rz", "sx", "x", "cx", "cz", "ecr"])
    for qubit, gate in enumerate(noise.one_qubit):
        model.add_quantum_error(built(gate), ["sx", "x"], [qubit])
        up, down = noise.prob_meas1_prep0[qubit], noise.prob_meas0_prep1[qubit]
        model.add_readout_error(ReadoutError([[1 - up, up], [down, 1 - down]]), [qubit])
    for name, ends in {(gate.name, gate.qubits) for gate in circuit.gates if len(gate.qubits) == 2}:
        model.add_quantum_error(built(noise.two_qubit[ends[0], ends[1]]), [name], list(ends))
    return model


def _gate_error(noise: GateNoise) -> QuantumError:
    relaxations = [
        thermal_relaxation_error(t1, t2, noise.duration_s)
        for t1, t2 in zip(noise.t1_s, noise.t2_s, strict=True)
    ]
    joint = relaxations[0] if len(relaxations) == 1 else relaxations[1].tensor(relaxations[0])
    return joint.compose(depolarizing_error(noise.depolarizing_probability, len(relaxations)))


def folded_circuit(circuit: PhysicalCircuit, folds: Sequence[int]) -> QuantumCircuit:
    """The native circuit with each self-inverse two-qubit gate repeated as `folds` says."""
    folded = QuantumCircuit(circuit.num_qubits)
    remaining = iter(folds)
    for gate in circuit.gates:
        arguments = (gate.angle, *gate.qubits) if gate.name == "rz" else gate.qubits
        for _ in range(next(remaining) if len(gate.qubits) == 2 else 1):
            getattr(folded, gate.name)(*arguments)
    return folded


def run_shares(
    simulator: AerSimulator, circuits: Sequence[QuantumCircuit], shots: int, seed: int
) -> Array:
    """One batched run of measured circuits: shares of outcomes, shape (circuits, 2**n)."""
    result = simulator.run(list(circuits), shots=shots, seed_simulator=seed).result()
    shares = np.zeros((len(circuits), 2 ** circuits[0].num_qubits))
    for index, row in enumerate(shares):
        for outcome, count in result.data(index)["counts"].items():
            row[int(outcome, 16)] = count / shots
    return shares


def exact_probabilities(
    simulator: AerSimulator, noise: DeviceNoise, circuit: QuantumCircuit
) -> Array:
    """Aer's outcome probabilities, shape (2**n,).

    `save_probabilities` leaves readout errors out, so the confusion matrices are applied here.
    """
    saved = circuit.copy()
    saved.save_probabilities()
    probabilities = simulator.run(saved).result().data(0)["probabilities"]
    for qubit in range(circuit.num_qubits):
        up, down = noise.prob_meas1_prep0[qubit], noise.prob_meas0_prep1[qubit]
        confusion = np.array([[1 - up, down], [up, 1 - down]])
        probabilities = confusion @ probabilities.reshape(-1, 2, 2**qubit)
    return np.asarray(probabilities, dtype=float).ravel()
