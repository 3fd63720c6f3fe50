"""Benchmark circuits against closed forms, Qiskit's stabilisers and Aer."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qiskit.quantum_info import Pauli, SparsePauliOp, StabilizerState

from quantumai.circuits.families import variational
from quantumai.circuits.families.family import MAX_QUBITS, VARIANTS, benchmark_circuit
from quantumai.circuits.families.imported import imported_circuits
from quantumai.circuits.families.trotter import MOLECULES
from quantumai.circuits.families.variational import _FIXED_ANGLES
from quantumai.circuits.ideal import ideal_values
from quantumai.errors import BadInputError

pytestmark = pytest.mark.slow

SIZES = {"h2": 4, "lih": 6, "h4": 8, "liao_random": 4, "liao_ising": 4}
CHANGED = {
    **{name: {"steps": 2} for name in (*MOLECULES, "liao_ising")},
    "liao_random": {"two_qubit_depth": 6},
}


def _ideal(variant: str, num_qubits: int, parameters: dict[str, Any], seed: int = 0) -> Any:
    made = benchmark_circuit(variant, num_qubits, parameters, seed)
    return ideal_values(made.circuit, made.observables)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_circuit_is_what_its_name_says_in_any_process(variant: str) -> None:
    size = SIZES.get(variant, 5)
    here = benchmark_circuit(variant, size, {}, 7)
    script = (
        "from quantumai.circuits.families.family import benchmark_circuit as b;"
        f"print(b({variant!r}, {size}, {{}}, 7).circuit_id)"
    )
    told = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONHASHSEED": "99"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == here.circuit_id
    assert here.family == VARIANTS[variant]
    assert here.circuit.num_qubits == size
    assert len(set(here.observables)) == len(here.observables)
    assert all(len(pauli) == size for pauli in here.observables)
    assert benchmark_circuit(variant, size, here.parameters, 7).circuit_id == here.circuit_id


@pytest.mark.parametrize("variant", sorted(set(VARIANTS) - {"tfim", "heisenberg"}))
def test_seeds_and_parameters_make_other_circuits(variant: str) -> None:
    size = SIZES.get(variant, 6)
    changed = CHANGED.get(variant, {"layers": 3})
    made = [benchmark_circuit(variant, size, {}, seed) for seed in range(4)]
    made.append(benchmark_circuit(variant, size, changed, 0))
    assert len({each.circuit_id for each in made}) == 5


def test_observables_do_not_depend_on_the_seed() -> None:
    for variant in ("brickwork", "clifford_t", "vqe", *MOLECULES):
        size = SIZES.get(variant, 4)
        asked = {benchmark_circuit(variant, size, {}, seed).observables for seed in range(3)}
        assert len(asked) == 1


def test_without_t_gates_a_circuit_is_clifford() -> None:
    for seed in range(5):
        made = benchmark_circuit("clifford_t", 5, {"t_share": 0.0}, seed)
        state = StabilizerState(made.circuit.quantum)
        expected = [state.expectation_value(Pauli(p)).real for p in made.observables]
        assert np.allclose(ideal_values(made.circuit, made.observables), expected)
    with_t = benchmark_circuit("clifford_t", 5, {"t_share": 1.0}, 0)
    assert "t" in with_t.circuit.quantum.count_ops()


def test_one_ising_step_without_coupling_turns_each_spin() -> None:
    values = _ideal("tfim", 4, {"coupling": 0.0, "field": 1.0, "steps": 3, "dt": 0.2})
    single = np.cos(2 * 1.0 * 0.6)  # rx by -2 h t, three steps of dt
    assert np.allclose(values[:4], single)
    assert np.allclose(values[4:], single**2)


def test_the_heisenberg_chain_keeps_its_magnetisation() -> None:
    for steps in (1, 4):
        values = _ideal("heisenberg", 6, {"steps": steps, "dt": 0.3})
        assert np.isclose(values[:6].sum(), 0.0)
        assert not np.allclose(np.abs(values[:6]), 1.0)


def test_optimised_angles_come_near_the_ground_state() -> None:
    for size in (4, 6):
        optimised = _ideal("vqe", size, {"angles": "optimised", "layers": 3})
        terms = [(p, -1.0) for p in benchmark_circuit("vqe", size, {}, 0).observables]
        ground = np.linalg.eigvalsh(SparsePauliOp.from_list(terms).to_matrix())[0]
        assert ground <= -optimised.sum() < 0.9 * ground
        random = _ideal("vqe", size, {"angles": "random", "layers": 3})
        assert -optimised.sum() < -random.sum()


def test_a_circuit_does_not_depend_on_the_last_digits_of_a_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Energies and arc cosines that are off by what processors and C libraries differ in."""
    wanted = [("vqe", n, {"angles": "optimised", "layers": 3}, s) for n in (4, 6) for s in range(4)]
    wanted += [("brickwork", 6, {}, seed) for seed in range(4)]
    here = [benchmark_circuit(*each).circuit_id for each in wanted]
    noise, energy, arc_cosine = np.random.default_rng(1), variational._energy, math.acos
    monkeypatch.setattr(
        variational, "_energy", lambda *given: energy(*given) + noise.uniform(-1e-12, 1e-12)
    )
    monkeypatch.setattr(math, "acos", lambda value: math.nextafter(arc_cosine(value), 9.0))
    variational._optimised.cache_clear()
    assert [benchmark_circuit(*each).circuit_id for each in wanted] == here
    variational._optimised.cache_clear()


