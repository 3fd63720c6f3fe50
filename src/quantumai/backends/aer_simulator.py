"""Qiskit Aer's density-matrix method behind the simulator port: slower, and not ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from quantumai.backends.idling import IDLE, ZZ, scheduled
from quantumai.backends.noise import DeviceNoise, GateNoise
from quantumai.backends.physical_circuit import (
    TURNS_ABOUT,
    NativeGate,
    PhysicalCircuit,
)
from quantumai.backends.simulator import normalised, require_folds
from quantumai.errors import BadInputError

if TYPE_CHECKING:
    from qiskit import QuantumCircuit


class AerSimulator:
    """Exact probabilities from qiskit-aer; noise channels are Aer's own."""

    name = "aer"
    max_qubits = 12

    def __init__(self) -> None:
        try:
            import qiskit_aer
        except ImportError:
            raise BadInputError(
                "the aer engine is not installed", hint="pip install 'quantumai[aer]'"
            ) from None
        self._backend = qiskit_aer.AerSimulator(method="density_matrix")

    def probabilities(
        self,
        circuit: PhysicalCircuit,
        noise: DeviceNoise,
        basis: str,
        folds: NDArray[np.int64],
    ) -> NDArray[np.float64]:
        """See `Simulator.probabilities`."""
        require_folds(circuit, folds)
        circuits = [noisy_circuit(circuit, noise, basis, row) for row in folds.tolist()]
        result = self._backend.run(circuits).result()
        rows = [result.data(index)["probabilities"] for index in range(len(circuits))]
        return normalised(np.array(rows))


def noisy_circuit(
    circuit: PhysicalCircuit, noise: DeviceNoise, basis: str, folds: Sequence[int]
) -> QuantumCircuit:
    """The folded circuit with Aer's noise channels written in, and probabilities saved."""
    from qiskit import QuantumCircuit

    noisy = QuantumCircuit(circuit.num_qubits)
    channels = _Channels(noise)
    gates, counts = scheduled(circuit, basis, noise, folds)
    remaining = iter(counts)
    for gate in gates:
        if gate.name == IDLE:
            noisy.append(channels.waiting(gate), gate.qubits)
            continue
        for _ in range(next(remaining) if len(gate.qubits) == 2 else 1):
            _append(noisy, gate)
            _over_rotate(noisy, gate, noise)
            if gate.name not in ("rz", ZZ):
                noisy.append(channels.after(gate.qubits), gate.qubits)
    for qubit in range(circuit.num_qubits):
        errors = noise.prob_meas1_prep0[qubit], noise.prob_meas0_prep1[qubit]
        noisy.append(_readout(*errors), [qubit])
    noisy.save_probabilities()  # added to QuantumCircuit by qiskit_aer
    return noisy


def _append(circuit: QuantumCircuit, gate: NativeGate) -> None:
    if gate.name == ZZ:
        circuit.rzz(gate.angle, *gate.qubits)
    elif gate.name == "rz":
        circuit.rz(gate.angle, *gate.qubits)
    else:
        getattr(circuit, gate.name)(*gate.qubits)


def _over_rotate(circuit: QuantumCircuit, gate: NativeGate, noise: DeviceNoise) -> None:
    if gate.name not in TURNS_ABOUT:
        return
    first, second = gate.qubits
    about_zz = TURNS_ABOUT[gate.name] == "ZZ"
    if angle := noise.over_rotation_rad.get((first, second), 0.0):
        (circuit.rzz if about_zz else circuit.rzx)(angle, first, second)
    if angle := noise.target_turn_rad.get((first, second), 0.0):
        (circuit.rz if about_zz else circuit.rx)(angle, second)


class _Channels:
    """One Aer error per set of qubits, built once."""

    def __init__(self, noise: DeviceNoise) -> None:
        self._noise = noise
        self._built: dict[tuple[int, ...], Any] = {}

    def waiting(self, gate: NativeGate) -> Any:
        """Aer's thermal relaxation of a qubit that waits."""
        from qiskit_aer.noise import thermal_relaxation_error

        noise = self._noise.one_qubit[gate.qubits[0]]
        return thermal_relaxation_error(noise.t1_s[0], noise.t2_s[0], gate.angle).to_instruction()

    def after(self, qubits: tuple[int, ...]) -> Any:
        """The channel that follows a gate on `qubits`."""
        if qubits not in self._built:
            first, *second = qubits
            noise = (
                self._noise.two_qubit[first, second[0]] if second else self._noise.one_qubit[first]
            )
            self._built[qubits] = _gate_error(noise).to_instruction()
        return self._built[qubits]


def _gate_error(noise: GateNoise) -> Any:
    """Aer's thermal relaxation, then Aer's depolarising error."""
    from qiskit_aer.noise import depolarizing_error, thermal_relaxation_error

    relaxations = [
        thermal_relaxation_error(t1, t2, noise.duration_s)
        for t1, t2 in zip(noise.t1_s, noise.t2_s, strict=True)
    ]
    joint = relaxations[0]
    for relaxation in relaxations[1:]:
        joint = joint.expand(relaxation)  # the expanded one acts on the lower qubit
    return joint.compose(depolarizing_error(noise.depolarizing_probability, len(relaxations)))


def _readout(prob_meas1_prep0: float, prob_meas0_prep1: float) -> Any:
    """Readout errors as a channel before measuring, since saved probabilities know none."""
    from qiskit.quantum_info import Kraus

    stay0, flip0 = np.sqrt(1 - prob_meas1_prep0), np.sqrt(prob_meas1_prep0)
    stay1, flip1 = np.sqrt(1 - prob_meas0_prep1), np.sqrt(prob_meas0_prep1)
    zero, one = np.diag([1.0, 0.0]), np.diag([0.0, 1.0])
    lower, upper = np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([[0.0, 1.0], [0.0, 0.0]])
    return Kraus([stay0 * zero, flip0 * lower, flip1 * upper, stay1 * one]).to_instruction()
