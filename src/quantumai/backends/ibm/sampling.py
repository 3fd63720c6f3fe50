"""Circuits in the form in which IBM's sampler takes them, and counts out of its results."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from quantumai.backends.vendor import VendorBatch, VendorCircuit

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

_REGISTER = "meas"


def isa_circuit(circuit: VendorCircuit, num_device_qubits: int) -> QuantumCircuit:
    """The gates on the device's own qubits; IBM runs such a circuit as it stands.

    Classical bit i is compact qubit i, so that bit strings have compact qubit 0 rightmost.
    """
    from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister

    placed = QuantumCircuit(
        QuantumRegister(num_device_qubits, "q"),
        ClassicalRegister(circuit.circuit.num_qubits, _REGISTER),
    )
    for gate in circuit.circuit.gates:
        qubits = [circuit.physical_qubits[q] for q in gate.qubits]
        getattr(placed, gate.name)(*((gate.angle,) if gate.name == "rz" else ()), *qubits)
    # All qubits together, once the last gate has ended.
    placed.barrier(circuit.physical_qubits)
    placed.measure(circuit.physical_qubits, range(circuit.circuit.num_qubits))
    return placed


def counts_of(publication: Any) -> dict[str, int]:
    """Counts of one circuit's part of a sampler's result."""
    counts: dict[str, int] = publication.data[_REGISTER].get_counts()
    return {bits: int(count) for bits, count in sorted(counts.items())}


def sample(backend: Any, batch: VendorBatch, options: dict[str, Any] | None) -> Any:
    """Submit the batch to `SamplerV2` on `backend`; the vendor's job."""
    from qiskit_ibm_runtime import SamplerV2

    circuits = [isa_circuit(circuit, backend.num_qubits) for circuit in batch.circuits]
    with warnings.catch_warnings():
        # From 0.50 on it is deprecated for a sampler that makes several jobs of one batch itself.
        warnings.filterwarnings("ignore", "The SamplerV2 class", DeprecationWarning)
        sampler = SamplerV2(mode=backend, options=options)
    return sampler.run(circuits, shots=batch.shots)
