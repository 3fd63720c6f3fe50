"""Gate noise against Qiskit's own fidelity of the same channel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit.quantum_info import PTM, average_gate_fidelity

from quantumai.backends.catalogue import load_catalogue
from quantumai.backends.ibm_fake import read_snapshot
from quantumai.backends.noise import GateNoise, device_noise, gate_noise
from quantumai.backends.pauli_transfer import noise_transfer
from tests.synthetic_devices import device

_T1_S = st.floats(1e-5, 1e-3)
_T2_SHARE = st.floats(0.05, 2.0)
_QUBIT = st.tuples(_T1_S, _T2_SHARE).map(lambda q: (q[0], q[0] * q[1]))


def _infidelity(noise: GateNoise) -> float:
    return 1 - float(average_gate_fidelity(PTM(noise_transfer(noise))))


@settings(derandomize=True, deadline=None, max_examples=60)
@given(qubits=st.lists(_QUBIT, min_size=1, max_size=2), error=st.floats(1e-5, 0.4))
def test_infidelity_is_the_reported_error(qubits: list[tuple[float, float]], error: float) -> None:
    t1_s, t2_s = (tuple(times) for times in zip(*qubits, strict=True))
    noise = gate_noise(t1_s, t2_s, 300e-9, error)
    relaxation = _infidelity(GateNoise(t1_s, t2_s, 300e-9, 0.0))
    assert _infidelity(noise) == pytest.approx(max(error, relaxation), abs=1e-9)
    # Where relaxation alone is worse than the report nothing is added, and only there.
    assert (noise.depolarizing_probability == 0) == (relaxation >= error)


@settings(derandomize=True, deadline=None, max_examples=40)
@given(qubits=st.lists(_QUBIT, min_size=1, max_size=2), error=st.floats(0, 0.4))
def test_signal_is_the_mean_of_the_diagonal(
    qubits: list[tuple[float, float]], error: float
) -> None:
    t1_s, t2_s = (tuple(times) for times in zip(*qubits, strict=True))
    noise = gate_noise(t1_s, t2_s, 300e-9, error)
    assert noise.signal == pytest.approx(np.diag(noise_transfer(noise))[1:].mean(), abs=1e-12)


def test_pure_depolarizing_textbook_values() -> None:
    """Infidelity of depolarising p is p (d - 1) / d: 3p/4 on two qubits, p/2 on one."""
    forever = (1e12,)
    assert gate_noise(forever, forever, 1e-9, 0.05).depolarizing_probability == pytest.approx(0.1)
    two = gate_noise(forever * 2, forever * 2, 1e-9, 0.03)
    assert two.depolarizing_probability == pytest.approx(0.04)
    assert two.signal == pytest.approx(0.96)


def test_an_impossible_error_is_clipped() -> None:
    noise = gate_noise((1e-4,), (1e-4,), 1e-8, 0.9)
    assert noise.depolarizing_probability == 1.0
    assert noise.signal == 0.0


def test_compact_numbers_follow_the_chosen_qubits() -> None:
    snapshot = device(
        [(0, 1), (1, 2), (2, 3)],
        num_qubits=4,
        errors={(0, 1): 0.1, (1, 2): 0.02, (2, 3): 0.05},
    )
    noise = device_noise(snapshot, (3, 2, 1))
    assert set(noise.two_qubit) == {(1, 0), (2, 1)}  # 2->3 and 1->2; 0->1 is left out
    assert _infidelity(noise.two_qubit[1, 0]) == pytest.approx(0.05)
    assert _infidelity(noise.two_qubit[2, 1]) == pytest.approx(0.02)
    assert noise.prob_meas1_prep0 == (0.01,) * 3
    assert noise.prob_meas0_prep1 == (0.03,) * 3
    assert noise.num_qubits == 3


@pytest.mark.parametrize("name", [load_catalogue()[0].device, load_catalogue()[-1].device])
def test_real_devices_give_their_reported_errors(name: str) -> None:
    snapshot = read_snapshot(name)
    usable = [q for q, qubit in enumerate(snapshot.qubits) if qubit.operational]
    noise = device_noise(snapshot, usable)
    assert len(noise.two_qubit) == len(snapshot.edges)
    for edge in snapshot.edges[:20]:
        ends = (usable.index(edge.control), usable.index(edge.target))
        found = noise.two_qubit[ends]
        assert found.t1_s == (snapshot.qubits[edge.control].t1_s, snapshot.qubits[edge.target].t1_s)
        if found.depolarizing_probability > 0:
            assert _infidelity(found) == pytest.approx(edge.error, abs=1e-9)
        else:
            assert _infidelity(found) >= edge.error - 1e-12
