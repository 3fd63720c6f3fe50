"""Features against closed forms."""

from __future__ import annotations

import math

import pytest
from qiskit import QuantumCircuit

from quantumai.circuits.features import circuit_features


@pytest.mark.parametrize("n", [3, 4, 7])
def test_entropy_of_known_shapes(n: int) -> None:
    ring, star, pair, none = (QuantumCircuit(n) for _ in range(4))
    none.h(range(n))
    for q in range(n):
        ring.rzz(0.1, q, (q + 1) % n)
    for q in range(1, n):
        star.cx(0, q)
        pair.cz(0, 1)
    leaves = n - 1
    # Star: half of all ends lie on the centre, the rest is spread evenly over the leaves.
    closed = {"star": 0.5 + 0.5 * math.log2(2 * leaves)}
    assert circuit_features(ring, 0).mapping_entropy_bits == pytest.approx(math.log2(n))
    assert circuit_features(star, 0).mapping_entropy_bits == pytest.approx(closed["star"])
    assert circuit_features(pair, 0).mapping_entropy_bits == pytest.approx(1.0)
    assert circuit_features(none, 0).mapping_entropy_bits == 0.0


def test_counts_and_depth_agree_with_qiskit() -> None:
    qc = QuantumCircuit(4)
    qc.h([0, 1])
    qc.cx(0, 1)
    qc.barrier()
    qc.rzz(0.2, 1, 2)
    qc.ccx(0, 1, 3)
    qc.rz(0.1, 3)
    features = circuit_features(qc, 4)
    assert features.qubit_count == 4
    assert features.single_qubit_gate_count == 3
    assert features.two_qubit_gate_count == 2
    assert features.multi_qubit_gate_count == 1
    assert features.measurement_count == 4
    assert features.depth == qc.depth() == 5
