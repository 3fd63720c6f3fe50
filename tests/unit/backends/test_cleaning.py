"""Repair of calibration: Aer as the oracle for relaxation, garbage as input for the rest."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantumai.backends.calibration import CalibrationSnapshot
from quantumai.backends.cleaning import RawEdge, RawQubit, clean, relaxation_infidelity

GOOD = RawQubit(100e-6, 80e-6, 0.01, 0.02, 3e-4, 40e-9)


@pytest.mark.parametrize(
    ("duration_s", "times_s"),
    [
        (40e-9, [(100e-6, 80e-6)]),
        (660e-9, [(237e-6, 49e-6), (180e-6, 300e-6)]),
        (5e-6, [(9e-6, 18e-6), (20e-6, 3e-6)]),
    ],
)
def test_relaxation_infidelity_agrees_with_aer(
    duration_s: float, times_s: list[tuple[float, float]]
) -> None:
    from qiskit.quantum_info import SuperOp, average_gate_fidelity
    from qiskit_aer.noise import thermal_relaxation_error

    channel = SuperOp(thermal_relaxation_error(*times_s[0], duration_s))
    for t1_s, t2_s in times_s[1:]:
        channel = channel.tensor(SuperOp(thermal_relaxation_error(t1_s, t2_s, duration_s)))
    expected = 1 - average_gate_fidelity(channel)
    assert relaxation_infidelity(duration_s, times_s) == pytest.approx(expected, rel=1e-9)


def test_relaxation_of_a_very_short_gate_keeps_its_digits() -> None:
    # First order: 2/3 * (t/T1 + 2 t/T2) / 4 for one qubit.
    expected = 2 / 3 * (1e-15 / 1e-4 + 2 * 1e-15 / 1e-4) / 4
    assert relaxation_infidelity(1e-15, [(1e-4, 1e-4)]) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"t1_s": None}, "T1 in seconds is missing"),
        ({"t2_s": 0.0}, "T2 in seconds is 0"),
        ({"t1_s": math.nan}, "T1 in seconds is nan"),
        ({"prob_meas1_prep0": 0.5}, "prob_meas1_prep0 is 0.5"),
        ({"prob_meas0_prep1": None}, "prob_meas0_prep1 is missing"),
        ({"sx_error": 0.1}, "sx error is 0.1"),
        ({"sx_error": -1e-9}, "sx error is -1e-09"),
        ({"sx_duration_s": 0.0}, "sx duration in seconds is 0"),
        ({"operational": False}, "reported as not operational"),
    ],
)
def test_an_unusable_qubit_takes_its_edges_with_it(
    change: dict[str, float | None], words: str
) -> None:
    bad = RawQubit(**{**vars(GOOD), **change})
    cleaned = clean("cz", [GOOD, bad, GOOD], [_edge(0, 1), _edge(0, 2)])
    assert [qubit.operational for qubit in cleaned.qubits] == [True, False, True]
    assert [(edge.control, edge.target) for edge in cleaned.edges] == [(0, 2)]
    assert [(r.where, r.what) for r in cleaned.repairs] == [
        ("qubit 1", f"qubit excluded: {words}"),
        ("cz 0-1", "edge excluded: it uses excluded qubit 1"),
    ]


@pytest.mark.parametrize(
    "edge",
    [
        RawEdge(0, 1, 0.5, 3e-7),
        RawEdge(0, 1, 1.0, 3e-7),
        RawEdge(0, 1, None, 3e-7),
        RawEdge(0, 1, math.nan, 3e-7),
        RawEdge(0, 1, -1e-3, 3e-7),
        RawEdge(0, 1, 1e-2, 0.0),
        RawEdge(0, 1, 1e-2, math.inf),
        RawEdge(0, 1, 1e-2, 3e-7, operational=False),
        RawEdge(0, 0, 1e-2, 3e-7),
        RawEdge(0, 2, 1e-2, 3e-7),
        RawEdge(-1, 1, 1e-2, 3e-7),
    ],
)
def test_an_impossible_edge_is_excluded_and_recorded(edge: RawEdge) -> None:
    cleaned = clean("cx", [GOOD, GOOD], [edge])
    assert cleaned.edges == ()
    assert [r.where for r in cleaned.repairs] == [f"cx {edge.control}-{edge.target}"]


def test_an_edge_listed_twice_counts_once() -> None:
    cleaned = clean("cz", [GOOD, GOOD], [_edge(0, 1), RawEdge(0, 1, 0.2, 3e-7), _edge(1, 0)])
    assert [(e.control, e.target, e.error) for e in cleaned.edges] == [(0, 1, 0.01), (1, 0, 0.01)]
    assert [repair.what for repair in cleaned.repairs] == ["edge excluded: listed before"]


def test_values_are_clipped_and_the_old_ones_told() -> None:
    raw = RawQubit(50e-6, 130e-6, -0.01, 0.02, 3e-4, 40e-9)
    cleaned = clean("cz", [raw], [])
    assert cleaned.qubits[0].t2_s == 100e-6
    assert cleaned.qubits[0].prob_meas1_prep0 == 0.0
    assert cleaned.qubits[0].operational
    assert "0.00013 s clipped to 2 T1 = 0.0001 s" in cleaned.repairs[0].what
    assert "-0.01 clipped to 0" in cleaned.repairs[1].what


def test_a_gate_reported_better_than_relaxation_is_kept_and_said() -> None:
    floor = relaxation_infidelity(3e-7, [(100e-6, 80e-6)] * 2)
    cleaned = clean(
        "cz",
        [GOOD] * 3,
        [RawEdge(0, 1, floor * 0.999, 3e-7), RawEdge(1, 2, floor * 1.001, 3e-7)],
    )
    assert len(cleaned.edges) == 2
    assert cleaned.edges[0].error == floor * 0.999
    assert [repair.where for repair in cleaned.repairs] == ["cz 0-1"]
    assert "the noise used is relaxation alone" in cleaned.repairs[0].what


NUMBERS = st.none() | st.floats() | st.floats(0, 1e-3) | st.integers(-1, 2) | st.floats(0, 1)
TIMES = st.none() | st.floats() | st.floats(1e-6, 1e-3)
QUBITS = st.builds(RawQubit, TIMES, TIMES, NUMBERS, NUMBERS, NUMBERS, TIMES, st.booleans())
EDGES = st.builds(
    RawEdge,
    st.integers(-1, 4),
    st.integers(-1, 4),
    NUMBERS,
    TIMES,
    st.sampled_from([True] * 3 + [False]),
)


@given(st.lists(st.just(GOOD) | QUBITS, max_size=4), st.lists(EDGES, max_size=8))
def test_any_garbage_gives_a_sound_snapshot(qubits: list[RawQubit], edges: list[RawEdge]) -> None:
    cleaned = clean("cz", qubits, edges)
    snapshot = CalibrationSnapshot(
        "cal-x", "x", "2025-01-01T00:00:00Z", len(qubits), "cz", ("rz", "sx", "x"),
        cleaned.qubits, cleaned.edges, cleaned.repairs,
    )  # fmt: skip
    # The reader checks every bound, and canonical JSON refuses what is not finite.
    assert CalibrationSnapshot.from_bytes(snapshot.to_bytes()) == snapshot
    # Nothing vanishes in silence: every edge and qubit is usable or has its repair.
    excluded = [r.what.split()[0] for r in cleaned.repairs if " excluded: " in r.what]
    assert len(cleaned.edges) + excluded.count("edge") == len(edges)
    assert sum(q.operational for q in cleaned.qubits) + excluded.count("qubit") == len(qubits)


def _edge(control: int, target: int) -> RawEdge:
    return RawEdge(control, target, 0.01, 3e-7)
