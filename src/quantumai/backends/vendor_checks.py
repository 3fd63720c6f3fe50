"""What an adapter checks of a batch before anything is spent."""

from __future__ import annotations

from quantumai.backends.calibration import CalibrationSnapshot
from quantumai.backends.vendor import VendorBatch
from quantumai.errors import BadInputError


def require_width(batch: VendorBatch, max_qubits: int, backend_id: str) -> None:
    """Refuse what a local simulator has no memory for."""
    widest = max(circuit.circuit.num_qubits for circuit in batch.circuits)
    if widest > max_qubits:
        raise BadInputError(
            f"{backend_id} simulates up to {max_qubits} qubits, not {widest}",
            hint="choose a smaller circuit or a device",
        )


def require_device_qubits(batch: VendorBatch, snapshot: CalibrationSnapshot) -> None:
    """Refuse a circuit on qubits or couplings that the calibration does not have."""
    edges = {(edge.control, edge.target) for edge in snapshot.edges}
    for circuit in batch.circuits:
        usable = [
            q
            for q in circuit.physical_qubits
            if 0 <= q < snapshot.num_qubits and snapshot.qubits[q].operational
        ]
        if len(usable) < len(circuit.physical_qubits):
            raise BadInputError(
                f"{snapshot.backend_id} cannot use all of {circuit.physical_qubits}"
            )
        for gate in circuit.circuit.gates:
            ends = tuple(circuit.physical_qubits[q] for q in gate.qubits)
            if len(ends) == 2 and (ends not in edges or gate.name != snapshot.two_qubit_gate):
                raise BadInputError(f"{snapshot.backend_id} has no {gate.name} on qubits {ends}")
