"""Replay: equal where nothing changed, else the first difference with its place."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantumai.canonical import canonical_json
from quantumai.errors import EvidenceError
from quantumai.jobs.evidence import Evidence
from quantumai.jobs.object_names import artefact_key
from quantumai.jobs.replay import differences, replay_job
from tests.unit.jobs.conftest import Finished
from tests.unit.jobs.finished_jobs import reseal


def test_a_job_replays_bit_for_bit(finished: Finished) -> None:
    report = replay_job(finished.desk, finished.job_id)
    assert report.equal
    assert report.bit_equal
    assert [step.name for step in report.steps] == [
        "features", "policy", "decision", "signed-decision", "transpiled-circuit",
        "histograms", "result", "assessment",
    ]  # fmt: skip
    assert all(step.difference == "" for step in report.steps)


@pytest.mark.parametrize(
    ("artefact", "path", "value", "shown"),
    [
        ("result", ["observables", 1, "mitigated"], 0.25, "observables[1].mitigated: sealed 0.25,"),
        (
            "result",
            ["observables", 0, "fallback"],
            "none",
            "observables[0].fallback: sealed 'none'",
        ),
        ("result", ["shots_spent"], 1, "shots_spent: sealed 1, recomputed "),
        ("assessment", ["ideal", 2], 0.5, "ideal[2]: sealed 0.5,"),
        ("decision", ["policy_digest"], "0" * 64, "policy_digest: sealed '000"),
        ("decision", ["candidates", 3, "factors", "score"], 9.5, "candidates[3].factors.score: se"),
        ("decision", ["features", "depth"], 99, "features.depth: sealed 99, recomputed "),
    ],
)
def test_what_was_tampered_with_is_shown(
    finished: Finished, artefact: str, path: list[Any], value: Any, shown: str
) -> None:
    """By someone who holds the keys: all signatures hold, only the numbers are not true."""
    plain = json.loads(Evidence(finished.desk, finished.job_id).artefact(artefact))
    place = plain
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    reseal(finished.desk, finished.job_id, {artefact: canonical_json(plain)})
    report = replay_job(finished.desk, finished.job_id)
    assert not report.equal
    assert not report.bit_equal
    steps = {step.name: step for step in report.steps}
    assert steps[artefact].difference.startswith(shown)
    assert not steps[artefact].equal


def test_a_changed_count_is_found(finished: Finished) -> None:
    plain = json.loads(Evidence(finished.desk, finished.job_id).artefact("histograms"))
    counts = plain["bases"][0]["counts"][0]
    outcome = sorted(counts)[0]
    counts[outcome] += 1
    reseal(finished.desk, finished.job_id, {"histograms": canonical_json(plain)})
    (wrong,) = [s for s in replay_job(finished.desk, finished.job_id).steps if not s.equal]
    assert wrong.name == "histograms"
    assert wrong.difference.startswith(f"bases[0].counts[0].{outcome}: sealed {counts[outcome]},")


def test_what_does_not_verify_is_not_replayed(finished: Finished) -> None:
    digest = Evidence(finished.desk, finished.job_id).digests["result"]
    finished.desk.objects.replace(artefact_key("local", digest), b"{}")
    with pytest.raises(EvidenceError, match="does not verify"):
        replay_job(finished.desk, finished.job_id)


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.sampled_from([0.5, -0.5, 1e-8, 1.1e-8, 2e30])
    | st.text(max_size=3)
)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=8,
)


@given(JSON)
def test_identical_data_has_no_differences(value: Any) -> None:
    assert list(differences(value, json.loads(json.dumps(value)))) == []


@given(JSON, JSON)
def test_any_difference_is_found_both_ways(one: Any, other: Any) -> None:
    if canonical_json(one) == canonical_json(other):
        return
    found = list(differences(one, other))
    assert len(found) == len(list(differences(other, one))) >= 1


@given(JSON, st.data())
def test_a_single_change_is_the_one_difference(value: Any, data: st.DataObject) -> None:
    changed = [json.loads(json.dumps(value)), "the rest"]
    place: Any = changed
    step: Any = 0
    while isinstance(place[step], dict | list) and place[step] and data.draw(st.booleans()):
        place = place[step]
        step = data.draw(
            st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place)))
        )
    place[step] = "another"  # longer than any drawn text
    assert len(list(differences([value, "the rest"], changed))) == 1


@pytest.mark.parametrize("dropped", [{"a": None}, [None]])
def test_null_is_not_nothing(dropped: Any) -> None:
    (line,) = differences(dropped, type(dropped)())
    assert line.endswith("sealed None, recomputed nothing")


@pytest.mark.parametrize("value", [1 / 3, -123456.789, 0.004, 1e300])
def test_the_last_digits_may_differ_and_the_ninth_may_not(value: float) -> None:
    assert list(differences(value, value * (1 + 1e-11))) == []
    assert len(list(differences(value, value * (1 + 1e-8)))) == 1


def test_numbers_that_cancel_to_zero_are_equal() -> None:
    assert list(differences(0, 3e-17)) == []
    assert len(list(differences(0, 1e-9))) == 1
    assert len(list(differences(10**12, 10**12 + 1))) == 1  # counts are exact


def test_a_difference_is_one_short_line() -> None:
    (line,) = differences({"a": "x\n" * 500}, {"a": ["y"] * 500})
    assert len(line.splitlines()) == 1
    assert len(line) < 300
