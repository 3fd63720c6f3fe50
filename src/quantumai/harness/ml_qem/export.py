"""A trained model as files: ONNX graphs and the card that says what they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from quantumai.canonical import canonical_json, sha256_hex
from quantumai.harness.ml_qem.decay import decayed
from quantumai.harness.ml_qem.known_runs import KnownRuns
from quantumai.harness.ml_qem.learning_rows import LearningRows
from quantumai.harness.ml_qem.training import TrainedModel
from quantumai.mitigation.ml_qem.features import FEATURES, FEATURES_VERSION
from quantumai.mitigation.ml_qem.novelty import RUN_COLUMNS
from quantumai.mitigation.ml_qem.onnx_model import CARD, DISTANCE, ERROR, RESIDUAL
from quantumai.mitigation.ml_qem.served import CARD_VERSION, FALLBACK, ModelCard

_OPSET = 15


def model_files(
    model: TrainedModel, rows: LearningRows, known: KnownRuns, noise: str, cpu_s: float
) -> dict[str, bytes]:
    """Names and contents of a model's folder; `known` are the runs of its training rows."""
    graphs = {
        RESIDUAL: _onnx(model.residual, len(FEATURES)),
        ERROR: _onnx(model.error, len(FEATURES)),
        DISTANCE: _onnx(known.nearest, RUN_COLUMNS),
    }
    digests = {name: sha256_hex(graph) for name, graph in graphs.items()}
    card = model_card(model, rows, known, noise, cpu_s, digests)
    return {**graphs, CARD: canonical_json(msgspec.to_builtins(card))}


def model_card(
    model: TrainedModel,
    rows: LearningRows,
    known: KnownRuns,
    noise: str,
    cpu_s: float,
    digests: Mapping[str, str],
) -> ModelCard:
    """What is known of the model when it has been trained; errors are those out of fold.

    `digests` are the SHA-256 (hex) of its graphs by file name.
    """
    return ModelCard(
        schema_version=CARD_VERSION,
        name=f"ml-qem-{model.variant}-{noise}",
        variant=model.variant,
        noise=noise,
        features_version=FEATURES_VERSION,
        features=FEATURES,
        model_sha256=digests[RESIDUAL],
        error_model_sha256=digests[ERROR],
        distance_model_sha256=digests[DISTANCE],
        training_sha256=rows.sha256,
        training_rows=len(rows.ideal),
        training_circuits=len(np.unique(rows.circuit)),
        families=_told(rows, "family"),
        backends=_told(rows, "backend_id"),
        calibration_ids=_told(rows, "calibration_id"),
        metrics=_metrics(model, rows),
        decay=model.decay,
        largest_distance=known.largest_distance,
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
    plain = decayed(rows, model.decay)
    values = np.clip(plain + model.out_of_fold, -1, 1)
    estimates = {"raw": raw, "rem": rows.rem, FALLBACK: plain, "ml-qem": values}
    found = {}
    for name in sorted(set(family)):
        of = family == name
        found[str(name)] = {
            what: float(np.sqrt(np.mean((estimate[of] - rows.ideal[of]) ** 2)))
            for what, estimate in estimates.items()
        }
    return found


def _told(rows: LearningRows, name: str) -> tuple[str, ...]:
    return tuple(sorted({str(row[name]) for row in rows.cells}))


def _onnx(estimator: Any, columns: int) -> bytes:
    if type(estimator).__module__.startswith("xgboost"):
        from onnxmltools import convert_xgboost
        from onnxmltools.convert.common.data_types import FloatTensorType

        graph = convert_xgboost(
            estimator,
            name="xgb",  # else a random one, and other bytes each time
            initial_types=[("features", FloatTensorType([None, columns]))],
            target_opset=_OPSET,
        )
    else:
        from skl2onnx import to_onnx
        from skl2onnx.common.data_types import FloatTensorType as SklFloat

        graph = to_onnx(
            estimator,
            initial_types=[("features", SklFloat([None, columns]))],
            target_opset=_OPSET,
        )
    data: bytes = graph.SerializeToString(deterministic=True)
    return data
