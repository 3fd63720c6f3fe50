"""The circuits of Liao et al. against matrix exponentials, and what their seeds decide."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.linalg import expm

from quantumai.circuits.families.family import benchmark_circuit
from quantumai.circuits.ideal import ideal_values
from quantumai.errors import BadInputError
from quantumai.randomness import RootSeed

pytestmark = pytest.mark.slow

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


def test_all_three_bases_and_all_couplings_are_drawn() -> None:
    found = [drawn(5, seed) for seed in range(300)]
    couplings = np.array([coupling for coupling, _ in found])
    assert {basis for _, basis in found} == {0, 1, 2}
    assert couplings.mean() == pytest.approx(0.5, abs=0.07)
    assert couplings.std() == pytest.approx(1 / np.sqrt(12), abs=0.04)


def test_random_circuits_fill_every_layer() -> None:
    """In each layer every qubit has one gate, of one qubit or of two; both kinds occur."""
    sizes = set()
    for seed in range(30):
        qc = benchmark_circuit("liao_random", 4, {"layers": 5}, seed).circuit.quantum
        touched = [0] * 4
        for one in qc.data:
            sizes.add(len(one.qubits))
            for qubit in one.qubits:
                touched[qc.find_bit(qubit).index] += 1
        assert touched == [5] * 4
    assert sizes == {1, 2}


@pytest.mark.parametrize("variant", ["liao_ising", "liao_random"])
def test_they_have_four_qubits_and_no_more(variant: str) -> None:
    with pytest.raises(BadInputError, match="have 4 qubits, not 5"):
        benchmark_circuit(variant, 5, {}, 0)
