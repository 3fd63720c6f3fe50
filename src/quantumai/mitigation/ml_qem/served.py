"""A trained ML-QEM model as a method: features in, residuals out, by ONNX.

The model predicts the residual of each observable, ideal minus REM value, and the square of its own
error. A run unlike those it learned from is left to a declared method, and the estimate says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
import numpy as np

from quantumai.errors import ArtefactError
from quantumai.mitigation.methods import Estimate
from quantumai.mitigation.ml_qem.features import (
    FEATURES,
    FEATURES_VERSION,
    RunEvidence,
    observable_features,
)
from quantumai.mitigation.readout import Array

FALLBACK = "rem"


class ModelCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a model is, what it learned from and how well: it lies beside the model as JSON.

    `model_sha256` and `error_model_sha256` are of its ONNX files. An observable's features x are
    standardised by `means` and `scales`; it is out of distribution where the mean square of its
    row exceeds `largest_distance`, or a feature lies outside `lows` and `highs`. `metrics` are by
    family: RMSE over observables of raw, REM and this model, out of fold.
    """

    schema_version: int
    name: str
    variant: str
    noise: str
    features_version: str
    features: tuple[str, ...]
    model_sha256: str
    error_model_sha256: str
    training_sha256: str
    training_rows: int
    training_circuits: int
    families: tuple[str, ...]
    backends: tuple[str, ...]
    calibration_ids: tuple[str, ...]
    metrics: dict[str, dict[str, float]]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    lows: tuple[float, ...]
    highs: tuple[float, ...]
    largest_distance: float
    fallback: str
    training_cpu_s: float
    licence: str
    intended_use: str
    limits: str


class Residuals(Protocol):
    """A model's function: features (rows, features) to residual and squared error, (rows,) each."""

    def __call__(self, features: Array) -> tuple[Array, Array]:
        """See the class."""
        ...


@dataclass(frozen=True)
class LearnedMethod:
    """ML-QEM behind the `Method` port: it runs the circuit once, at noise factor 1."""

    card: ModelCard
    residuals: Residuals
    name: str = "ml-qem"
    version: str = FEATURES_VERSION
    noise_factors: tuple[float, ...] = (1.0,)
    shot_multiplier: float = 1.0
    corrects_readout: bool = True
    calibration_share: float = 0.0

    def __post_init__(self) -> None:
        """Raises `ArtefactError` for a model of other features than this release has."""
        if (self.card.features_version, self.card.features) != (FEATURES_VERSION, FEATURES):
            raise ArtefactError(
                f"model {self.card.name!r} reads {self.card.features_version}, "
                f"this release has {FEATURES_VERSION}",
                hint="train it again",
            )

    @property
    def params(self) -> Mapping[str, Any]:
        """See `Method.params`; `model` is the SHA-256 of its ONNX file."""
        return {"variant": self.card.variant, "model": self.card.model_sha256}

    def weights(self, noise_factors: Array) -> Array:
        """All weight on the only noise factor."""
        return np.ones(len(noise_factors)) / len(noise_factors)

    def estimate(
        self,
        noise_factors: Array,
        values: Array,
        std_errs: Array,
        common_errs: Array | None = None,
    ) -> Estimate:
        """Values alone say too little for the model: the fallback's, named as such."""
        return Estimate(values[0], std_errs[0], (self.card.fallback,) * values.shape[1])

    def estimate_run(self, evidence: RunEvidence) -> Estimate:
        """REM values plus predicted residuals; REM alone where the run is out of distribution."""
        features = observable_features(evidence)
        values, std_errs, strange = learned_values(self.card, self.residuals, features)
        fallbacks = tuple(self.card.fallback if odd else "" for odd in strange)
        return Estimate(
            np.where(strange, evidence.rem, values),
            np.where(strange, evidence.rem_std_errs, std_errs),
            fallbacks,
        )


def learned_values(
    card: ModelCard, residuals: Residuals, features: Array
) -> tuple[Array, Array, Array]:
    """Values within [-1, 1], standard errors, and which rows are out of distribution; (rows,)."""
    residual, squared_error = residuals(features)
    values = np.clip(features[:, FEATURES.index("rem")] + residual, -1, 1)
    return values, np.sqrt(np.maximum(squared_error, 0.0)), out_of_distribution(card, features)


def out_of_distribution(card: ModelCard, features: Array) -> Array:
    """Which rows (booleans) lie outside what the model learned from; see `ModelCard`."""
    outside = (features < np.array(card.lows)) | (features > np.array(card.highs))
    standardised = (features - np.array(card.means)) / np.array(card.scales)
    far = np.mean(standardised**2, axis=1) > card.largest_distance
    strange: Array = outside.any(axis=1) | far
    return strange


def parse_card(data: bytes) -> ModelCard:
    """Read a model card. Raises `ArtefactError`."""
    try:
        return msgspec.json.decode(data, type=ModelCard)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ArtefactError(f"not a model card: {error}") from None
