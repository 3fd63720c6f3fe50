"""Layout against brute force over all embeddings."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from quantumai.errors import BadInputError
from quantumai.execution.layout import choose_layout
from tests.synthetic_devices import both_ways, device

_GRID = [(0, 1), (1, 2), (3, 4), (4, 5), (0, 3), (1, 4), (2, 5)]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    "interactions",
    [
        {(0, 1): 1},
        {(0, 1): 3, (1, 2): 1},
        {(0, 1): 1, (1, 2): 5, (2, 3): 1, (0, 3): 2},
        {(0, 1): 1, (0, 2): 4, (0, 3): 1},
    ],
)
def test_the_least_noisy_embedding(interactions: dict[tuple[int, int], int], seed: int) -> None:
    """Summed error of every permutation on a small grid, counted by hand."""
    rng = np.random.default_rng(seed)
    errors = {edge: float(rng.uniform(0.005, 0.1)) for edge in _GRID}
    snapshot = device(_GRID, num_qubits=6, errors=errors)
    count = 1 + max(max(pair) for pair in interactions)
    costs = {}
    for places in permutations(range(6), count):
        ends = {pair: tuple(sorted((places[pair[0]], places[pair[1]]))) for pair in interactions}
        if all(end in errors for end in ends.values()):
            costs[places] = sum(n * errors[ends[pair]] for pair, n in interactions.items())
    layout = choose_layout(snapshot, count, interactions)
    assert layout.embedded
    assert costs[layout.physical_qubits] == pytest.approx(min(costs.values()))


def test_readout_decides_between_equal_edges() -> None:
    import msgspec

    snapshot = device(both_ways([(0, 1), (2, 3)]), num_qubits=4)
    bad = msgspec.structs.replace(snapshot.qubits[0], prob_meas0_prep1=0.2)
    snapshot = msgspec.structs.replace(snapshot, qubits=(bad, *snapshot.qubits[1:]))
    assert set(choose_layout(snapshot, 2, {(0, 1): 1}).physical_qubits) == {2, 3}


def test_an_idle_qubit_needs_no_coupling() -> None:
    snapshot = device([(0, 1)], num_qubits=3)
    layout = choose_layout(snapshot, 3, {(0, 2): 1})
    assert layout.embedded
    assert set(layout.physical_qubits) == {0, 1, 2}
    assert layout.physical_qubits[1] == 2


def test_an_unroutable_circuit_gets_the_best_connected_region() -> None:
    """A line with a square at its end: four qubits that all talk belong on the square."""
    edges = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 6), (3, 6)]
    complete = {(a, b): 1 for b in range(4) for a in range(b)}
    layout = choose_layout(device(edges, num_qubits=7), 4, complete)
    assert not layout.embedded
    assert layout.physical_qubits == (3, 4, 5, 6)


def test_no_region_is_an_error() -> None:
    snapshot = device([(0, 1), (2, 3)], num_qubits=4)
    with pytest.raises(BadInputError, match="no 3 usable qubits"):
        choose_layout(snapshot, 3, {(0, 1): 1, (1, 2): 1})
