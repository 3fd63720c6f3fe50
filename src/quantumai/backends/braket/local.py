"""Braket's local density-matrix simulator, with the noise of a calibration snapshot."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from importlib.util import find_spec

from quantumai.backends.braket.failures import translated
from quantumai.backends.braket.noise import braket_noise_model
from quantumai.backends.braket.program import counts_by_compact_qubit, simulator_program
from quantumai.backends.calibration import CalibrationSnapshot
from quantumai.backends.credentials import Scrubber, asked
from quantumai.backends.local_vendor import LocalVendor, Simulated
from quantumai.backends.noise import device_noise
from quantumai.backends.vendor import VendorBatch, VendorCircuit
from quantumai.errors import BadInputError


def braket_local(
    backend_id: str, snapshot: CalibrationSnapshot, clock: Callable[[], datetime]
) -> LocalVendor:
    """The simulator `braket_dm` imitating the device of `snapshot`.

    It draws its shots from a generator of its own that cannot be seeded: counts do not repeat.
    """
    if find_spec("braket") is None:
        raise BadInputError(
            "amazon-braket-sdk is not installed", hint="pip install 'quantumai[braket]'"
        )

    def simulate(batch: VendorBatch) -> Simulated:
        def run() -> Simulated:
            done = [_run(circuit, batch.shots, snapshot) for circuit in batch.circuits]
            return Simulated(tuple(name for name, _ in done), tuple(counts for _, counts in done))

        return asked(run, lambda error: translated(error, Scrubber()))

    return LocalVendor(backend_id, snapshot, simulate, clock)


def _run(
    circuit: VendorCircuit, shots: int, snapshot: CalibrationSnapshot
) -> tuple[str, dict[str, int]]:
    """The simulator's task id and the counts."""
    from braket.circuits import Circuit
    from braket.devices import LocalSimulator

    model = braket_noise_model(device_noise(snapshot, circuit.physical_qubits))
    simulator = LocalSimulator("braket_dm", noise_model=model)
    task = simulator.run(Circuit.from_ir(simulator_program(circuit)), shots=shots)
    result = task.result()
    labels = range(circuit.circuit.num_qubits)
    counts = counts_by_compact_qubit(result.measurement_counts, result.measured_qubits, labels)
    return str(task.id), counts
