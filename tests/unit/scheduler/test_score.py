"""The specification's score, computed by hand."""

from __future__ import annotations

import pytest

from quantumai.backends.catalogue import BackendEntry
from quantumai.crypto_mode import CryptoMode
from quantumai.policy.engine import Forecast
from quantumai.scheduler.score import availability_penalty, score_factors


def _entry(**changes: object) -> BackendEntry:
    fields: dict[str, object] = {
        "backend_id": "b",
        "vendor": "v",
        "device": "d",
        "region": "r",
        "cost_per_shot": 0.002,
        "availability": 0.95,
        "num_qubits": 5,
        "crypto_modes": (CryptoMode.CLASSICAL, CryptoMode.PQC_REQUIRED),
    }
    return BackendEntry(**(fields | changes))  # type: ignore[arg-type]


FORECAST = Forecast(
    method="zne",
    params={},
    shot_multiplier=3.0,
    expected_fidelity=0.6,
    confidence=0.7,
    predicted_rmse=0.02554,
)


def test_the_formula_by_hand() -> None:
    """0.6 / (0.002 * 3) = 100, nothing taken off; 4000 shots at 0.006 USD cost 24 USD."""
    factors = score_factors(_entry(), FORECAST, 4000, CryptoMode.PQC_REQUIRED)
    assert factors.score == pytest.approx(100)
    assert factors.expected_postEM_fidelity == 0.6
    assert factors.cost_per_shot == 0.002
    assert factors.estimated_shot_multiplier == 3
    assert factors.effective_cost == pytest.approx(0.006)
    assert factors.availability_penalty == 1
    assert factors.crypto_compatibility == 1
    assert factors.cost == pytest.approx(24)


def test_a_rarely_available_backend_loses_its_share() -> None:
    factors = score_factors(_entry(availability=0.45), FORECAST, 1, CryptoMode.CLASSICAL)
    assert factors.availability_penalty == pytest.approx(0.5)
    assert factors.score == pytest.approx(50)


@pytest.mark.parametrize(
    ("availability", "penalty"), [(0.0, 0), (0.45, 0.5), (0.9, 1), (0.91, 1), (1.0, 1)]
)
def test_availability_penalty(availability: float, penalty: float) -> None:
    assert availability_penalty(availability) == pytest.approx(penalty)


def test_the_wrong_crypto_mode_scores_nothing() -> None:
    factors = score_factors(_entry(), FORECAST, 1, CryptoMode.HYBRID)
    assert factors.crypto_compatibility == 0
    assert factors.score == 0
