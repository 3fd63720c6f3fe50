"""Exact values against closed forms and Qiskit's density matrices; families against their text."""

from __future__ import annotations

import math

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.quantum_info import DensityMatrix, SparsePauliOp

from quantumai.circuits.families.mixed import FAMILIES, family_circuit
from quantumai.circuits.ideal import ideal_values
from quantumai.circuits.loading import from_qiskit, load_circuit
from quantumai.circuits.observables import parse_observables
from quantumai.errors import BadInputError


def test_ghz_closed_form() -> None:
    qc = QuantumCircuit(4)
    qc.h(0)
    for q in range(3):
        qc.cx(q, q + 1)
    paulis = ["ZIII", "ZZII", "IZIZ", "ZZZZ", "XXXX", "YYYY", "XXYY", "ZZZI", "XXXI"]
    expected = [0, 1, 1, 1, 1, 1, -1, 0, 0]
    np.testing.assert_allclose(ideal_values(from_qiskit(qc), paulis), expected, atol=1e-12)


def test_product_state_closed_form_and_order() -> None:
    angles = [0.3, 1.1, 2.0]
    qc = QuantumCircuit(3)
    for q, angle in enumerate(angles):
        qc.ry(angle, q)
    values = ideal_values(from_qiskit(qc), ["IIZ", "IZI", "ZII", "XIZ", "YII"])
    z = [math.cos(a) for a in angles]
    np.testing.assert_allclose(values, [*z, math.sin(2.0) * z[0], 0], atol=1e-12)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("num_qubits", [4, 7])
def test_families_are_deterministic_and_agree_with_qiskit(family: str, num_qubits: int) -> None:
    one = family_circuit(family, num_qubits, 5)
    assert one == family_circuit(family, num_qubits, 5)
    assert one.circuit.sha256 != family_circuit(family, num_qubits, 6).circuit.sha256
    assert one.observables == parse_observables(one.observables, num_qubits)
    assert one.circuit.quantum.num_nonlocal_gates() > 0
    state = DensityMatrix(load_circuit(one.circuit.source).quantum)
    expected = [state.expectation_value(SparsePauliOp(p)).real for p in one.observables]
    values = ideal_values(one.circuit, one.observables)
    np.testing.assert_allclose(values, expected, atol=1e-10)
    assert np.sqrt(np.mean(values**2)) > 0.02


def test_observables_of_the_families() -> None:
    expected = {
        "random": {"IIIZ", "IIZI", "IZII", "ZIII", "IIZZ", "IZZI", "ZZII"},
        "vqe": {"IIZZ", "IZZI", "ZZII", "IIIX", "IIXI", "IXII", "XIII"},
    }
    expected["trotter"] = expected["random"]
    for family, paulis in expected.items():
        assert set(family_circuit(family, 4, 1).observables) == paulis
    for seed in range(6):
        qaoa = family_circuit("qaoa", 7, seed)
        pairs = {
            frozenset(qaoa.circuit.quantum.find_bit(q).index for q in item.qubits)
            for item in qaoa.circuit.quantum
            if item.name == "rzz"
        }
        terms = {frozenset(6 - i for i, c in enumerate(p) if c == "Z") for p in qaoa.observables}
        assert terms == pairs


def test_unknown_families_and_sizes() -> None:
    for family, size in (("bell", 4), ("qaoa", 3), ("qaoa", 11)):
        with pytest.raises(BadInputError):
            family_circuit(family, size, 1)
