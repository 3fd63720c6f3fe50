"""The error-mitigation methods of this release behind one small interface."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from quantumai.errors import BadInputError
from quantumai.mitigation.extrapolation import (
    WeightRule,
    linear_weights,
    no_extrapolation,
    richardson_weights,
)
from quantumai.mitigation.readout import Array

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

    def weights(self, noise_factors: Array) -> Array:
        """Linear weights (K,) with which the values at `noise_factors` (K,) enter the estimate."""
        ...

    def estimate(self, noise_factors: Array, values: Array, std_errs: Array) -> Estimate:
        """Mitigate values of shape (K, observables)."""
        ...


@dataclass(frozen=True)
class LinearMethod:
    """A method whose estimate is a weighted sum over noise factors."""

    name: str
    rule: WeightRule
    noise_factors: tuple[float, ...] = (1.0,)
    corrects_readout: bool = False
    params: Mapping[str, Any] = field(default_factory=dict)
    version: str = "v1"

    @property
    def shot_multiplier(self) -> float:
        """Each noise factor runs with the job's full shots."""
        return float(len(self.noise_factors))

    def weights(self, noise_factors: Array) -> Array:
        """See `Method.weights`."""
        return self.rule(noise_factors)

    def estimate(self, noise_factors: Array, values: Array, std_errs: Array) -> Estimate:
        """Weighted sum; an unphysical one falls back to the value at the first noise factor."""
        weights = self.weights(noise_factors)
        extrapolated = weights @ values
        errors = np.sqrt(weights**2 @ std_errs**2)
        refused = np.abs(extrapolated) > 1 + UNPHYSICAL_SIGMAS * errors
        if len(noise_factors) == 1:
            refused[:] = False
        plain = "rem" if self.corrects_readout else "none"
        return Estimate(
            np.where(refused, values[0], extrapolated),
            np.where(refused, std_errs[0], errors),
            tuple(plain if bad else "" for bad in refused),
        )


def _zne(name: str, rule: WeightRule, factors: tuple[float, ...], rem: bool) -> LinearMethod:
    extrapolation = "linear" if rule is linear_weights else "richardson"
    params: dict[str, Any] = {"extrapolation": extrapolation, "noise_factors": list(factors)}
    if rem:
        params["confusion"] = "calibration"
    return LinearMethod(name, rule, factors, rem, params)


METHODS: Mapping[str, Method] = {
    method.name: method
    for method in (
        LinearMethod("none", no_extrapolation),
        LinearMethod(
            "rem", no_extrapolation, corrects_readout=True, params={"confusion": "calibration"}
        ),
        _zne("zne", linear_weights, (1.0, 2.0, 3.0), rem=False),
        # wider spacing costs Richardson 2.3 instead of 4.4 standard errors (Lagrange weights)
        _zne("richardson", richardson_weights, (1.0, 3.0, 5.0), rem=False),
        _zne("rem+zne", linear_weights, (1.0, 2.0, 3.0), rem=True),
    )
}


def find_method(name: str) -> Method:
    """A method by its name, or `BadInputError`."""
    try:
        return METHODS[name]
    except KeyError:
        raise BadInputError(
            f"unknown error-mitigation method {name!r}", hint=f"use one of: {', '.join(METHODS)}"
        ) from None
