"""A device's noise as a noise model of Braket's local simulator."""

from __future__ import annotations

from functools import reduce
from math import exp, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantumai.backends.noise import DeviceNoise, GateNoise

_Kraus = list[NDArray[np.complex128]]


def braket_noise_model(noise: DeviceNoise) -> Any:
    """A `braket.circuits.noise_model.NoiseModel` on compact qubits 0, 1, ...

    After each gate: relaxation of its qubits, then depolarising; before the measurement: readout
    errors as a channel. Braket's depolarising of probability p draws among the non-identity Paulis
    only, so p of ours, to I/d, is p (4^n - 1) / 4^n of theirs.
    """
    from braket.circuits import Gate
    from braket.circuits.noise_model import GateCriteria, MeasureCriteria, NoiseModel
    from braket.circuits.noises import Depolarizing, Kraus, TwoQubitDepolarizing

    if noise.over_rotation_rad or noise.idle is not None:
        raise ValueError("noise beyond the calibration cannot be told to Braket's simulator")
    model = NoiseModel()
    for qubit, gate_noise in enumerate(noise.one_qubit):
        criteria = GateCriteria([Gate.V, Gate.X], [qubit])
        model.add_noise(Kraus(_relaxation(gate_noise)), criteria)
        model.add_noise(Depolarizing(gate_noise.depolarizing_probability * 3 / 4), criteria)
    for ends, gate_noise in noise.two_qubit.items():
        criteria = GateCriteria([Gate.CNot, Gate.CZ, Gate.ECR], [ends])
        model.add_noise(Kraus(_relaxation(gate_noise)), criteria)
        probability = gate_noise.depolarizing_probability * 15 / 16
        model.add_noise(TwoQubitDepolarizing(probability), criteria)
    for qubit in range(noise.num_qubits):
        errors = noise.prob_meas1_prep0[qubit], noise.prob_meas0_prep1[qubit]
        model.add_noise(Kraus(_readout(*errors)), MeasureCriteria([qubit]))
    return model


def _relaxation(noise: GateNoise) -> _Kraus:
    """Kraus operators of relaxation on all qubits of a gate, the first qubit leftmost."""
    each = [
        _damping(t1_s, t2_s, noise.duration_s)
        for t1_s, t2_s in zip(noise.t1_s, noise.t2_s, strict=True)
    ]
    return reduce(_tensored, each)


def _tensored(left: _Kraus, right: _Kraus) -> _Kraus:
    return [np.asarray(np.kron(a, b), dtype=np.complex128) for a in left for b in right]


def _damping(t1_s: float, t2_s: float, duration_s: float) -> _Kraus:
    """T1 and T2 at zero temperature: amplitude damping g = 1 - exp(-t/T1) with dephasing on top.

    Coherence shrinks by exp(-t/T2) in all.
    """
    kept = exp(-duration_s / t1_s)
    coherence = exp(-duration_s / t2_s)
    dephasing = max(0.0, kept - coherence**2)
    return [
        np.array([[1, 0], [0, coherence]], dtype=complex),
        np.array([[0, sqrt(1 - kept)], [0, 0]], dtype=complex),
        np.array([[0, 0], [0, sqrt(dephasing)]], dtype=complex),
    ]


def _readout(prob_meas1_prep0: float, prob_meas0_prep1: float) -> _Kraus:
    """A classical bit flip of either direction; it leaves no coherence, as measuring does."""
    return [
        np.array([[sqrt(1 - prob_meas1_prep0), 0], [0, 0]], dtype=complex),
        np.array([[0, 0], [sqrt(prob_meas1_prep0), 0]], dtype=complex),
        np.array([[0, sqrt(prob_meas0_prep1)], [0, 0]], dtype=complex),
        np.array([[0, 0], [0, sqrt(1 - prob_meas0_prep1)]], dtype=complex),
    ]