def test_fixed_angles_cut_what_they_promise() -> None:
    """The shares of the largest cut on 3-regular graphs (1411.4028; PRA 104, 052419, table I)."""
    for seed in range(4):
        edges = [
            tuple(q for q, letter in enumerate(reversed(p)) if letter == "Z")
            for p in benchmark_circuit("qaoa", 8, {"angles": "fixed"}, seed).observables
        ]
        cuts = [sum((s >> a ^ s >> b) & 1 for a, b in edges) for s in range(2**8)]
        for layers, share in ((1, 0.6924), (2, 0.7559), (3, 0.7924)):
            values = _ideal_on(edges, layers)
            assert np.sum((1 - values) / 2) / max(cuts) > share, (seed, layers)


def _ideal_on(edges: list[tuple[int, ...]], layers: int) -> Any:
    """The fixed angles on one graph, built here from Qiskit's gates."""
    from qiskit import QuantumCircuit
    from qiskit.quantum_info import Statevector

    gammas, betas = _FIXED_ANGLES[layers]
    qc = QuantumCircuit(8)
    qc.h(range(8))
    for gamma, beta in zip(gammas, betas, strict=True):
        for a, b in edges:
            qc.rzz(-gamma, a, b)
        qc.rx(2 * beta, range(8))
    state = Statevector(qc)
    return np.array([state.expectation_value(Pauli("ZZ"), list(edge)).real for edge in edges])


def test_graphs_are_regular() -> None:
    for size, degree in ((4, 3), (6, 3), (8, 3), (7, 4)):
        asked = benchmark_circuit("qaoa", size, {}, 1).observables
        ends = [q for p in asked for q, letter in enumerate(reversed(p)) if letter == "Z"]
        assert [ends.count(q) for q in range(size)] == [degree] * size


@pytest.mark.parametrize("variant", VARIANTS)
def test_ideal_values_are_those_of_a_second_simulator(variant: str) -> None:
    from qiskit_aer import AerSimulator
    from qiskit_aer.library import SaveExpectationValue

    made = benchmark_circuit(variant, SIZES.get(variant, 6), {}, 5)
    qc = made.circuit.quantum.copy()
    for number, observable in enumerate(made.observables):
        qc.append(SaveExpectationValue(Pauli(observable), label=str(number)), qc.qubits)
    from qiskit import transpile

    simulator = AerSimulator(method="statevector")
    data = simulator.run(transpile(qc, simulator, optimization_level=0)).result().data()
    expected = [data[str(number)] for number in range(len(made.observables))]
    assert np.allclose(ideal_values(made.circuit, made.observables), expected, atol=1e-9)


