"""How the signal of a noise really decays: the four numbers of the baseline, from training runs.

A grid, not a search: neighbouring values are as good, and the same come out on every machine. The
whole grid, since waiting only shows together with how uncertain a decay is.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from quantumai.harness.ml_qem.learning_rows import LearningRows
from quantumai.mitigation.ml_qem.baseline import Decay, baseline
from quantumai.mitigation.readout import Array

_GATES = np.linspace(0.0, 2.0, 21).tolist()
_RELAXATION = np.linspace(0.0, 1.5, 7).tolist()
_ZZ = np.linspace(0.0, 1.0, 11).tolist()
_SPREADS = np.linspace(0.0, 1.0, 11).tolist()


def decayed(rows: LearningRows, decay: Decay) -> Array:
    """The baseline's values of rows, (rows,)."""
    return baseline(rows.features, decay)[0]


def fitted_decay(rows: LearningRows) -> Decay:
    """The decay whose baseline is nearest to the ideal values of `rows` in mean square."""
    choices = [Decay(*each) for each in product(_GATES, _RELAXATION, _ZZ, _SPREADS)]
    errors = [float(np.mean((decayed(rows, choice) - rows.ideal) ** 2)) for choice in choices]
    return choices[int(np.argmin(errors))]
