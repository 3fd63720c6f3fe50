"""What ML-QEM knows of an observable at run time: one row of numbers each.

Nothing here depends on an ideal value. The noisy features are the only ones that come from shots;
the descriptors tell of the circuit and of the calibration of the qubits and edges in use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import pi

import numpy as np

from quantumai.backends.noise import DeviceNoise
from quantumai.backends.physical_circuit import PhysicalCircuit
from quantumai.mitigation.light_cone import light_cone
from quantumai.mitigation.readout import Array, Confusion, support_of

FEATURES_VERSION = "features-v2"
LEAST_SIGNAL = 0.05
"""Below this share of surviving signal, dividing by it would only amplify shot noise."""
LEAST_LOG = -50.0
"""No log of a signal is told below this: a channel that loses everything has none."""
_ANGLE_BINS = 8

NOISY_FEATURES = (
    "rem", "raw", "rescaled", "rem_squared", "rem_magnitude",
    "neighbour_mean", "neighbour_magnitude", "neighbour_largest", "all_magnitude", "all_rms",
)  # fmt: skip
DESCRIPTORS = (
    "log_signal", "log_signal_fixed", "log_signal_folded", "log_signal_idle", "log_signal_zz",
    "prior_mean_square",
    "readout_contrast", "readout_offset", "rem_std_err", "rescaled_std_err",
    "weight", "weight_x", "weight_y",
    "num_qubits", "two_qubit_gates", "gates_per_qubit", "two_qubit_gates_per_qubit",
    "edge_signal_mean", "edge_signal_support", "qubit_signal_mean", "qubit_signal_support",
    "readout_error_mean", *(f"angles_{i}" for i in range(_ANGLE_BINS)),
)  # fmt: skip
FEATURES = (*NOISY_FEATURES, *DESCRIPTORS)


@dataclass(frozen=True)
class RunEvidence:
    """All that a learned mitigator may look at.

    `paulis` are over compact qubits; `raw`, `rem` and the standard errors of `rem` are those at
    noise factor 1, shape (observables,). `calibrated` is the noise that the calibration tells of,
    never the true channel.
    """

    circuit: PhysicalCircuit
    paulis: tuple[str, ...]
    calibrated: DeviceNoise
    raw: Array
    rem: Array
    rem_std_errs: Array


def observable_features(evidence: RunEvidence) -> Array:
    """Shape (observables, len(FEATURES)), columns in the order of `FEATURES`."""
    paulis = evidence.paulis
    supports = [support_of(pauli) for pauli in paulis]
    cone = light_cone(evidence.circuit, evidence.calibrated, paulis, waiting=True)
    fixed, folded, idle, zz = (
        np.maximum(log, LEAST_LOG)
        for log in (cone.fixed_log, cone.folded_log, cone.idle_log, cone.zz_log)
    )
    log_signal = np.maximum(fixed + folded, LEAST_LOG)
    signal = np.maximum(np.exp(log_signal), LEAST_SIGNAL)
    columns: dict[str, Array] = {
        "log_signal": log_signal,
        "log_signal_fixed": fixed,
        "log_signal_folded": folded,
        "log_signal_idle": idle,
        "log_signal_zz": zz,
        "prior_mean_square": cone.mean_square,
        "rem_std_err": evidence.rem_std_errs,
        "rescaled_std_err": evidence.rem_std_errs / signal,
        "weight": np.array([float(len(support)) for support in supports]),
        "weight_x": np.array([float(pauli.count("X")) for pauli in paulis]),
        "weight_y": np.array([float(pauli.count("Y")) for pauli in paulis]),
        **_noisy(evidence, signal, supports),
        **_readout(evidence.calibrated, paulis),
        **_device(evidence.calibrated, supports),
        **{
            name: np.full(len(paulis), value) for name, value in _shape_of(evidence.circuit).items()
        },
    }
    return np.stack([columns[name] for name in FEATURES], axis=1)


def _noisy(
    evidence: RunEvidence, signal: Array, supports: Sequence[Sequence[int]]
) -> Mapping[str, Array]:
    values = evidence.rem
    near = [
        [j for j, other in enumerate(supports) if j != i and not set(mine).isdisjoint(other)] or [i]
        for i, mine in enumerate(supports)
    ]
    return {
        "rem": values,
        "raw": evidence.raw,
        "rescaled": np.clip(values / signal, -1, 1),
        "rem_squared": values**2,
        "rem_magnitude": np.abs(values),
        "neighbour_mean": np.array([values[j].mean() for j in near]),
        "neighbour_magnitude": np.array([np.abs(values[j]).mean() for j in near]),
        "neighbour_largest": np.array([np.abs(values[j]).max() for j in near]),
        "all_magnitude": np.full(len(values), np.abs(values).mean()),
        "all_rms": np.full(len(values), np.sqrt(np.mean(values**2))),
    }


def _readout(noise: DeviceNoise, paulis: Sequence[str]) -> Mapping[str, Array]:
    confusion = Confusion(np.array(noise.prob_meas1_prep0), np.array(noise.prob_meas0_prep1))
    mean = (confusion.prob_meas1_prep0 + confusion.prob_meas0_prep1).mean() / 2
    return {
        "readout_contrast": np.array([confusion.contrast(pauli) for pauli in paulis]),
        "readout_offset": np.array([confusion.offset_squared(p, 1.0) for p in paulis]) ** 0.5,
        "readout_error_mean": np.full(len(paulis), mean),
    }


def _device(noise: DeviceNoise, supports: Sequence[Sequence[int]]) -> Mapping[str, Array]:
    """Signal after one gate: of all edges and qubits, and of those at an observable's support."""
    edges = {edge: gate.signal for edge, gate in noise.two_qubit.items()}
    qubits = np.array([gate.signal for gate in noise.one_qubit])
    edge_mean = float(np.mean(list(edges.values()))) if edges else 1.0
    at_support = [
        [signal for edge, signal in edges.items() if not set(edge).isdisjoint(support)]
        for support in supports
    ]
    return {
        "edge_signal_mean": np.full(len(supports), edge_mean),
        "edge_signal_support": np.array([np.mean(s) if s else edge_mean for s in at_support]),
        "qubit_signal_mean": np.full(len(supports), qubits.mean()),
        "qubit_signal_support": np.array([qubits[list(support)].mean() for support in supports]),
    }


def _shape_of(circuit: PhysicalCircuit) -> Mapping[str, float]:
    """Size of the circuit, and the shares of its rz angles in equal bins of [0, 2 pi)."""
    angles = np.array([gate.angle for gate in circuit.gates if gate.name == "rz"]) % (2 * pi)
    # Rounding may put an angle just below zero on 2 pi itself.
    bins = np.minimum((angles / (2 * pi) * _ANGLE_BINS).astype(int), _ANGLE_BINS - 1)
    shares = np.bincount(bins, minlength=_ANGLE_BINS) / max(len(angles), 1)
    return {
        "num_qubits": float(circuit.num_qubits),
        "two_qubit_gates": float(circuit.two_qubit_gate_count),
        "gates_per_qubit": len(circuit.gates) / circuit.num_qubits,
        "two_qubit_gates_per_qubit": circuit.two_qubit_gate_count / circuit.num_qubits,
        **{f"angles_{i}": float(share) for i, share in enumerate(shares)},
    }
