"""Transpiled circuits: native everywhere, and the same unitary as the source.

The second is checked by simulating the physical circuit and comparing random Pauli values, put
where the transpiler says the logical qubits are, with Qiskit's statevector of the source.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

import numpy as np
import pytest
from mqt.bench import BenchmarkLevel, get_benchmark
from qiskit import QuantumCircuit
from qiskit.circuit.random import random_circuit

from quantumai.backends.calibration import CalibrationSnapshot
from quantumai.backends.catalogue import load_catalogue
from quantumai.backends.channel_simulator import ChannelSimulator
from quantumai.backends.ibm_fake import read_snapshot
from quantumai.backends.simulator import no_folding
from quantumai.circuits.circuit import Circuit
from quantumai.circuits.families.mixed import FAMILIES, family_circuit
from quantumai.circuits.ideal import ideal_values
from quantumai.circuits.loading import from_qiskit
from quantumai.errors import BadInputError
from quantumai.execution.transpile import TranspiledCircuit, Transpiler
from quantumai.mitigation.readout import outcome_weights
from tests.synthetic_devices import both_ways, device, perfect

pytestmark = pytest.mark.slow

_LINE = [(q, q + 1) for q in range(9)]
_T = [(0, 1), (1, 2), (1, 3), (3, 4)]  # the five-qubit devices of IBM
_GRID = [(0, 1), (1, 2), (3, 4), (4, 5), (0, 3), (1, 4), (2, 5)]
DEVICES = {
    "line-cx": device(both_ways(_LINE), num_qubits=10, gate="cx"),
    "line-cz": device(_LINE, num_qubits=10, gate="cz"),
    "line-ecr": device([(a, b) if a % 2 else (b, a) for a, b in _LINE], num_qubits=10, gate="ecr"),
    "t-cx": device(both_ways(_T), num_qubits=5, gate="cx"),
    "t-cx-one-way": device(_T, num_qubits=5, gate="cx"),
    "t-ecr": device([(1, 0), (1, 2), (3, 1), (3, 4)], num_qubits=5, gate="ecr"),
    "grid-cz": device([(b, a) for a, b in _GRID], num_qubits=6, gate="cz"),
}


def _chain(count: int) -> QuantumCircuit:
    circuit = QuantumCircuit(count)
    for q in range(count):
        circuit.ry(0.3 + 0.4 * q, q)
    for q in range(count - 1):
        circuit.rzz(0.5 + 0.1 * q, q, q + 1)
        circuit.cx(q + 1, q)
    return circuit


def _star(count: int) -> QuantumCircuit:
    circuit = QuantumCircuit(count)
    circuit.h(0)
    for q in range(1, count):
        circuit.ry(0.2 * q, q)
        circuit.cry(0.7 * q, 0, q)
    return circuit


def _complete(count: int) -> QuantumCircuit:
    circuit = QuantumCircuit(count)
    for a in range(count):
        circuit.u(0.4 * a + 0.3, 0.2, -0.9, a)
        for b in range(a):
            circuit.cp(0.3 + a * b, a, b)
            circuit.rxx(0.2 * (a + b), a, b)
    return circuit


def _islands() -> QuantumCircuit:
    """Two disconnected pairs that interleave, and an idle qubit between them."""
    circuit = QuantumCircuit(5)
    circuit.ry(0.7, 0)
    circuit.cx(0, 3)
    circuit.ry(1.1, 1)
    circuit.cx(1, 4)
    circuit.rx(0.3, 4)
    return circuit


def _ring_beside_pair() -> QuantumCircuit:
    """A triangle embeds nowhere on a tree, so a disconnected circuit must be routed."""
    circuit = QuantumCircuit(5)
    for a, b in [(0, 1), (1, 2), (2, 0), (3, 4), (0, 1)]:
        circuit.ry(0.4 + a, a)
        circuit.cx(a, b)
    return circuit


SHAPES = {
    "chain": _chain(5),
    "star": _star(5),
    "complete": _complete(5),
    "complete4": _complete(4),
    "islands": _islands(),
    "ring-beside-pair": _ring_beside_pair(),
    "idle": QuantumCircuit(4),
    "one-qubit": _star(1),
    "pair": _chain(2),
}


def _paulis(count: int, rng: np.random.Generator) -> list[str]:
    singles = ["".join("Z" if i == q else "I" for i in range(count)) for q in range(count)]
    found = ["".join(rng.choice(list("IXYZ"), count)) for _ in range(8)]
    return singles + [p for p in found if set(p) != {"I"}]


def _assert_faithful(
    transpiled: TranspiledCircuit, circuit: Circuit, snapshot: CalibrationSnapshot
) -> None:
    physical = transpiled.physical_qubits
    assert len(set(physical)) == transpiled.circuit.num_qubits == circuit.num_qubits
    assert sorted(transpiled.positions) == list(range(circuit.num_qubits))
    assert all(snapshot.qubits[q].operational for q in physical)
    native = {(edge.control, edge.target) for edge in snapshot.edges}
    for gate in transpiled.circuit.gates:
        if len(gate.qubits) == 2:
            assert gate.name == snapshot.two_qubit_gate
            assert tuple(physical[q] for q in gate.qubits) in native
        else:
            assert gate.name in snapshot.one_qubit_gates
    _assert_same_values(transpiled, circuit)


def _assert_same_values(transpiled: TranspiledCircuit, circuit: Circuit) -> None:
    count = circuit.num_qubits
    paulis = _paulis(count, np.random.default_rng(count))
    noiseless, simulator = perfect(count), ChannelSimulator()
    found = []
    for pauli in paulis:
        placed = transpiled.place(pauli)
        probabilities = simulator.probabilities(
            transpiled.circuit, noiseless, placed, no_folding(transpiled.circuit)
        )[0]
        found.append(float(probabilities @ outcome_weights(placed, None)))
    np.testing.assert_allclose(found, ideal_values(circuit, paulis), atol=1e-9)


@pytest.mark.parametrize("where", DEVICES)
@pytest.mark.parametrize("shape", SHAPES)
def test_shapes(shape: str, where: str) -> None:
    circuit = from_qiskit(SHAPES[shape])
    transpiled = Transpiler(circuit).transpile(DEVICES[where])
    _assert_faithful(transpiled, circuit, DEVICES[where])
    if shape == "idle":
        assert transpiled.circuit.gates == ()


@pytest.mark.parametrize("seed", range(12))
def test_random_circuits_of_all_standard_gates(seed: int) -> None:
    """Qiskit's random circuits: three- and four-qubit gates, swaps, controlled ones."""
    count = 2 + seed % 4
    circuit = from_qiskit(random_circuit(count, 4, max_operands=min(count, 4), seed=seed))
    transpiler = Transpiler(circuit)
    for snapshot in (DEVICES["t-ecr"], DEVICES["t-cx-one-way"], DEVICES["grid-cz"]):
        _assert_faithful(transpiler.transpile(snapshot), circuit, snapshot)


