"""Waiting: the schedule against Qiskit's, and its effects by closed forms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import cos, exp, pi

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Delay, Parameter
from qiskit.circuit.library import CXGate, RZGate, SXGate, XGate
from qiskit.transpiler import InstructionProperties, PassManager, Target
from qiskit.transpiler.passes import ASAPScheduleAnalysis, PadDelay

from quantumai.backends.channel_simulator import ChannelSimulator
from quantumai.backends.idling import IDLE, scheduled
from quantumai.backends.noise import DeviceNoise, IdleNoise
from quantumai.backends.physical_circuit import NativeGate, PhysicalCircuit
from tests.synthetic_devices import perfect, random_native, random_noise

CHANNEL = ChannelSimulator()


@pytest.mark.parametrize("seed", range(4))
def test_qubits_wait_as_qiskit_schedules(seed: int) -> None:
    """How long each qubit waits before its gates and its readout, folded gates written out."""
    rng = np.random.default_rng(seed)
    circuit = random_native(5, 60, "cx", rng)
    noise = random_noise(5, rng)
    lengths = {
        pair: replace(gate, duration_s=1e-9 * int(rng.integers(200, 600)))
        for pair, gate in noise.two_qubit.items()
    }
    noise = replace(noise, two_qubit=lengths, idle=IdleNoise(True, 0.0, ()))
    folds = rng.choice([1, 3, 5], circuit.two_qubit_gate_count).tolist()
    waits: list[list[int]] = [[] for _ in range(5)]
    for gate in scheduled(circuit, "I" * 5, noise, folds)[0]:
        if gate.name == IDLE:
            waits[gate.qubits[0]].append(round(gate.angle * 1e9))
    assert waits == _waits_by_qiskit(circuit, noise, folds)


def _waits_by_qiskit(
    circuit: PhysicalCircuit, noise: DeviceNoise, folds: Sequence[int]
) -> list[list[int]]:
    """The delays that Qiskit pads an as-soon-as-possible schedule with, in nanoseconds."""
    folded, remaining = QuantumCircuit(circuit.num_qubits), iter(folds)
    for gate in circuit.gates:
        arguments = (gate.angle, *gate.qubits) if gate.name == "rz" else gate.qubits
        for _ in range(next(remaining) if gate.name == "cx" else 1):
            getattr(folded, gate.name)(*arguments)
    target = Target(num_qubits=circuit.num_qubits, dt=1e-9)
    alone = {(q,): gate.duration_s for q, gate in enumerate(noise.one_qubit)}
    together = {pair: gate.duration_s for pair, gate in noise.two_qubit.items()}
    for kind, lengths_s in (
        (SXGate(), alone),
        (XGate(), alone),
        (RZGate(Parameter("angle")), dict.fromkeys(alone, 0.0)),
        (CXGate(), together),
        (Delay(Parameter("length")), dict.fromkeys(alone)),
    ):
        target.add_instruction(
            kind, {q: InstructionProperties(duration=s) for q, s in lengths_s.items()}
        )
    passes = [ASAPScheduleAnalysis(target=target), PadDelay(target=target)]
    padded = PassManager(passes).run(folded)
    waits: list[list[int]] = [[] for _ in range(circuit.num_qubits)]
    for step in padded.data:
        if step.operation.name == "delay":
            waits[padded.find_bit(step.qubits[0]).index].append(step.operation.duration)
    return waits


def _plus(*qubits: int) -> list[NativeGate]:
    """|+> up to a phase, by gates of no length and no error."""
    return [g for q in qubits for g in (NativeGate("rz", (q,), pi / 2), NativeGate("sx", (q,)))]


def _waits(num_qubits: int, pair: tuple[int, int], duration_s: float) -> DeviceNoise:
    """Perfect but for waiting while `pair` runs a gate of that length; T1 50, T2 40 us."""
    noise = perfect(num_qubits)
    long = replace(noise.two_qubit[pair], duration_s=duration_s)
    real = [replace(gate, t1_s=(50e-6,), t2_s=(40e-6,)) for gate in noise.one_qubit]
    return replace(noise, one_qubit=tuple(real), two_qubit={**noise.two_qubit, pair: long})


def _value(circuit: PhysicalCircuit, noise: DeviceNoise, basis: str, fold: int = 1) -> float:
    folds = np.full((1, circuit.two_qubit_gate_count), fold)
    (row,) = CHANNEL.probabilities(circuit, noise, basis, folds)
    first = row.reshape(-1, 2).sum(axis=0)
    return float(first[0] - first[1])


@pytest.mark.parametrize("fold", [1, 3, 5])
def test_a_qubit_that_waits_decays_with_t2(fold: int) -> None:
    noise = replace(_waits(3, (1, 2), 2e-6), idle=IdleNoise(True, 0.0, ()))
    circuit = PhysicalCircuit(3, (*_plus(0), NativeGate("cz", (1, 2))))
    at_rest = _value(circuit, replace(noise, idle=None), "IIY", fold)
    assert abs(at_rest) == pytest.approx(1)
    assert _value(circuit, noise, "IIY", fold) / at_rest == pytest.approx(exp(-fold * 2e-6 / 40e-6))


@pytest.mark.parametrize("fold", [1, 3])
def test_two_that_wait_together_turn_each_other(fold: int) -> None:
    """<Y> of |++> under the static rate zeta is cos(pi zeta t)."""
    rate = 60e3
    noise = replace(_waits(4, (2, 3), 2e-6), idle=IdleNoise(False, rate, ((0, 1), (1, 2))))
    circuit = PhysicalCircuit(4, (*_plus(0, 1), NativeGate("cz", (2, 3))))
    at_rest = _value(circuit, replace(noise, idle=None), "IIIY", fold)
    found = _value(circuit, noise, "IIIY", fold) / at_rest
    assert found == pytest.approx(cos(pi * rate * fold * 2e-6))
