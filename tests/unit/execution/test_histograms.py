"""Counts as plain data: every shot is kept, under the outcome that it gave."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from quantumai.execution.histograms import plain_histograms
from quantumai.execution.run import Outcome
from quantumai.mitigation.methods import Estimate


@given(num_qubits=st.integers(1, 6), bases=st.integers(1, 3), seed=st.integers(0, 10_000))
def test_every_shot_stands_under_its_bits(num_qubits: int, bases: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    factors = np.array([1.0, 2.0])
    counts = rng.integers(0, 3, (bases, len(factors), 2**num_qubits))
    names = tuple(f"basis {number}" for number in range(bases))
    none = np.empty(0)

    plain = plain_histograms(Outcome(names, counts, factors, none, none, Estimate(none, none, ())))

    assert plain["noise_factors"] == [1.0, 2.0]
    assert [basis["basis"] for basis in plain["bases"]] == list(names)
    again = np.zeros_like(counts)
    for at, basis in enumerate(plain["bases"]):
        for factor, histogram in enumerate(basis["counts"]):
            for bits, count in histogram.items():
                assert len(bits) == num_qubits
                assert count > 0
                qubits = [int(bit) for bit in reversed(bits)]
                outcome = sum(bit << qubit for qubit, bit in enumerate(qubits))
                again[at, factor, outcome] += count
    np.testing.assert_array_equal(again, counts)
