"""The circuits of Liao et al. against matrix exponentials, and what their seeds decide."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pytest
import qiskit.circuit.random
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from scipy.linalg import expm

from quantumai.backends.ibm_fake import read_snapshot
from quantumai.circuits.families.family import benchmark_circuit
from quantumai.circuits.ideal import ideal_values
from quantumai.errors import BadInputError
from quantumai.execution.transpile import Transpiler
from quantumai.randomness import RootSeed

pytestmark = pytest.mark.slow

LIMA = read_snapshot("lima")
Matrix = NDArray[np.complex128]
PAULI = {
    "I": np.eye(2),
    "X": np.array([[0, 1], [1, 0]]),
    "Y": np.array([[0, -1j], [1j, 0]]),
    "Z": np.diag([1, -1]),
}


def on(letters: dict[int, str]) -> Matrix:
    """A Pauli product on four qubits, qubit 0 the last factor."""
    return reduce(np.kron, [PAULI[letters.get(q, "I")] for q in reversed(range(4))]).astype(complex)


def drawn(steps: int, seed: int) -> tuple[float, int]:
    """Coupling and basis, by the documented stream of the family."""
    stream = f'circuits/liao_ising/4/{{"steps":{steps}}}'
    rng = RootSeed.of(str(seed)).generator(stream)
    return float(rng.uniform(0, 1)), int(rng.integers(3))


def started() -> Matrix:
    """The product of turns and CX that the paper's notebook begins with."""
    state = np.zeros(16, complex)
    state[0] = 1
    controlled = lambda c, t: (  # noqa: E731
        on({}) / 2 + on({c: "Z"}) / 2 + (on({t: "X"}) - on({c: "Z", t: "X"})) / 2
    )
    state = expm(-0.5j * (0.0007186381718527407 + 2.4917901988569855) * on({1: "Z"})) @ state
    state = expm(-0.5j * 3.3854853863523835 * on({3: "Z"})) @ state
    state = controlled(3, 0) @ expm(-0.5j * 1.2846113715328817 * on({3: "X"})) @ state
    return controlled(2, 3) @ expm(-0.5j * 4.212671608894216 * on({2: "X"})) @ state


@pytest.mark.parametrize("seed", range(6))
def test_a_step_is_the_field_and_then_the_couplings(seed: int) -> None:
    steps = 3
    coupling, basis = drawn(steps, seed)
    state = started()
    field = sum(on({q: "X"}) for q in range(4))
    chain = sum(on({q: "Z", q + 1: "Z"}) for q in range(3))
    for _ in range(steps):
        state = expm(0.5j * coupling * chain) @ expm(-0.5j * field) @ state
    letter = "ZYX"[basis]
    expected = [np.real(state.conj() @ on({q: letter}) @ state) for q in range(4)]
    made = benchmark_circuit("liao_ising", 4, {"steps": steps}, seed)
    assert made.family == "trotter"
    np.testing.assert_allclose(ideal_values(made.circuit, made.observables), expected, atol=1e-9)


def test_a_step_costs_six_gates_on_the_papers_device() -> None:
    """Start and chain lie on neighbours, so nothing is swapped."""
    placed = [
        Transpiler(benchmark_circuit("liao_ising", 4, {"steps": steps}, 0).circuit).transpile(LIMA)
        for steps in (0, 1, 20)
    ]
    start, one, twenty = (each.circuit.two_qubit_gate_count for each in placed)
    assert (start, one, twenty) == (5, 5 + 6, 5 + 6 * 20)


def test_all_three_bases_and_all_couplings_are_drawn() -> None:
    found = [drawn(5, seed) for seed in range(300)]
    couplings = np.array([coupling for coupling, _ in found])
    assert {basis for _, basis in found} == {0, 1, 2}
    assert couplings.mean() == pytest.approx(0.5, abs=0.07)
    assert couplings.std() == pytest.approx(1 / np.sqrt(12), abs=0.04)


@pytest.mark.parametrize("depth", range(0, 19, 2))
def test_random_circuits_have_the_depth_in_two_qubit_gates_on_the_papers_device(depth: int) -> None:
    for seed in range(6):
        made = benchmark_circuit("liao_random", 4, {"two_qubit_depth": depth}, seed)
        placed = Transpiler(made.circuit).transpile(LIMA).circuit
        assert longest_chain([gate.qubits for gate in placed.gates]) == depth
        assert {gate.name for gate in placed.gates} <= {"cx", "rz", "sx", "x"}


def longest_chain(operands: list[tuple[int, ...]]) -> int:
    """The most two-qubit gates that follow on one another."""
    longest = [0] * 4
    for qubits in operands:
        if len(qubits) == 2:
            longest[qubits[0]] = longest[qubits[1]] = 1 + max(longest[q] for q in qubits)
    return max(longest)


def test_random_circuits_do_not_depend_on_the_last_digits_of_a_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Angles off by what processors and C libraries differ in give the same circuits."""
    wanted = [(depth, seed) for depth in range(0, 19, 2) for seed in range(3)]

    def ids() -> list[str]:
        made = [benchmark_circuit("liao_random", 4, {"two_qubit_depth": d}, s) for d, s in wanted]
        return [one.circuit_id for one in made]

    here, noise, theirs = ids(), np.random.default_rng(1), qiskit.circuit.random.random_circuit

    def shaken(*given: object, **named: object) -> QuantumCircuit:
        drawn, moved = theirs(*given, **named), QuantumCircuit(4)
        for one in drawn.data:
            gate = one.operation.to_mutable()
            gate.params = [float(angle) + noise.uniform(-1e-14, 1e-14) for angle in gate.params]
            moved.append(gate, [drawn.find_bit(qubit).index for qubit in one.qubits])
        return moved

    monkeypatch.setattr(qiskit.circuit.random, "random_circuit", shaken)
    assert ids() == here


def test_random_circuits_have_depths_of_the_paper_only() -> None:
    with pytest.raises(BadInputError, match="two_qubit_depth: one of 0, 2, 4"):
        benchmark_circuit("liao_random", 4, {"two_qubit_depth": 3}, 0)


@pytest.mark.parametrize("variant", ["liao_ising", "liao_random"])
def test_they_have_four_qubits_and_no_more(variant: str) -> None:
    with pytest.raises(BadInputError, match="have 4 qubits, not 5"):
        benchmark_circuit(variant, 5, {}, 0)
