"""Loading against Qiskit's own operators, and against circuits of mqt.bench."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from qiskit import QuantumCircuit, qasm2, qasm3
from qiskit.circuit.library import UnitaryGate, get_standard_gate_name_mapping, quantum_volume
from qiskit.quantum_info import Operator, Statevector, random_unitary

from quantumai.canonical import sha256_hex
from quantumai.circuits.ideal import ideal_values
from quantumai.circuits.loading import from_qiskit, load_circuit, load_circuit_file

EXAMPLES = Path(__file__).parents[3] / "examples"
GATES = {
    name: gate.base_class
    for name, gate in get_standard_gate_name_mapping().items()
    if name not in ("measure", "reset", "delay", "global_phase")
}
WIDTHS = {name: get_standard_gate_name_mapping()[name].num_qubits for name in GATES}
COUNTS = {name: len(get_standard_gate_name_mapping()[name].params) for name in GATES}


def random_circuit(seed: int, num_qubits: int = 4, num_gates: int = 25) -> QuantumCircuit:
    """A circuit over every standard gate of Qiskit, with measurements at the end."""
    rng = np.random.default_rng(seed)
    qc = QuantumCircuit(num_qubits, num_qubits)
    for name in rng.choice(sorted(GATES), num_gates):
        gate = GATES[name](*rng.uniform(-3, 3, COUNTS[name]).tolist())
        qc.append(gate, rng.permutation(num_qubits)[: WIDTHS[name]].tolist())
    return qc


def measured(qc: QuantumCircuit) -> QuantumCircuit:
    qc = qc.copy()
    qc.barrier()
    qc.measure(range(qc.num_qubits), range(qc.num_qubits))
    return qc


@pytest.mark.parametrize("seed", range(8))
def test_qasm2_qasm3_and_qiskit_give_the_same_operator(seed: int) -> None:
    qc = random_circuit(seed)
    expected = Operator(qc)
    sources = (qasm2.dumps(measured(qc)), qasm3.dumps(measured(qc)))
    circuits = [load_circuit(text) for text in sources]
    assert [c.source_format for c in circuits] == ["openqasm2", "openqasm3"]
    assert [c.source for c in circuits] == list(sources)
    for circuit in (*circuits, from_qiskit(measured(qc))):
        assert Operator(circuit.quantum).equiv(expected)
        assert circuit.measured_qubits == (0, 1, 2, 3)
        assert circuit.quantum.num_clbits == 0
        # Definitions that Qiskit writes are recognised: the gates are those of the original.
        # C3SX is written as c3sqrtx, so OpenQASM 2 has it in pieces.
        if "c3sx" not in qc.count_ops() and "rcccx" not in qc.count_ops():
            assert circuit.quantum.count_ops() == qc.count_ops()


@pytest.mark.parametrize("name", sorted(GATES))
def test_every_standard_gate_loads_from_openqasm2_without_a_definition(name: str) -> None:
    angles = [0.3, -0.5, 0.7, 1.1][: COUNTS[name]]
    written = f"({','.join(map(str, angles))})" if angles else ""
    qubits = list(range(WIDTHS[name]))
    called = ",".join(f"q[{q}]" for q in qubits)
    text = f'OPENQASM 2.0;include "qelib1.inc";qreg q[4];{name}{written} {called};'
    expected = QuantumCircuit(4)
    expected.append(GATES[name](*angles), qubits)
    assert Operator(load_circuit(text).quantum).equiv(Operator(expected))


def test_a_definition_in_the_text_wins_over_a_gate_of_the_same_name() -> None:
    head = 'OPENQASM 2.0;include "qelib1.inc";qreg q[2];'
    own = load_circuit(head + "gate ryy(a) x,y { rx(a) x; cx x,y; } ryy(0.4) q[0],q[1];").quantum
    expected = QuantumCircuit(2)
    expected.rx(0.4, 0)
    expected.cx(0, 1)
    assert Operator(own).equiv(Operator(expected))
    phased = load_circuit(head + "gate rzz(a) x,y { cx x,y; u1(a) y; cx x,y; } rzz(0.4) q[0],q[1];")
    assert phased.quantum.count_ops() == {"rzz": 1}


def test_registers_may_be_called_like_gates_that_openqasm2_does_not_declare() -> None:
    circuit = load_circuit("OPENQASM 2.0; qreg r[2]; qreg p[1]; creg u[1]; CX r[1], p[0];")
    expected = QuantumCircuit(3)
    expected.cx(1, 2)
    assert Operator(circuit.quantum) == Operator(expected)


def test_removing_measurements_keeps_idle_qubits_and_order() -> None:
    text = (
        'OPENQASM 2.0;\n// comment include "x";\ninclude "qelib1.inc";\nqreg a[2];\nqreg b[3];\n'
        "creg c[2];\nbarrier a;\nx b[1];\nmeasure b[1] -> c[0];\nmeasure a[1] -> c[1];\nh a[0];\n"
    )
    circuit = load_circuit(text)
    assert circuit.num_qubits == 5
    assert circuit.measured_qubits == (1, 3)
    assert [(i.name, circuit.quantum.find_bit(i.qubits[0]).index) for i in circuit.quantum] == [
        ("x", 3),
        ("h", 0),
    ]
    assert circuit.sha256 == sha256_hex(text.encode())


def test_openqasm3_modifiers_aliases_and_broadcast() -> None:
    text = """OPENQASM 3.1; /* a block
    comment */ include "stdgates.inc";
    gate mine(t) a, b { ctrl @ rx(t) a, b; inv @ s a; }
    qubit[3] q; bit[3] c;
    h q; mine(pi/3) q[0], q[2]; negctrl @ x q[1], q[0];
    c = measure q;"""
    expected = QuantumCircuit(3)
    expected.h(range(3))
    expected.crx(np.pi / 3, 0, 2)
    expected.sdg(0)
    expected.x(1)
    expected.cx(1, 0)
    expected.x(1)
    assert Operator(load_circuit(text).quantum).equiv(Operator(expected))


def test_physical_qubits_keep_their_numbers() -> None:
    circuit = load_circuit('OPENQASM 3.0; include "stdgates.inc"; h $3; cx $3, $1;')
    expected = QuantumCircuit(4)
    expected.h(3)
    expected.cx(3, 1)
    assert Operator(circuit.quantum) == Operator(expected)


def test_an_empty_circuit_is_the_identity() -> None:
    circuit = load_circuit("OPENQASM 2.0; qreg q[2];")
    assert Operator(circuit.quantum) == Operator(np.eye(4))


def test_from_qiskit_expands_what_openqasm_cannot_say_and_replays_exactly() -> None:
    qc = QuantumCircuit(4, 4, name="odd")
    qc.append(UnitaryGate(random_unitary(8, seed=3)), [3, 0, 2])
    qc.compose(quantum_volume(4, 2, seed=1).to_gate(), inplace=True)
    qc.mcx([0, 1, 2], 3, ctrl_state="010")
    qc.cx(0, 1, ctrl_state=0)
    qc.global_phase = 0.3
    expected = Operator(qc)
    circuit = from_qiskit(measured(qc))
    assert Operator(circuit.quantum).equiv(expected)
    assert circuit.name == "odd"
    again = load_circuit(circuit.source)
    assert again.quantum == circuit.quantum
    assert again == circuit


def test_a_wide_circuit_loads_without_its_state() -> None:
    text = 'OPENQASM 2.0;include "qelib1.inc";qreg q[200];h q;'
    assert load_circuit(text).num_qubits == 200


@pytest.mark.parametrize("level", ["ALG", "INDEP"])
@pytest.mark.parametrize(
    ("name", "size"),
    [("ghz", 5), ("qft", 4), ("qaoa", 5), ("vqe_real_amp", 4), ("graphstate", 6), ("wstate", 5)],
)
def test_mqt_bench_circuits_load(name: str, size: int, level: str) -> None:
    from mqt.bench import BenchmarkLevel, get_benchmark

    qc = get_benchmark(name, BenchmarkLevel[level], size)
    expected = Statevector(qc.remove_final_measurements(inplace=False))
    for circuit in (
        load_circuit(qasm2.dumps(qc)),
        load_circuit(qasm3.dumps(qc)),
        from_qiskit(qc),
    ):
        assert circuit.num_qubits == size
        assert Statevector(circuit.quantum).equiv(expected)


def test_the_example_is_the_trotter_circuit_it_says_and_has_a_signal() -> None:
    circuit = load_circuit_file(EXAMPLES / "tfim_6q.qasm")
    assert circuit.name == "tfim_6q"
    assert circuit.quantum.count_ops() == {"rx": 30, "rzz": 25}
    values = ideal_values(circuit, ["ZIIIII", "ZZIIII"])
    # Exact evolution under H = -sum ZZ - 0.8 sum X for time 0.75; 5 steps are close to it.
    z, x, eye = np.diag([1.0, -1.0]), np.array([[0.0, 1.0], [1.0, 0.0]]), np.eye(2)

    def on(letters: dict[int, np.ndarray]) -> np.ndarray:
        product = np.eye(1)
        for q in reversed(range(6)):
            product = np.kron(product, letters.get(q, eye))
        return product

    hamiltonian = -sum(on({q: z, q + 1: z}) for q in range(5)) - 0.8 * sum(
        on({q: x}) for q in range(6)
    )
    energies, vectors = np.linalg.eigh(hamiltonian)
    state = vectors @ (np.exp(-0.75j * energies) * vectors[0].conj())
    exact = [np.vdot(state, on(o) @ state).real for o in ({5: z}, {5: z, 4: z})]
    np.testing.assert_allclose(values, exact, atol=0.05)
    assert min(abs(values)) > 0.3
