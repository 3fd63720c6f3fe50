"""How far two simple signal models miss the bias that gate noise causes (record 0004).

Prints, for each circuit family, the median of predicted over observed bias: once with the product
of all gate signals, once with the policy's light cone. Readout is perfect and there is no shot
noise. Run: .venv/bin/python docs/decisions/gate_product.py
"""

from __future__ import annotations

import dataclasses
import sys
from math import prod
from statistics import median

import numpy as np

from quantumai.backends.channel_simulator import ChannelSimulator
from quantumai.backends.ibm_fake import read_snapshot
from quantumai.backends.noise import DeviceNoise, GateNoise, device_noise
from quantumai.backends.simulator import no_folding
from quantumai.circuits.families import FAMILIES, family_circuit
from quantumai.circuits.ideal import ideal_values
from quantumai.execution.transpile import Transpiler
from quantumai.mitigation.light_cone import light_cone
from quantumai.mitigation.readout import read_values

DEVICES = ("nairobi", "kolkata", "brisbane")
SEEDS = range(4)
LEAST_SIGNAL = 0.05


def _noise_of(noise: DeviceNoise, qubits: tuple[int, ...]) -> GateNoise:
    return noise.one_qubit[qubits[0]] if len(qubits) == 1 else noise.two_qubit[qubits]  # type: ignore[index]


def ratios(family: str, num_qubits: int, seed: int, device: str) -> tuple[float, float] | None:
    """Predicted over observed bias by gate product and by light cone; None without a signal."""
    circuit = family_circuit(family, num_qubits, seed)
    readable = [pauli for pauli in circuit.observables if set(pauli) <= {"I", "Z"}]
    snapshot = read_snapshot(device)
    transpiled = Transpiler(circuit.circuit).transpile(snapshot)
    silent = (0.0,) * num_qubits
    noise = dataclasses.replace(
        device_noise(snapshot, transpiled.physical_qubits),
        prob_meas1_prep0=silent,
        prob_meas0_prep1=silent,
    )
    ideal = ideal_values(circuit.circuit, readable) if readable else np.zeros(1)
    if np.sqrt(np.mean(ideal**2)) < LEAST_SIGNAL:
        return None
    paulis = [transpiled.place(pauli) for pauli in readable]
    basis = "Z" * num_qubits
    folds = no_folding(transpiled.circuit)
    exact = ChannelSimulator().probabilities(transpiled.circuit, noise, basis, folds)
    observed = np.sqrt(np.mean((read_values(exact, paulis, None)[0][0] - ideal) ** 2))
    plain = prod(_noise_of(noise, tuple(gate.qubits)).signal for gate in transpiled.circuit.gates)
    cone = light_cone(transpiled.circuit, noise, paulis)
    signals = np.exp(cone.fixed_log + cone.folded_log)
    predicted = [np.sqrt(np.mean(((1 - s) * ideal) ** 2)) for s in (plain, signals)]
    return float(predicted[0] / observed), float(predicted[1] / observed)


def main() -> None:
    """Print one line for each family."""
    for family in FAMILIES:
        found = [
            pair
            for device in DEVICES
            for num_qubits in (4, 6)
            for seed in SEEDS
            if (pair := ratios(family, num_qubits, seed, device))
        ]
        product, cone = (median(column) for column in zip(*found, strict=True))
        sys.stdout.write(
            f"{family:8} {len(found):3} circuits  product {product:5.2f}  light cone {cone:5.2f}\n"
        )


if __name__ == "__main__":
    main()
