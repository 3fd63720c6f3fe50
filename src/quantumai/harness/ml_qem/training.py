"""Training one model: the residual of an observable, ideal minus baseline, and its squared error.

Learning what is left after physics needs ten times less data than learning the value, and does less
harm where it does not apply. The squared error is learned from residuals out of fold, folds being
whole circuits, so that it is that of circuits that the model has not seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantumai.errors import BadInputError
from quantumai.harness.ml_qem.decay import decayed
from quantumai.harness.ml_qem.learning_rows import LearningRows
from quantumai.harness.plan import FEWEST_CIRCUITS, LEARNED_VARIANTS
from quantumai.mitigation.ml_qem.baseline import Decay
from quantumai.mitigation.readout import Array

FOLDS = 4
SEED = 20260101


@dataclass(frozen=True)
class TrainedModel:
    """Estimators with `predict(float32 features)`, and the residuals out of fold, (rows,).

    Residuals are from the baseline of `decay`.
    """

    variant: str
    decay: Decay
    residual: Any
    error: Any
    out_of_fold: Array


def train(rows: LearningRows, variant: str, decay: Decay) -> TrainedModel:
    """Fit a model to training rows and their decay; the same rows give the same model.

    Raises `BadInputError` for too few circuits.
    """
    require_enough(rows)
    features, wanted = rows.features.astype(np.float32), rows.ideal - decayed(rows, decay)
    out_of_fold = _out_of_fold(variant, features, wanted, rows.circuit)
    residual = _fitted(variant, features, wanted)
    error = grown_forest(features, (wanted - out_of_fold) ** 2, trees=60, leaf=8)
    return TrainedModel(variant, decay, residual, error, out_of_fold)


def require_enough(rows: LearningRows) -> None:
    """Raise `BadInputError` for too few circuits to learn from."""
    circuits = len(np.unique(rows.circuit))
    if circuits < FEWEST_CIRCUITS:
        raise BadInputError(
            f"{circuits} circuits are too few to learn from", hint=f"{FEWEST_CIRCUITS} or more"
        )


def _out_of_fold(variant: str, features: NDArray[np.float32], wanted: Array, circuit: Any) -> Array:
    order = np.random.Generator(np.random.PCG64(SEED)).permutation(int(circuit.max()) + 1)
    fold = order[circuit] % FOLDS
    predicted = np.empty(len(wanted))
    for number in range(FOLDS):
        held = fold == number
        predicted[held] = _fitted(variant, features[~held], wanted[~held]).predict(features[held])
    return predicted


def _fitted(variant: str, features: NDArray[np.float32], wanted: Array) -> Any:
    if variant == "rf":
        return grown_forest(features, wanted, trees=120, leaf=3)
    if variant == "xgb":
        from xgboost import XGBRegressor

        boosted = XGBRegressor(
            n_estimators=400,
            learning_rate=0.05,
            max_depth=6,
            subsample=0.8,
            colsample_bytree=0.5,
            min_child_weight=3,
            tree_method="hist",
            n_jobs=1,
            random_state=SEED,
        )
        return boosted.fit(features, wanted)
    if variant == "mlp":
        from sklearn.neural_network import MLPRegressor
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        network = MLPRegressor(
            hidden_layer_sizes=(64, 32), alpha=1e-2, max_iter=120, random_state=SEED
        )
        return make_pipeline(StandardScaler(), network).fit(features, wanted)
    raise BadInputError(f"unknown kind of model {variant[:20]!r}", hint=", ".join(LEARNED_VARIANTS))


def grown_forest(features: NDArray[np.float32], wanted: Array, trees: int, leaf: int) -> Any:
    """A fitted random forest of regression trees with at least `leaf` rows in each leaf.

    Grown on all cores, the same trees whatever their number, and asked on one: on several,
    scikit-learn adds the trees' answers in the order in which they come.
    """
    from sklearn.ensemble import RandomForestRegressor

    forest = RandomForestRegressor(
        n_estimators=trees,
        min_samples_leaf=leaf,
        max_features=0.5,
        n_jobs=-1,
        random_state=SEED,
    )
    return forest.fit(features, wanted).set_params(n_jobs=1)
