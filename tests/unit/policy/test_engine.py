"""Forecasts, the recommendation's order, the confidence table and the policy's digest."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from quantumai.mitigation.methods import METHODS
from quantumai.policy import confidence, engine
from quantumai.policy.confidence import (
    CONFIDENCE_TABLE,
    WITHIN_FACTOR,
    came_within,
    confidence_digest,
    measured_confidence,
)
from quantumai.policy.engine import forecast, policy_digest, recommend
from quantumai.policy.prediction import SignalModel, predicted_rmse

MODEL = SignalModel(
    fixed_log=np.array([-0.01, -0.02]),
    folded_log=np.array([-0.05, -0.2]),
    mean_square=np.array([0.8, 0.3]),
    readout_contrast=np.array([0.95, 0.9]),
    readout_offset_squared=np.array([1e-4, 1e-5]),
    num_bases=1,
)


@pytest.fixture
def _fresh_caches() -> Iterator[None]:
    measured_confidence.cache_clear()
    confidence_digest.cache_clear()
    yield
    measured_confidence.cache_clear()
    confidence_digest.cache_clear()


def test_forecast_is_the_specifications_answer() -> None:
    found = forecast(MODEL, METHODS["rem+zne"], 4000, 0.05)
    rmse = predicted_rmse(MODEL, METHODS["rem+zne"], 4000)
    assert found.method == "rem+zne"
    assert found.params == {
        "extrapolation": "linear",
        "noise_factors": [1.0, 2.0, 3.0],
        "confusion": "calibration",
    }
    assert found.shot_multiplier == 3
    assert found.predicted_rmse == rmse
    assert found.expected_fidelity == pytest.approx(math.exp(-rmse / 0.05))
    assert found.confidence == measured_confidence().share["rem+zne"]


@pytest.mark.parametrize("shots", [100, 10**7])
def test_recommendation_is_fidelity_per_shot(shots: int) -> None:
    found = recommend(MODEL, list(METHODS.values()), shots, 0.05)
    values = [f.expected_fidelity / f.shot_multiplier for f in found]
    assert values == sorted(values, reverse=True)
    assert {f.method for f in found} == set(METHODS)


@pytest.mark.parametrize(
    ("predicted", "observed", "held"),
    [
        (0.1, 0.15, True),
        (0.1, 0.1, True),
        (0.15, 0.1, True),
        (0.1, 0.16, False),
        (0.1, 0.06, False),
    ],
)
def test_came_within(predicted: float, observed: float, held: bool) -> None:
    assert came_within(predicted, observed + (-1e-12 if observed > predicted else 1e-12)) == held


def test_the_packaged_table_covers_every_method() -> None:
    table = measured_confidence()
    assert table.within_factor == WITHIN_FACTOR
    assert set(table.share) == set(table.runs) == set(METHODS)
    assert all(0 <= share <= 1 for share in table.share.values())
    assert all(runs >= 100 for runs in table.runs.values())


@pytest.mark.usefixtures("_fresh_caches")
def test_digest_changes_with_the_table_and_the_methods(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = policy_digest()
    assert policy_digest() == before
    assert len(bytes.fromhex(before)) == 32
    with monkeypatch.context() as patch:
        patch.setattr(engine, "METHODS", {"none": METHODS["none"]})
        assert policy_digest() != before
    table = json.loads(CONFIDENCE_TABLE.read_bytes())
    table["share"]["none"] = 0.123
    other = tmp_path / "confidence.json"
    other.write_text(json.dumps(table))
    monkeypatch.setattr(confidence, "CONFIDENCE_TABLE", other)
    measured_confidence.cache_clear()
    confidence_digest.cache_clear()
    assert policy_digest() != before
    assert forecast(MODEL, METHODS["none"], 100, 0.05).confidence == 0.123