@pytest.mark.parametrize("variant", VARIANTS)
def test_default_circuits_are_short_enough_to_leave_signal(variant: str) -> None:
    """At most 150 two-qubit gates on a heavy-hex device, at the largest size."""
    from qiskit import transpile
    from qiskit.transpiler import CouplingMap

    made = benchmark_circuit(variant, SIZES.get(variant, MAX_QUBITS), {}, 0)
    placed = transpile(
        made.circuit.quantum,
        coupling_map=CouplingMap.from_heavy_hex(5),
        basis_gates=["rz", "sx", "x", "cz"],
        optimization_level=3,
        seed_transpiler=1,
    )
    assert 0 < placed.num_nonlocal_gates() <= 150


@pytest.mark.parametrize(
    ("variant", "size", "parameters", "message"),
    [
        ("nothing", 4, {}, "unknown circuit variant"),
        ("tfim", 3, {}, "4 to 12"),
        ("tfim", 13, {}, "4 to 12"),
        ("h2", 6, {}, "h2 has 4 qubits"),
        ("tfim", 4, {"steps": 10_000}, "steps: 0 to"),
        ("tfim", 4, {"dt": 1e9}, "at most 100"),
        ("tfim", 4, {"speed": 1}, "unknown field"),
        ("brickwork", 4, {"layers": "many"}, "parameters of brickwork"),
        ("clifford_t", 4, {"t_share": 1.5}, "a share"),
        ("qaoa", 4, {"layers": 0}, "layers: 1"),
        ("qaoa", 4, {"layers": 4, "angles": "fixed"}, "fixed angles are known"),
        ("vqe", 4, {"field": 0.0}, "field: above 0"),
    ],
)
def test_bad_circuits(variant: str, size: int, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        benchmark_circuit(variant, size, parameters, 0)


def test_circuits_from_elsewhere(tmp_path: Path) -> None:
    from mqt.bench import BenchmarkLevel, get_benchmark
    from qiskit import qasm2

    for name, size in (("ghz", 4), ("qft", 5), ("wstate", 6)):
        qc = get_benchmark(name, BenchmarkLevel.INDEP, size)
        (tmp_path / f"{name}.qasm").write_text(qasm2.dumps(qc))
    (tmp_path / "notes.txt").write_text("not a circuit")
    found = imported_circuits(tmp_path)
    assert [each.parameters["file"] for each in found] == ["ghz.qasm", "qft.qasm", "wstate.qasm"]
    ghz = found[0]
    assert np.allclose(ideal_values(ghz.circuit, ghz.observables), [0, 0, 0, 0, 1, 1, 1])
    (empty := tmp_path / "empty").mkdir()
    with pytest.raises(BadInputError, match="0 OpenQASM files"):
        imported_circuits(empty)
    with pytest.raises(BadInputError, match="cannot read"):
        imported_circuits(tmp_path / "absent")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("OPENQASM 2.0;\nqreg q[4];\nwalk q[0];\n", "b.qasm: not valid OpenQASM 2: line 3"),
        ('OPENQASM 2.0;\ninclude "other.inc";\nqreg q[4];\n', "b.qasm: "),
        ("OPENQASM 2.0;\nqreg q[3];\n", "b.qasm: it has 3 qubits"),
        ("OPENQASM 2.0;\nqreg q[13];\n", "b.qasm: it has 13 qubits"),
        (None, "b.qasm: cannot read"),
    ],
)
def test_a_bad_circuit_from_elsewhere_is_named(
    tmp_path: Path, text: str | None, message: str
) -> None:
    (tmp_path / "a.qasm").write_text('OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[4];\nh q;\n')
    assert len(imported_circuits(tmp_path)) == 1
    bad = tmp_path / "b.qasm"
    bad.mkdir() if text is None else bad.write_text(text)
    with pytest.raises(BadInputError, match=message) as told:
        imported_circuits(tmp_path)
    assert "\n" not in str(told.value)
