"""What physics alone says of a value: REM's, divided by the signal that the light cone leaves.

The light cone tells the logarithm of the signal, as if errors damped all letters alike, and what
waiting would cost if the device relaxes and couples meanwhile. What really survives is exp(-x): x
is about a sum of these logarithms, and uncertain in proportion to itself. For x normal with mean m
and standard deviation s m, the multiple of the REM value nearest to the ideal one in mean square is
E[exp(-x)] / E[exp(-2 x)] = exp(m - 3 (s m)^2 / 2). Where little signal is left, to divide by it
would be a guess: with s > 0 the factor falls again, and the value goes to 0.
"""

from __future__ import annotations

import msgspec
import numpy as np

from quantumai.mitigation.ml_qem.features import FEATURES, LEAST_SIGNAL
from quantumai.mitigation.readout import Array

LOGS = ("log_signal", "log_signal_idle", "log_signal_zz")
"""Of gates, of relaxation while waiting, and of the reference ZZ coupling while waiting."""


class Decay(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """m is `gates`, `relaxation` and `zz` times the logarithms `LOGS`; `spread` is s."""

    gates: float
    relaxation: float
    zz: float
    spread: float


AS_CALIBRATED = Decay(1.0, 0.0, 0.0, 0.0)
"""Gates as the calibration has them, and waiting without cost."""


def baseline(features: Array, decay: Decay) -> tuple[Array, Array]:
    """Values within [-1, 1] and the standard errors of their shots, (rows,) each.

    `features` has shape (rows, features).
    """
    gates, relaxation, zz = (-features[:, FEATURES.index(name)] for name in LOGS)
    mean = decay.gates * gates + decay.relaxation * relaxation + decay.zz * zz
    logs = mean - 1.5 * (decay.spread * mean) ** 2
    factor = np.exp(np.minimum(logs, -np.log(LEAST_SIGNAL)))
    values = np.clip(factor * features[:, FEATURES.index("rem")], -1, 1)
    return values, factor * features[:, FEATURES.index("rem_std_err")]