@pytest.mark.parametrize("family", FAMILIES)
def test_families(family: str) -> None:
    circuit = family_circuit(family, 6, seed=3).circuit
    for where in ("line-ecr", "grid-cz"):
        transpiled = Transpiler(circuit).transpile(DEVICES[where])
        _assert_faithful(transpiled, circuit, DEVICES[where])


@pytest.mark.parametrize("name", ["ghz", "qft", "wstate", "qpeexact", "ae", "graphstate", "dj"])
def test_mqt_bench(name: str) -> None:
    source = get_benchmark(name, BenchmarkLevel.INDEP, 5)
    source.remove_final_measurements()
    circuit = from_qiskit(source)
    for where in ("t-ecr", "line-cz"):
        transpiled = Transpiler(circuit).transpile(DEVICES[where])
        _assert_faithful(transpiled, circuit, DEVICES[where])


@pytest.mark.slow
@pytest.mark.parametrize("name", [entry.device for entry in load_catalogue()])
def test_real_devices(name: str) -> None:
    snapshot = read_snapshot(name)
    for shape in ("chain", "complete", "islands"):
        circuit = from_qiskit(SHAPES[shape])
        _assert_faithful(Transpiler(circuit).transpile(snapshot), circuit, snapshot)


def test_a_fitting_circuit_gets_no_swap() -> None:
    circuit = from_qiskit(_chain(5))
    transpiled = Transpiler(circuit).transpile(DEVICES["line-cx"])
    assert transpiled.positions == (0, 1, 2, 3, 4)
    assert transpiled.circuit.two_qubit_gate_count <= 3 * 4  # rzz is two cx


