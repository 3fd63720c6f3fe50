"""A trained ML-QEM model as a method: features in, residuals out, by ONNX.

The model predicts the residual of each observable, ideal value minus baseline, and the square of
its own error. A run unlike those it learned from is left to the baseline, and the estimate says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from quantumai.errors import ArtefactError
from quantumai.mitigation.methods import Estimate
from quantumai.mitigation.ml_qem.baseline import Decay, baseline
from quantumai.mitigation.ml_qem.features import (
    FEATURES,
    FEATURES_VERSION,
    RunEvidence,
    observable_features,
)
from quantumai.mitigation.ml_qem.novelty import run_descriptors
from quantumai.mitigation.readout import Array

CARD_VERSION = 3
FALLBACK = "rescaled rem"
"""The baseline by name: REM divided by the signal that the calibration's light cone leaves."""
WITHOUT_EVIDENCE = "rem"


class ModelCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a model is, what it learned from and how well: it lies beside the model as JSON.

    The three SHA-256 are of its ONNX files. A run is out of distribution where its distance from
    the nearest training run exceeds `largest_distance`, the largest that a training run has from
    those of other circuits; both are distances of standardised `run_descriptors`. The
    baseline's `decay` is fitted to the training runs. `metrics` are by family: RMSE over
    observables of raw, REM, baseline and this model, out of fold but for the decay.
    """

    schema_version: int
    name: str
    variant: str
    noise: str
    features_version: str
    features: tuple[str, ...]
    model_sha256: str
    error_model_sha256: str
    distance_model_sha256: str
    training_sha256: str
    training_rows: int
    training_circuits: int
    families: tuple[str, ...]
    backends: tuple[str, ...]
    calibration_ids: tuple[str, ...]
    metrics: dict[str, dict[str, float]]
    decay: Decay
    largest_distance: float
    fallback: str
    training_cpu_s: float
    licence: str
    intended_use: str
    limits: str


class Model(Protocol):
    """What a trained model computes."""

    def residuals(self, features: Array) -> tuple[Array, Array]:
        """Residual and squared error, (rows,) each, of features (rows, features)."""
        ...

    def distances(self, descriptors: Array) -> Array:
        """Distances (runs,) of `run_descriptors` from the nearest of training."""
        ...


@dataclass(frozen=True)
class LearnedMethod:
    """ML-QEM behind the `Method` port: it runs the circuit once, at noise factor 1."""

    card: ModelCard
    model: Model
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
        """Values alone say too little for the model: REM's, named as such."""
        return Estimate(values[0], std_errs[0], (WITHOUT_EVIDENCE,) * values.shape[1])

    def estimate_run(self, evidence: RunEvidence) -> Estimate:
        """Baseline plus predicted residuals; the baseline alone where the run is out of the way."""
        features = observable_features(evidence)
        return learned_values(self.card, self.model, features, np.zeros(len(features), np.int64))


def learned_values(
    card: ModelCard, model: Model, features: Array, run: NDArray[np.int64]
) -> Estimate:
    """Values within [-1, 1] of rows of one run or several; `run` as for `run_descriptors`.

    The standard error of a baseline counts shot noise alone, that of the model all of its error.
    """
    plain, shot_noise = baseline(features, card.decay)
    residual, squared_error = model.residuals(features)
    distances = model.distances(run_descriptors(features, run))
    strange = ~(distances <= card.largest_distance)[run]  # not a number is strange too
    return Estimate(
        np.where(strange, plain, np.clip(plain + residual, -1, 1)),
        np.where(strange, shot_noise, np.sqrt(np.maximum(squared_error, 0.0))),
        tuple(card.fallback if odd else "" for odd in strange.tolist()),
    )


def parse_card(data: bytes) -> ModelCard:
    """Read a model card. Raises `ArtefactError`."""
    try:
        card = msgspec.json.decode(data, type=ModelCard)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ArtefactError(f"not a model card: {error}") from None
    if card.schema_version != CARD_VERSION:
        raise ArtefactError(
            f"a model card of version {card.schema_version}, this release reads {CARD_VERSION}",
            hint="train the model again",
        )
    return card
