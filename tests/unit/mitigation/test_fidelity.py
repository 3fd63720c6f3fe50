"""The fidelity `ev_polarization_v1` against its closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantumai.mitigation.fidelity import LOW_SIGNAL, polarization_fidelity, rmse

IDEAL = np.array([0.9, -0.4, 0.0, 0.7])


def test_zeros_are_worth_nothing_and_the_ideal_values_everything() -> None:
    assert polarization_fidelity(np.zeros(4), IDEAL) == 0
    assert polarization_fidelity(IDEAL, IDEAL) == 1


@given(
    st.lists(st.floats(-1, 1), min_size=1, max_size=8).filter(
        lambda values: np.sqrt(np.mean(np.square(values))) > LOW_SIGNAL * 1.001
    ),
    st.floats(0, 1),
)
def test_global_depolarising_gives_the_survival_probability(
    values: list[float], survival: float
) -> None:
    ideal = np.array(values)
    assert polarization_fidelity(survival * ideal, ideal) == pytest.approx(survival, abs=1e-12)


def test_worse_than_zeros_is_still_zero_and_estimates_are_clipped_to_the_spectrum() -> None:
    assert polarization_fidelity(-IDEAL, IDEAL) == 0
    ones = np.array([1.0, -1.0])
    assert polarization_fidelity(np.array([1.7, -24.9]), ones) == 1
    assert rmse(np.array([1.7, -24.9]), ones) == pytest.approx(np.sqrt((0.7**2 + 23.9**2) / 2))


def test_a_low_signal_says_nothing() -> None:
    weak = np.full(3, LOW_SIGNAL * 0.999)
    assert polarization_fidelity(weak, weak) is None
    assert polarization_fidelity(weak * 1.01, weak * 1.01) == 1
