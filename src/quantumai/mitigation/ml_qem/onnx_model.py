"""Opening a trained model: ONNX files for residual, its squared error, and distance of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from quantumai.bounded_reading import read_bounded
from quantumai.canonical import sha256_hex
from quantumai.errors import ArtefactError, BadInputError
from quantumai.mitigation.ml_qem.served import LearnedMethod, parse_card
from quantumai.mitigation.readout import Array

if TYPE_CHECKING:
    import onnxruntime

CARD = "card.json"
RESIDUAL, ERROR, DISTANCE = "residual.onnx", "error.onnx", "distance.onnx"
_MOST_BYTES = 200_000_000


@dataclass(frozen=True)
class OnnxModel:
    """`Model` by ONNX sessions, float32 inside, one thread: the same bits every time."""

    residual: onnxruntime.InferenceSession
    error: onnxruntime.InferenceSession
    distance: onnxruntime.InferenceSession

    def residuals(self, features: Array) -> tuple[Array, Array]:
        """See `Model.residuals`."""
        return _run(self.residual, features), _run(self.error, features)

    def distances(self, descriptors: Array) -> Array:
        """See `Model.distances`."""
        return _run(self.distance, descriptors)


def open_learned_method(parameters: Mapping[str, Any]) -> LearnedMethod:
    """The method `ml-qem`: {"model": folder of a model, "variant": what it has to be}.

    Raises `BadInputError` for other parameters, `ArtefactError` for a damaged model.
    """
    if set(parameters) - {"model", "variant"} or not isinstance(parameters.get("model"), str):
        raise BadInputError(
            "parameters of method ml-qem: a model is needed",
            hint='give {"model": "<folder of a model>"}, and "variant" to make sure of it',
        )
    method = open_model(Path(parameters["model"]))
    if parameters.get("variant", method.card.variant) != method.card.variant:
        raise BadInputError(f"the model is {method.card.variant}, not {parameters['variant']!r}")
    return method


def open_model(folder: Path) -> LearnedMethod:
    """A model from its folder, each file checked against the card."""
    card = parse_card(read_bounded(folder / CARD, _MOST_BYTES, "the model card"))
    residual = _session(folder / RESIDUAL, card.model_sha256)
    error = _session(folder / ERROR, card.error_model_sha256)
    distance = _session(folder / DISTANCE, card.distance_model_sha256)
    return LearnedMethod(card, OnnxModel(residual, error, distance))


def session_of(data: bytes) -> onnxruntime.InferenceSession:
    """A session on one thread. Raises `ArtefactError`."""
    try:
        import onnxruntime
    except ImportError:
        raise BadInputError("ML-QEM needs onnxruntime", hint="install quantumai[ml]") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except _onnx_errors() as error:
        raise ArtefactError(f"not an ONNX model: {str(error).splitlines()[0][:160]}") from None


def _onnx_errors() -> tuple[type[Exception], ...]:
    """What onnxruntime raises for a graph that it does not take; no base class is shared."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    return (
        RuntimeError,
        ValueError,
        state.Fail,
        state.InvalidProtobuf,
        state.InvalidGraph,
        state.InvalidArgument,
    )


def _session(path: Path, digest: str) -> onnxruntime.InferenceSession:
    data = read_bounded(path, _MOST_BYTES, "the model")
    if sha256_hex(data) != digest:
        raise ArtefactError(
            f"{path.name} is not the model that its card names", hint="restore the model's folder"
        )
    return session_of(data)


def _run(session: onnxruntime.InferenceSession, rows: Array) -> Array:
    """The last output, a number for each row; a graph of distances gives neighbours before them."""
    asked = {session.get_inputs()[0].name: rows.astype(np.float32)}
    values = session.run([session.get_outputs()[-1].name], asked)[0]
    return np.asarray(values, dtype=np.float64).reshape(len(rows))
