"""A trained model as files: two ONNX graphs and the card that says what they are."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from quantumai.canonical import canonical_json, sha256_hex
from quantumai.harness.ml_qem.learning_rows import LearningRows
from quantumai.harness.ml_qem.training import TrainedModel
from quantumai.mitigation.ml_qem.features import FEATURES, FEATURES_VERSION
from quantumai.mitigation.ml_qem.onnx_model import CARD, ERROR, RESIDUAL
from quantumai.mitigation.ml_qem.served import FALLBACK, ModelCard

_OPSET = 15
_MARGIN = 0.1
_FARTHEST = 0.999


def model_files(
    model: TrainedModel, rows: LearningRows, noise: str, cpu_s: float
) -> dict[str, bytes]:
    """Names and contents of a model's folder."""
    residual, error = _onnx(model.residual), _onnx(model.error)
    card = model_card(model, rows, noise, cpu_s, sha256_hex(residual), sha256_hex(error))
    return {
        RESIDUAL: residual,
        ERROR: error,
        CARD: canonical_json(msgspec.to_builtins(card)),
    }


def model_card(
    model: TrainedModel,
    rows: LearningRows,
    noise: str,
    cpu_s: float,
    residual_sha256: str,
    error_sha256: str,
) -> ModelCard:
    """What is known of the model when it has been trained; errors are those out of fold."""
    features = rows.features
    means, scales = features.mean(axis=0), features.std(axis=0)
    scales = np.where(scales > 0, scales, 1.0)
    distances = np.mean(((features - means) / scales) ** 2, axis=1)
    lows, highs = features.min(axis=0), features.max(axis=0)
    margin = _MARGIN * np.maximum(highs - lows, 1e-6)
    return ModelCard(
        schema_version=1,
        name=f"ml-qem-{model.variant}-{noise}",
        variant=model.variant,
        noise=noise,
        features_version=FEATURES_VERSION,
        features=FEATURES,
        model_sha256=residual_sha256,
        error_model_sha256=error_sha256,
        training_sha256=rows.sha256,
        training_rows=len(rows.ideal),
        training_circuits=len(np.unique(rows.circuit)),
        families=_told(rows, "family"),
        backends=_told(rows, "backend_id"),
        calibration_ids=_told(rows, "calibration_id"),
        metrics=_metrics(model, rows),
        means=tuple(means.tolist()),
        scales=tuple(scales.tolist()),
        lows=tuple((lows - margin).tolist()),
        highs=tuple((highs + margin).tolist()),
        largest_distance=float(np.quantile(distances, _FARTHEST) * 1.5),
        fallback=FALLBACK,
        training_cpu_s=cpu_s,
        licence="Apache-2.0",
        intended_use="mitigating Pauli values of circuits and devices like those it learned from",
        limits="simulated noise; a run unlike the training runs is left to the fallback",
    )


def _metrics(model: TrainedModel, rows: LearningRows) -> dict[str, dict[str, float]]:
    """RMSE over rows by family, out of fold."""
    family = np.array([row["family"] for row in rows.cells])[rows.cell]
    raw = rows.features[:, FEATURES.index("raw")]
    values = np.clip(rows.rem + model.out_of_fold, -1, 1)
    found = {}
    for name in sorted(set(family)):
        of = family == name
        found[str(name)] = {
            what: float(np.sqrt(np.mean((estimate[of] - rows.ideal[of]) ** 2)))
            for what, estimate in (("raw", raw), ("rem", rows.rem), ("ml-qem", values))
        }
    return found


def _told(rows: LearningRows, name: str) -> tuple[str, ...]:
    return tuple(sorted({str(row[name]) for row in rows.cells}))


def _onnx(estimator: Any) -> bytes:
    if type(estimator).__module__.startswith("xgboost"):
        from onnxmltools import convert_xgboost
        from onnxmltools.convert.common.data_types import FloatTensorType

        graph = convert_xgboost(
            estimator,
            initial_types=[("features", FloatTensorType([None, len(FEATURES)]))],
            target_opset=_OPSET,
        )
    else:
        from skl2onnx import to_onnx
        from skl2onnx.common.data_types import FloatTensorType as SklFloat

        graph = to_onnx(
            estimator,
            initial_types=[("features", SklFloat([None, len(FEATURES)]))],
            target_opset=_OPSET,
        )
    data: bytes = graph.SerializeToString(deterministic=True)
    return data
