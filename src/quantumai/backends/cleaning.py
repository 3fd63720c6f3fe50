"""Repair of raw calibration data: exclude what cannot be trusted, clip the rest, record both.

Vendors publish values that no physical device can have: two-qubit errors of 1.0 that mean
"not measured", T2 above 2 T1, gates reported better than relaxation alone allows. A pure
function, so that every vendor adapter is repaired alike and a snapshot can be explained.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from quantumai.backends.calibration import EdgeCalibration, QubitCalibration, Repair
from quantumai.backends.noise import relaxation_loss

# At 0.5 the process fidelity is 0.375 (0.0625 is pure noise): most of what comes out is not the
# gate. Vendors write 1.0 for "no value", which is above it too.
MAX_EDGE_ERROR = 0.5
# Working sx gates stand at 1e-4 to 1e-3. At 0.1 the tune-up has failed, whatever it was.
MAX_SX_ERROR = 0.1
# At 0.5 the readout says nothing about the qubit, and its confusion matrix may not be invertible.
MAX_READOUT_ERROR = 0.5


@dataclass(frozen=True)
class RawQubit:
    """One qubit as published, in seconds and shares; None, NaN and nonsense are welcome."""

    t1_s: float | None
    t2_s: float | None
    prob_meas1_prep0: float | None
    prob_meas0_prep1: float | None
    sx_error: float | None
    sx_duration_s: float | None
    operational: bool = True


@dataclass(frozen=True)
class RawEdge:
    """One direction of a two-qubit gate as published, in seconds and shares."""

    control: int
    target: int
    error: float | None
    duration_s: float | None
    operational: bool = True


@dataclass(frozen=True)
class Cleaned:
    """What is left after repair, and every repair made, in the order of qubits, then edges."""

    qubits: tuple[QubitCalibration, ...]
    edges: tuple[EdgeCalibration, ...]
    repairs: tuple[Repair, ...]


def relaxation_infidelity(duration_s: float, times_s: Sequence[tuple[float, float]]) -> float:
    """Average gate infidelity that relaxation alone causes on qubits with (T1, T2) `times_s`.

    With process infidelity l it is d l / (d + 1), d = 2^n (M. A. Nielsen, Phys. Lett. A 303, 249
    (2002), eq. 3).
    """
    t1_s, t2_s = zip(*times_s, strict=True)
    dimension = 1 << len(times_s)
    return relaxation_loss(t1_s, t2_s, duration_s) * dimension / (dimension + 1)


def clean(
    two_qubit_gate: str, raw_qubits: Sequence[RawQubit], raw_edges: Sequence[RawEdge]
) -> Cleaned:
    """Repair one device's calibration; never raises for bad values, it excludes them.

    `raw_qubits[i]` is physical qubit i. An edge whose reported error is less than relaxation
    alone causes is kept with its reported error: the noise model then applies relaxation only.
    """
    repairs: list[Repair] = []
    qubits = tuple(_qubit(index, raw, repairs) for index, raw in enumerate(raw_qubits))
    edges: list[EdgeCalibration] = []
    seen: set[tuple[int, int]] = set()
    for raw in raw_edges:
        where = f"{two_qubit_gate} {raw.control}-{raw.target}"
        why = _edge_excluded(raw, qubits)
        if not why and (raw.control, raw.target) in seen:
            why = "listed before"
        if why or raw.error is None or raw.duration_s is None:
            repairs.append(Repair(where, f"edge excluded: {why}"))
            continue
        seen.add((raw.control, raw.target))
        edge = EdgeCalibration(raw.control, raw.target, float(raw.error), float(raw.duration_s))
        times_s = [(qubits[q].t1_s, qubits[q].t2_s) for q in (raw.control, raw.target)]
        _record_relaxation(where, edge.error, edge.duration_s, times_s, repairs)
        edges.append(edge)
    return Cleaned(qubits, tuple(edges), tuple(repairs))


def _qubit(index: int, raw: RawQubit, repairs: list[Repair]) -> QubitCalibration:
    where = f"qubit {index}"
    faults = [] if raw.operational else ["reported as not operational"]

    def usable(name: str, value: float | None, *, above: float, below: float) -> float:
        """`value` if above < value < below; else 0.0, and the qubit is faulty."""
        if value is None or not above < value < below:
            faults.append(f"{name} is {_shown(value)}")
            return 0.0
        return float(value)

    t1_s = usable("T1 in seconds", raw.t1_s, above=0.0, below=math.inf)
    t2_s = usable("T2 in seconds", raw.t2_s, above=0.0, below=math.inf)
    if t1_s and t2_s > 2 * t1_s:
        repairs.append(Repair(where, f"T2 {t2_s:.4g} s clipped to 2 T1 = {2 * t1_s:.4g} s"))
        t2_s = 2 * t1_s
    readout = []
    for name in ("prob_meas1_prep0", "prob_meas0_prep1"):
        value: float | None = getattr(raw, name)
        if value is None or not math.isfinite(value) or value >= MAX_READOUT_ERROR:
            faults.append(f"{name} is {_shown(value)}")
        elif value < 0:
            repairs.append(Repair(where, f"{name} {value:.4g} clipped to 0"))
        finite = value if value is not None and math.isfinite(value) else MAX_READOUT_ERROR
        readout.append(min(max(float(finite), 0.0), MAX_READOUT_ERROR))
    # The smallest float below zero: an error of exactly zero is believed, relaxation covers it.
    sx_error = usable("sx error", raw.sx_error, above=-5e-324, below=MAX_SX_ERROR)
    sx_duration_s = usable("sx duration in seconds", raw.sx_duration_s, above=0.0, below=math.inf)
    if faults:
        repairs.append(Repair(where, f"qubit excluded: {'; '.join(faults)}"))
    else:
        _record_relaxation(f"sx {index}", sx_error, sx_duration_s, [(t1_s, t2_s)], repairs)
    return QubitCalibration(
        t1_s, t2_s, readout[0], readout[1], sx_error, sx_duration_s, operational=not faults
    )


def _edge_excluded(raw: RawEdge, qubits: Sequence[QubitCalibration]) -> str:
    """Why the edge cannot be used, or an empty string."""
    ends = (raw.control, raw.target)
    if raw.control == raw.target or not all(0 <= q < len(qubits) for q in ends):
        return "it does not join two qubits of the device"
    if not raw.operational:
        return "reported as not operational"
    if raw.error is None or not 0 <= raw.error < MAX_EDGE_ERROR:
        return f"its error is {_shown(raw.error)}"
    if raw.duration_s is None or not 0 < raw.duration_s < math.inf:
        return f"its duration in seconds is {_shown(raw.duration_s)}"
    unusable = [str(q) for q in ends if not qubits[q].operational]
    return f"it uses excluded qubit {' and '.join(unusable)}" if unusable else ""


def _record_relaxation(
    where: str,
    error: float,
    duration_s: float,
    times_s: Sequence[tuple[float, float]],
    repairs: list[Repair],
) -> None:
    floor = relaxation_infidelity(duration_s, times_s)
    if floor > error:
        what = (
            f"relaxation alone gives {floor:.4g} > reported {error:.4g};"
            " the noise used is relaxation alone"
        )
        repairs.append(Repair(where, what))


def _shown(value: float | None) -> str:
    return "missing" if value is None else f"{value:.4g}"
