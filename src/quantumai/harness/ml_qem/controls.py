"""Five controls: what learning gains without having learned to mitigate.

"descriptors": the same forest without any noisy value. "shuffled": with the noisy values of other
observables, so that only their distribution is left. "recalibration": a straight line from the REM
value to the ideal one, by letters of the observable. The first two predict the value itself, as a
residual would hold the noisy value. Where one of these three is as good, nothing was mitigated.
"rescaled": the baseline itself, with its four fitted numbers. Where it is as good, the models add
nothing. "light cone": the REM value over the signal as the calibration has it, nothing fitted.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quantumai.harness.ml_qem.decay import decayed
from quantumai.harness.ml_qem.learning_rows import LearningRows
from quantumai.harness.ml_qem.training import SEED, grown_forest
from quantumai.mitigation.ml_qem.baseline import AS_CALIBRATED, Decay
from quantumai.mitigation.ml_qem.features import FEATURES, NOISY_FEATURES
from quantumai.mitigation.readout import Array

_NOISY = [FEATURES.index(name) for name in NOISY_FEATURES]
_KINDS = [FEATURES.index(name) for name in ("weight", "weight_x", "weight_y")]


def control_values(control: str, training: LearningRows, test: LearningRows, decay: Decay) -> Array:
    """Values of the test rows by one of `results.CONTROLS`, within [-1, 1]; shape (rows,).

    `decay` is that of the training rows.
    """
    if control == "light cone":
        values = decayed(test, AS_CALIBRATED)
    elif control == "rescaled":
        values = decayed(test, decay)
    elif control == "recalibration":
        values = _recalibrated(training, test)
    else:
        shuffled = control == "shuffled"
        learned, asked = (
            _without(rows.features, shuffled, at) for at, rows in enumerate((training, test))
        )
        values = grown_forest(learned, training.ideal, trees=120, leaf=3).predict(asked)
    return np.clip(values, -1, 1)


def _without(features: Array, shuffled: bool, stream: int) -> NDArray[np.float32]:
    """Features whose noisy columns say nothing of the row: zero, or another row's."""
    changed = features.astype(np.float32)
    if shuffled:
        order = np.random.Generator(np.random.PCG64([SEED, stream])).permutation(len(features))
        changed[:, _NOISY] = changed[order][:, _NOISY]
    else:
        changed[:, _NOISY] = 0.0
    return changed


def _recalibrated(training: LearningRows, test: LearningRows) -> Array:
    values = test.rem.copy()
    kinds, wanted = training.features[:, _KINDS], test.features[:, _KINDS]
    for kind in np.unique(wanted, axis=0):
        known, asked = (kinds == kind).all(axis=1), (wanted == kind).all(axis=1)
        if known.sum() < 2 or np.ptp(training.rem[known]) == 0:
            continue
        slope, start = np.polyfit(training.rem[known], training.ideal[known], 1)
        values[asked] = start + slope * test.rem[asked]
    return values
