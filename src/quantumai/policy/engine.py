"""The EM policy engine: a forecast for every method on one backend, and a recommendation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from quantumai.canonical import canonical_json, sha256_hex
from quantumai.mitigation.methods import METHODS, Method
from quantumai.policy.confidence import confidence_digest, measured_confidence
from quantumai.policy.prediction import SignalModel, precision_fidelity, predicted_rmse

POLICY_VERSION = "physics-v1"


class Forecast(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The specification's answer of `/predict`, and the predicted RMSE behind it.

    `shot_multiplier` is the method's total shots over those of method "none";
    `expected_fidelity` the precision fidelity exp(-RMSE / tolerance).
    """

    method: str
    params: dict[str, Any]
    shot_multiplier: float
    expected_fidelity: float
    confidence: float
    predicted_rmse: float


def forecast(model: SignalModel, method: Method, shots: int, tolerance: float) -> Forecast:
    """Predict one method on the circuit and device that `model` describes."""
    rmse = predicted_rmse(model, method, shots)
    return Forecast(
        method=method.name,
        params=dict(method.params),
        shot_multiplier=method.shot_multiplier,
        expected_fidelity=precision_fidelity(rmse, tolerance),
        confidence=measured_confidence().share[method.name],
        predicted_rmse=rmse,
    )


def recommend(
    model: SignalModel, methods: Sequence[Method], shots: int, tolerance: float
) -> tuple[Forecast, ...]:
    """Forecasts of all `methods`, most expected fidelity per shot spent first."""
    forecasts = [forecast(model, method, shots, tolerance) for method in methods]
    return tuple(sorted(forecasts, key=lambda f: -f.expected_fidelity / f.shot_multiplier))


def policy_description() -> bytes:
    """All that decides a forecast: version, methods, digest of the confidence table; canonical."""
    methods = {
        name: {"version": method.version, "params": dict(method.params)}
        for name, method in METHODS.items()
    }
    described = {
        "policy": POLICY_VERSION,
        "methods": methods,
        "confidence_sha256": confidence_digest(),
    }
    return canonical_json(described)


def policy_digest() -> str:
    """SHA-256 of `policy_description`."""
    return sha256_hex(policy_description())
