"""Seeded devices, noise and native circuits that tests of the simulators and above draw on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from quantumai.backends.calibration import CalibrationSnapshot, EdgeCalibration, QubitCalibration
from quantumai.backends.noise import DeviceNoise, GateNoise, gate_noise
from quantumai.backends.physical_circuit import NativeGate, PhysicalCircuit

FOREVER_S = 1e9
NO_NOISE = GateNoise((FOREVER_S,), (FOREVER_S,), 0.0, 0.0)
PERFECT_PAIR = GateNoise((FOREVER_S,) * 2, (FOREVER_S,) * 2, 0.0, 0.0)


def pairs(num_qubits: int) -> list[tuple[int, int]]:
    return [(a, b) for a in range(num_qubits) for b in range(num_qubits) if a != b]


def device(
    edges: Sequence[tuple[int, int]],
    *,
    num_qubits: int,
    gate: str = "cx",
    error: float = 0.01,
    errors: dict[tuple[int, int], float] | None = None,
    broken: Sequence[int] = (),
    readout: tuple[float, float] = (0.01, 0.03),
    sx_error: float = 3e-4,
    backend_id: str = "synthetic",
) -> CalibrationSnapshot:
    """A device with exactly these native directions; `broken` qubits are not operational."""
    return CalibrationSnapshot(
        snapshot_id=f"cal-{backend_id}-2025-01-01T00:00:00Z",
        backend_id=backend_id,
        created_at="2025-01-01T00:00:00Z",
        num_qubits=num_qubits,
        two_qubit_gate=gate,
        one_qubit_gates=("rz", "sx", "x"),
        qubits=tuple(
            QubitCalibration(150e-6, 120e-6, *readout, sx_error, 35e-9, q not in broken)
            for q in range(num_qubits)
        ),
        edges=tuple(
            EdgeCalibration(a, b, (errors or {}).get((a, b), error), 300e-9) for a, b in edges
        ),
        repairs=(),
    )


def both_ways(edges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    return [*edges, *((b, a) for a, b in edges)]


def perfect(num_qubits: int, readout: float = 0.0) -> DeviceNoise:
    """Noiseless gates between all qubits; symmetric `readout` errors."""
    return DeviceNoise(
        (NO_NOISE,) * num_qubits,
        dict.fromkeys(pairs(num_qubits), PERFECT_PAIR),
        (readout,) * num_qubits,
        (readout,) * num_qubits,
    )


def depolarizing(num_qubits: int, two_qubit: float, one_qubit: float = 0.0) -> DeviceNoise:
    """Pure depolarising after each gate with these probabilities, perfect readout."""
    return DeviceNoise(
        (GateNoise((FOREVER_S,), (FOREVER_S,), 0.0, one_qubit),) * num_qubits,
        dict.fromkeys(
            pairs(num_qubits), GateNoise((FOREVER_S,) * 2, (FOREVER_S,) * 2, 0.0, two_qubit)
        ),
        (0.0,) * num_qubits,
        (0.0,) * num_qubits,
    )


def random_noise(num_qubits: int, rng: np.random.Generator) -> DeviceNoise:
    """Gate, relaxation (T2 up to 2 T1) and asymmetric readout noise, stronger than real ones."""
    t1 = rng.uniform(2e-5, 2e-4, num_qubits).tolist()
    t2 = [t * float(rng.choice([2.0, rng.uniform(0.1, 2)])) for t in t1]
    return DeviceNoise(
        tuple(
            gate_noise((t1[q],), (t2[q],), 35e-9, float(rng.uniform(0, 0.01)))
            for q in range(num_qubits)
        ),
        {
            (a, b): gate_noise((t1[a], t1[b]), (t2[a], t2[b]), 4e-7, float(rng.uniform(0, 0.08)))
            for a, b in pairs(num_qubits)
        },
        tuple(rng.uniform(0, 0.2, num_qubits).tolist()),
        tuple(rng.uniform(0, 0.2, num_qubits).tolist()),
    )


def random_native(
    num_qubits: int, num_gates: int, two_qubit_gate: str, rng: np.random.Generator
) -> PhysicalCircuit:
    """Gates on random qubits, half of them two-qubit gates in random directions."""
    gates = []
    for _ in range(num_gates):
        one, other = (rng.permutation(num_qubits).tolist() * 2)[:2]
        kind = str(rng.choice(["rz", "sx", "x", *[two_qubit_gate] * 3]))
        if kind == two_qubit_gate and num_qubits > 1:
            gates.append(NativeGate(kind, (one, other)))
        elif kind == "rz":
            gates.append(NativeGate("rz", (one,), float(rng.uniform(-7, 7))))
        elif kind in ("sx", "x"):
            gates.append(NativeGate(kind, (one,)))
    return PhysicalCircuit(num_qubits, tuple(gates))
