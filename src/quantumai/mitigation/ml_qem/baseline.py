"""What physics alone says of a value: REM's, divided by the signal that the light cone leaves.

The light cone tells the logarithm of the signal, -L, as if errors damped all letters alike; what
really survives is exp(-x) with x about k L, and uncertain in proportion to L. For x normal with
mean k L and standard deviation s L, the multiple of the REM value nearest to the ideal one in mean
square is E[exp(-x)] / E[exp(-2 x)] = exp(k L - 3 (s L)^2 / 2). Where little signal is left, to
divide by it would be a guess: with s > 0 the factor falls again, and the value goes to 0.
"""

from __future__ import annotations

import numpy as np

from quantumai.mitigation.ml_qem.features import FEATURES, LEAST_SIGNAL
from quantumai.mitigation.readout import Array


def baseline(features: Array, exponent: float, spread: float) -> tuple[Array, Array]:
    """Values within [-1, 1] and the standard errors of their shots, (rows,) each.

    `features` has shape (rows, features); `exponent` and `spread` are k and s.
    """
    decay = -features[:, FEATURES.index("log_signal")]
    logs = exponent * decay - 1.5 * (spread * decay) ** 2
    factor = np.exp(np.minimum(logs, -np.log(LEAST_SIGNAL)))
    values = np.clip(factor * features[:, FEATURES.index("rem")], -1, 1)
    return values, factor * features[:, FEATURES.index("rem_std_err")]
