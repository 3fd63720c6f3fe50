"""How the signal of a noise really decays: the two numbers of the baseline, from training runs.

A grid, not a search: neighbouring values are as good, and the same come out on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quantumai.harness.ml_qem.learning_rows import LearningRows
from quantumai.mitigation.ml_qem.baseline import baseline
from quantumai.mitigation.readout import Array

_EXPONENTS = np.linspace(0.0, 2.0, 41)
_SPREADS = np.linspace(0.0, 1.0, 21)


@dataclass(frozen=True)
class Decay:
    """`exponent` and `spread` as in `mitigation.ml_qem.baseline`."""

    exponent: float
    spread: float

    def of(self, rows: LearningRows) -> Array:
        """The baseline's values of rows, (rows,)."""
        return baseline(rows.features, self.exponent, self.spread)[0]


def fitted_decay(rows: LearningRows) -> Decay:
    """The decay whose baseline is nearest to the ideal values of `rows` in mean square."""
    choices = [Decay(float(k), float(s)) for k in _EXPONENTS for s in _SPREADS]
    errors = [float(np.mean((choice.of(rows) - rows.ideal) ** 2)) for choice in choices]
    return choices[int(np.argmin(errors))]
