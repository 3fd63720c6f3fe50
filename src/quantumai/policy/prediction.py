"""Expected error of a method: its signal pushed through its own extrapolator, plus shot noise.

With s_k the signal left at noise factor k, c what readout leaves, w_k the method's weights and y
the ideal value, the estimate's mean is y * sum w_k s_k (times c, plus an offset, unless readout is
corrected). So RMSE^2 = E[y^2] (sum w_k s_k c - 1)^2 + offset^2 + sum w_k^2 variance_k.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp

import numpy as np

from quantumai.backends.noise import DeviceNoise
from quantumai.circuits.observables import measurement_bases
from quantumai.execution.transpile import TranspiledCircuit
from quantumai.mitigation.light_cone import light_cone
from quantumai.mitigation.methods import Method
from quantumai.mitigation.readout import Array, Confusion


@dataclass(frozen=True)
class SignalModel:
    """What the physics says of one circuit on one device, shape (observables,) each."""

    fixed_log: Array
    folded_log: Array
    mean_square: Array
    readout_contrast: Array
    readout_offset_squared: Array
    num_bases: int

    @classmethod
    def of(
        cls,
        transpiled: TranspiledCircuit,
        noise: DeviceNoise,
        confusion: Confusion,
        observables: Sequence[str],
    ) -> SignalModel:
        """Model of logical `observables` on a transpiled circuit."""
        paulis = [transpiled.place(pauli) for pauli in observables]
        cone = light_cone(transpiled.circuit, noise, paulis)
        squares = cone.mean_square
        return cls(
            cone.fixed_log,
            cone.folded_log,
            squares,
            np.array([confusion.contrast(pauli) for pauli in paulis]),
            np.array(
                [confusion.offset_squared(p, y2) for p, y2 in zip(paulis, squares, strict=True)]
            ),
            len(measurement_bases(paulis)),
        )

    def signals(self, noise_factors: Array) -> Array:
        """Signal left before readout, shape (noise factors, observables)."""
        return np.exp(self.fixed_log + np.outer(noise_factors, self.folded_log))


def predicted_rmse(model: SignalModel, method: Method, shots: int) -> float:
    """Expected root mean square error over the observables.

    `shots` is what method "none" spends over all bases; every noise factor spends as much.
    """
    factors = np.asarray(method.noise_factors, dtype=float)
    weights = method.weights(factors)
    signals = model.signals(factors)
    if method.corrects_readout:
        contrast: Array = np.ones_like(model.readout_contrast)
        offset_squared: Array = np.zeros_like(contrast)
        second_moment: Array = model.readout_contrast**-2.0
    else:
        contrast, offset_squared = model.readout_contrast, model.readout_offset_squared
        second_moment = np.ones_like(contrast)
    signals = signals * contrast
    bias_squared = model.mean_square * (weights @ signals - 1) ** 2 + offset_squared
    shots_per_basis = max(shots / model.num_bases, 1.0)
    variances = np.clip(second_moment - model.mean_square * signals**2, 0.0, None) / shots_per_basis
    return float(np.sqrt(np.mean(bias_squared + weights**2 @ variances)))


def precision_fidelity(rmse: float, tolerance: float) -> float:
    """The score's expected fidelity: exp(-RMSE / tolerance), in (0, 1]."""
    return exp(-rmse / tolerance)
