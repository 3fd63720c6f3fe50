"""Circuit features of the specification (EM policy, "Features & inputs")."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from qiskit import QuantumCircuit


class CircuitFeatures(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Counts over the gates of one circuit; barriers and measurements are no gates.

    `depth` is the longest chain of gates that share qubits. `multi_qubit_gate_count` counts
    gates on three qubits and more, which a circuit mapped to a device no longer has.
    `mapping_entropy_bits`: see `mapping_entropy_bits`.
    """

    qubit_count: int
    depth: int
    two_qubit_gate_count: int
    single_qubit_gate_count: int
    multi_qubit_gate_count: int
    measurement_count: int
    mapping_entropy_bits: float


def circuit_features(qc: QuantumCircuit, measurement_count: int) -> CircuitFeatures:
    """Features of the unitary circuit `qc`, of which `measurement_count` qubits are measured."""
    index = {qubit: i for i, qubit in enumerate(qc.qubits)}
    gates = (
        tuple(index[q] for q in item.qubits)
        for item in qc.data
        if item.operation.name not in ("barrier", "measure", "global_phase")
    )
    return features_of(gates, qc.num_qubits, measurement_count)


def features_of(
    gates: Iterable[Sequence[int]], num_qubits: int, measurement_count: int
) -> CircuitFeatures:
    """Features of gates given as the qubits each acts on, in time order."""
    widths: Counter[int] = Counter()
    ends: Counter[int] = Counter()
    levels = [0] * num_qubits
    for qubits in gates:
        widths[len(qubits)] += 1
        if len(qubits) == 2:
            ends.update(qubits)
        level = 1 + max(levels[q] for q in qubits)
        for q in qubits:
            levels[q] = level
    return CircuitFeatures(
        qubit_count=num_qubits,
        depth=max(levels, default=0),
        two_qubit_gate_count=widths[2],
        single_qubit_gate_count=widths[1],
        multi_qubit_gate_count=sum(n for width, n in widths.items() if width > 2),
        measurement_count=measurement_count,
        mapping_entropy_bits=mapping_entropy_bits(ends),
    )


def mapping_entropy_bits(ends: Counter[int]) -> float:
    """Qubit-mapping entropy: how evenly two-qubit gates are spread over the qubits, in bits.

    Take one end of one two-qubit gate at random; p(q) is the chance that it lies on qubit q,
    `ends[q]` the number of ends there. The feature is Shannon's entropy
    H = -sum_q p(q) log2 p(q) (C. E. Shannon, Bell Syst. Tech. J. 27, 379, 1948, section 6).
    It lies between 1 (one pair does everything) and log2(number of qubits); with no two-qubit
    gate it is 0.
    """
    total = sum(ends.values())
    if total == 0:
        return 0.0
    return -math.fsum(n / total * math.log2(n / total) for _, n in sorted(ends.items()) if n)