def test_gates_that_cancel_are_gone() -> None:
    circuit = QuantumCircuit(2)
    circuit.cx(0, 1)
    circuit.h(1)
    circuit.h(1)
    circuit.cx(0, 1)
    transpiled = Transpiler(from_qiskit(circuit)).transpile(DEVICES["line-cx"])
    assert transpiled.circuit.gates == ()


def test_it_depends_on_nothing_but_its_input() -> None:
    """The same bytes from a fresh transpiler, and from one that served other devices before."""
    circuit = from_qiskit(_complete(5))

    def fingerprint(transpiled: TranspiledCircuit) -> tuple[object, ...]:
        return transpiled.circuit.to_qasm(), transpiled.physical_qubits, transpiled.positions

    shared = Transpiler(circuit)
    for snapshot in DEVICES.values():
        fresh = fingerprint(Transpiler(circuit).transpile(snapshot))
        assert fingerprint(shared.transpile(snapshot)) == fresh
        assert fingerprint(shared.transpile(snapshot)) == fresh


_SCRIPT = """
from qiskit import QuantumCircuit
from quantumai.backends.ibm_fake import read_snapshot
from quantumai.canonical import sha256_hex
from quantumai.circuits.loading import from_qiskit
from quantumai.execution.transpile import Transpiler
qc = QuantumCircuit(5)
for a in range(5):
    qc.ry(a + 0.1, a)
    for b in range(a):
        qc.cp(0.3 + a * b, a, b)
found = Transpiler(from_qiskit(qc)).transpile(read_snapshot("%s"))
print(sha256_hex(found.circuit.to_qasm().encode()))
"""


@pytest.mark.slow
def test_other_processes_get_the_same_bytes() -> None:
    """Hash randomisation and the number of threads must not show."""
    script = _SCRIPT % load_catalogue()[-1].device
    digests = set()
    for hash_seed, threads in (("1", "1"), ("2", "4")):
        digests.add(
            subprocess.run(
                [sys.executable, "-c", script],
                env={
                    "PYTHONPATH": ":".join(sys.path),
                    "PYTHONHASHSEED": hash_seed,
                    "RAYON_NUM_THREADS": threads,
                },
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        )
    assert len(digests) == 1


def _transpile(circuit: QuantumCircuit, snapshot: CalibrationSnapshot) -> TranspiledCircuit:
    return Transpiler(from_qiskit(circuit)).transpile(snapshot)


@pytest.mark.parametrize(
    ("edges", "broken"),
    [
        (_T, (4,)),  # four qubits left
        ([(0, 1), (2, 3), (3, 4)], ()),  # five qubits, but in two parts
    ],
)
def test_what_cannot_fit_is_refused(
    edges: Sequence[tuple[int, int]], broken: Sequence[int]
) -> None:
    usable = [edge for edge in edges if not set(edge) & set(broken)]
    snapshot = device(both_ways(usable), num_qubits=5, broken=broken)
    with pytest.raises(BadInputError, match="synthetic") as caught:
        _transpile(_chain(5), snapshot)
    assert "\n" not in str(caught.value)


def test_more_qubits_than_the_device() -> None:
    with pytest.raises(BadInputError, match="5 usable qubits, not 6"):
        _transpile(_chain(6), DEVICES["t-cx"])


def test_broken_qubits_and_excluded_edges_are_avoided() -> None:
    """A ring of eight whose qubit 2 is broken and whose edge 5-6 is excluded."""
    ring = [(q, (q + 1) % 8) for q in range(8)]
    usable = [edge for edge in ring if 2 not in edge and edge != (5, 6)]
    snapshot = device(both_ways(usable), num_qubits=8, broken=(2,))
    for shape in (_chain(4), _complete(4)):
        transpiled = _transpile(shape, snapshot)
        assert set(transpiled.physical_qubits) == {6, 7, 0, 1}  # 3-4-5 is one qubit short
        _assert_faithful(transpiled, from_qiskit(shape), snapshot)
