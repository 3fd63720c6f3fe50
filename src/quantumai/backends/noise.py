"""The noise of a reduced device: what a calibration snapshot says of the qubits in use.

Each gate is followed by relaxation over its length (T1, T2 of its qubits) and then by
depolarising of such strength that the average gate infidelity is the reported error. Where
relaxation alone is already worse than the report, no depolarising is added. Readout errors are
asymmetric and independent per qubit. What a calibration does not tell of comes from `extra_noise`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import expm1, log1p

from quantumai.backends.calibration import CalibrationSnapshot


@dataclass(frozen=True, slots=True)
class GateNoise:
    """Noise after one gate: per-qubit relaxation for `duration_s`, then joint depolarising.

    `depolarizing_probability` p maps rho to (1 - p) rho + p I/d.
    """

    t1_s: tuple[float, ...]
    t2_s: tuple[float, ...]
    duration_s: float
    depolarizing_probability: float

    @property
    def signal(self) -> float:
        """Mean over the non-identity Paulis of the channel's diagonal: what survives one gate."""
        loss = relaxation_loss(self.t1_s, self.t2_s, self.duration_s)
        return (1 - self.depolarizing_probability) * _signal(loss, len(self.t1_s))


@dataclass(frozen=True)
class IdleNoise:
    """What waiting does; `neighbours` are coupled pairs of compact qubits, the lower one first."""

    relaxes: bool
    zz_crosstalk_hz: float
    neighbours: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class DeviceNoise:
    """Noise of compact qubits 0..n-1; index q of each tuple is compact qubit q.

    `over_rotation_rad` turns each two-qubit gate too far about its own axis (`TURNS_ABOUT`), and
    `target_turn_rad` its second qubit about that axis' second letter, right after the gate and
    before its noise. Every one of the gates that folding adds is turned alike, as the inverse of a
    self-inverse gate is the same pulse.
    """

    one_qubit: tuple[GateNoise, ...]
    two_qubit: Mapping[tuple[int, int], GateNoise]
    prob_meas1_prep0: tuple[float, ...]
    prob_meas0_prep1: tuple[float, ...]
    over_rotation_rad: Mapping[tuple[int, int], float] = field(default_factory=dict)
    target_turn_rad: Mapping[tuple[int, int], float] = field(default_factory=dict)
    idle: IdleNoise | None = None

    @property
    def num_qubits(self) -> int:
        """Number of compact qubits."""
        return len(self.one_qubit)


def relaxation_loss(t1_s: Sequence[float], t2_s: Sequence[float], duration_s: float) -> float:
    """Process infidelity of independent thermal relaxation at zero temperature.

    The process fidelity is prod_q (1 + exp(-t/T1_q) + 2 exp(-t/T2_q)) / 4, the trace of the
    Pauli-transfer matrix over 4^n.
    """
    # Summed by expm1: the loss is 1e-4 and smaller, and cancellation must not eat it.
    log_fidelity = 0.0
    for t1, t2 in zip(t1_s, t2_s, strict=True):
        log_fidelity += log1p((expm1(-duration_s / t1) + 2 * expm1(-duration_s / t2)) / 4)
    return -expm1(log_fidelity)


def _signal(process_loss: float, num_qubits: int) -> float:
    """Mean over the non-identity Paulis of the diagonal of a channel with this process infidelity.

    The identity's own entry is always 1, so the others bear all of the loss.
    """
    paulis: int = 4**num_qubits
    return 1 - process_loss * paulis / (paulis - 1)


def gate_noise(
    t1_s: tuple[float, ...], t2_s: tuple[float, ...], duration_s: float, error: float
) -> GateNoise:
    """Relaxation plus the depolarising that brings the average gate infidelity to `error`.

    With process fidelity F_p the average gate infidelity is d (1 - F_p)/(d + 1) (Nielsen, Phys.
    Lett. A 303, 249, 2002); depolarising scales the signal by 1 - p.
    """
    num_qubits = len(t1_s)
    dimension: int = 2**num_qubits
    wanted = _signal(error * (dimension + 1) / dimension, num_qubits)
    relaxed = _signal(relaxation_loss(t1_s, t2_s, duration_s), num_qubits)
    probability = 1 - wanted / relaxed
    return GateNoise(t1_s, t2_s, duration_s, min(1.0, max(0.0, probability)))


def device_noise(snapshot: CalibrationSnapshot, physical_qubits: Sequence[int]) -> DeviceNoise:
    """Noise of the chosen qubits; compact qubit i is `physical_qubits[i]` of the device."""
    qubits = [snapshot.qubits[q] for q in physical_qubits]
    compact = {physical: index for index, physical in enumerate(physical_qubits)}
    two_qubit = {}
    for edge in snapshot.edges:
        if edge.control in compact and edge.target in compact:
            ends = (compact[edge.control], compact[edge.target])
            two_qubit[ends] = gate_noise(
                (qubits[ends[0]].t1_s, qubits[ends[1]].t1_s),
                (qubits[ends[0]].t2_s, qubits[ends[1]].t2_s),
                edge.duration_s,
                edge.error,
            )
    return DeviceNoise(
        tuple(gate_noise((q.t1_s,), (q.t2_s,), q.sx_duration_s, q.sx_error) for q in qubits),
        two_qubit,
        tuple(q.prob_meas1_prep0 for q in qubits),
        tuple(q.prob_meas0_prep1 for q in qubits),
    )
