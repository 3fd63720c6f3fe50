"""The error-mitigation methods of this release behind one small interface."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from quantumai.errors import BadInputError
from quantumai.mitigation.extrapolation import (
    WeightRule,
    linear_weights,
    no_extrapolation,
    richardson_weights,
)
from quantumai.mitigation.readout import Array

if TYPE_CHECKING:
    from quantumai.mitigation.ml_qem.features import RunEvidence

UNPHYSICAL_SIGMAS = 3.0
"""An estimate this many standard errors beyond [-1, 1] is refused."""


@dataclass(frozen=True)
class Estimate:
    """Mitigated values and standard errors, shape (observables,), and what fell back where.

    `fallbacks[i]` names the method that gave observable i instead, or is empty.
    """

    values: Array
    std_errs: Array
    fallbacks: tuple[str, ...]


@runtime_checkable
class Method(Protocol):
    """What the policy, the scheduler and the executor need to know of a method."""

    @property
    def name(self) -> str:
        """The specification's `em_method`."""
        ...

    @property
    def version(self) -> str:
        """Changes whenever the same data could give another answer."""
        ...

    @property
    def params(self) -> Mapping[str, Any]:
        """Variant parameters, plain JSON data."""
        ...

    @property
    def noise_factors(self) -> tuple[float, ...]:
        """Noise factors to run; the first is 1."""
        ...

    @property
    def shot_multiplier(self) -> float:
        """Total shots spent over the shots that method "none" would spend."""
        ...

    @property
    def corrects_readout(self) -> bool:
        """Whether values are read through the inverse confusion matrix."""
        ...

    @property
    def calibration_share(self) -> float:
        """Shots for readout calibration circuits over the job's; 0: trust the snapshot."""
        ...

    def weights(self, noise_factors: Array) -> Array:
        """Linear weights (K,) with which the values at `noise_factors` (K,) enter the estimate."""
        ...

    def estimate(
        self,
        noise_factors: Array,
        values: Array,
        std_errs: Array,
        common_errs: Array | None = None,
    ) -> Estimate:
        """Mitigate values of shape (K, observables) with independent `std_errs`.

        `common_errs`, shape (parameters, K, observables), is given where readout was calibrated by
        circuits: by how much one standard error of each parameter moves all values together.
        """
        ...


@runtime_checkable
class ReadsEvidence(Protocol):
    """A learned method, which reads more of a run than its values."""

    def estimate_run(self, evidence: RunEvidence) -> Estimate:
        """Mitigate a run at noise factor 1."""
        ...


def unphysical(values: Array, std_errs: Array) -> NDArray[np.bool_]:
    """Which values lie further beyond [-1, 1] than their standard errors explain."""
    return np.abs(values) > 1 + UNPHYSICAL_SIGMAS * std_errs


def with_common(std_errs: Array, weights: Array, common_errs: Array | None) -> Array:
    """`std_errs` (observables,) widened by what moves all noise factors together (delta method).

    `weights`, shape (K, observables), is how the estimate changes with the value at each factor;
    `common_errs` as in `Method.estimate`.
    """
    if common_errs is None:
        return std_errs
    shifts = (weights * common_errs).sum(axis=1)
    widened: Array = np.hypot(std_errs, np.linalg.norm(shifts, axis=0))
    return widened


@dataclass(frozen=True)
class LinearMethod:
    """A method whose estimate is a weighted sum over noise factors.

    Where whole gates leave fewer than `min_factors` distinct noise factors, a line replaces the
    rule and `fallbacks` says "linear".
    """

    name: str
    rule: WeightRule
    noise_factors: tuple[float, ...] = (1.0,)
    corrects_readout: bool = False
    params: Mapping[str, Any] = field(default_factory=dict)
    version: str = "v1"
    min_factors: int = 1
    calibration_share: float = 0.0

    @property
    def shot_multiplier(self) -> float:
        """Each noise factor runs with the job's full shots, calibration circuits with a share."""
        return len(self.noise_factors) + self.calibration_share

    def weights(self, noise_factors: Array) -> Array:
        """See `Method.weights`."""
        rule = self.rule if self._determined(noise_factors) else linear_weights
        return rule(noise_factors)

    def estimate(
        self,
        noise_factors: Array,
        values: Array,
        std_errs: Array,
        common_errs: Array | None = None,
    ) -> Estimate:
        """Weighted sum; an unphysical one falls back to the value at the first noise factor."""
        weights = self.weights(noise_factors)
        extrapolated = weights @ values
        errors = np.sqrt(weights**2 @ std_errs**2)
        errors = with_common(errors, weights[:, None], common_errs)
        first = with_common(std_errs[0], no_extrapolation(noise_factors)[:, None], common_errs)
        refused = unphysical(extrapolated, errors)
        if len(noise_factors) == 1:
            refused[:] = False
        plain = "rem" if self.corrects_readout else "none"
        replaced = "" if self._determined(noise_factors) else "linear"
        return Estimate(
            np.where(refused, values[0], extrapolated),
            np.where(refused, first, errors),
            tuple(plain if bad else replaced for bad in refused),
        )

    def _determined(self, noise_factors: Array) -> bool:
        return len(np.unique(noise_factors)) >= self.min_factors


LINEAR_FACTORS = (1.0, 2.0, 3.0)
RICHARDSON_FACTORS = (1.0, 3.0, 5.0)
"""Wider spacing costs Richardson 2.3 instead of 4.4 standard errors (Lagrange weights)."""


def _zne(name: str, rule: WeightRule, factors: tuple[float, ...], rem: bool) -> LinearMethod:
    extrapolation = "linear" if rule is linear_weights else "richardson"
    params: dict[str, Any] = {"extrapolation": extrapolation, "noise_factors": list(factors)}
    if rem:
        params["confusion"] = "calibration"
    needed = len(factors) if rule is richardson_weights else 1
    return LinearMethod(name, rule, factors, rem, params, min_factors=needed)


METHODS: Mapping[str, Method] = {
    method.name: method
    for method in (
        LinearMethod("none", no_extrapolation),
        LinearMethod(
            "rem", no_extrapolation, corrects_readout=True, params={"confusion": "calibration"}
        ),
        _zne("zne", linear_weights, LINEAR_FACTORS, rem=False),
        _zne("richardson", richardson_weights, RICHARDSON_FACTORS, rem=False),
        _zne("rem+zne", linear_weights, LINEAR_FACTORS, rem=True),
    )
}
"""What the scheduler chooses among; `mitigation.entry_points` makes these and their variants."""


def find_method(name: str) -> Method:
    """A method by its name, or `BadInputError`."""
    try:
        return METHODS[name]
    except KeyError:
        raise BadInputError(
            f"unknown error-mitigation method {name!r}", hint=f"use one of: {', '.join(METHODS)}"
        ) from None
