"""The specification's v1 score, factor by factor."""

from __future__ import annotations

import msgspec

from quantumai.backends.catalogue import BackendEntry
from quantumai.crypto_mode import CryptoMode
from quantumai.policy.engine import Forecast

AVAILABILITY_THRESHOLD = 0.9


class ScoreFactors(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every factor of the score, by the specification's names; costs are USD.

    `effective_cost` is per shot of method "none"; `cost` is the whole job's price.
    """

    expected_postEM_fidelity: float  # noqa: N815 - the specification's name
    cost_per_shot: float
    estimated_shot_multiplier: float
    effective_cost: float
    availability_penalty: float
    crypto_compatibility: float
    score: float
    cost: float


def availability_penalty(availability: float) -> float:
    """1 above the threshold, below it the availability as a share of the threshold."""
    if availability > AVAILABILITY_THRESHOLD:
        return 1.0
    return availability / AVAILABILITY_THRESHOLD


def score_factors(
    entry: BackendEntry, forecast: Forecast, shots: int, mode: CryptoMode
) -> ScoreFactors:
    """score = (expected_postEM_fidelity / effective_cost) * availability * crypto."""
    effective_cost = entry.cost_per_shot * forecast.shot_multiplier
    availability = availability_penalty(entry.availability)
    crypto = 1.0 if entry.supports(mode) else 0.0
    return ScoreFactors(
        expected_postEM_fidelity=forecast.expected_fidelity,
        cost_per_shot=entry.cost_per_shot,
        estimated_shot_multiplier=forecast.shot_multiplier,
        effective_cost=effective_cost,
        availability_penalty=availability,
        crypto_compatibility=crypto,
        score=forecast.expected_fidelity / effective_cost * availability * crypto,
        cost=effective_cost * shots,
    )
