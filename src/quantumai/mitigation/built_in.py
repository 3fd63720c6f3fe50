"""Our own methods from a name's parameters: each function here is an entry point.

Parameters are plain JSON data, checked strictly; `Method.params` records them resolved, and making
a method from what it recorded gives that method again.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from math import isfinite
from typing import Any, Literal, TypeVar

import msgspec

from quantumai.circuits.qasm_tokens import one_line
from quantumai.errors import BadInputError
from quantumai.mitigation.exponential import ExponentialMethod
from quantumai.mitigation.extrapolation import (
    PolynomialWeights,
    linear_weights,
    no_extrapolation,
    richardson_weights,
)
from quantumai.mitigation.methods import (
    LINEAR_FACTORS,
    RICHARDSON_FACTORS,
    LinearMethod,
    Method,
)

POLYNOMIAL_FACTORS = (1.0, 2.0, 3.0, 4.0)
POLYNOMIAL_DEGREE = 2
MAX_NOISE_FACTOR = 99.0
MAX_NOISE_FACTORS = 12
CALIBRATION_SHARE = 0.25
"""Shots of both calibration circuits together, over the job's.

Where p is a qubit's readout error and y its <Z>, calibrating by a share c of N shots adds about
4 p (1 + y^2) / (c N) to a variance of (1 - y^2) / N. Variance times cost, 1 + c, is then least at
c = 0.20 to 0.26 for p = 0.01 (the catalogue's median where circuits are placed) and y = 0 to 0.5.
"""
MAX_CALIBRATION_SHARE = 10.0

Parameters = Mapping[str, Any]


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of all parameters."""


class NoParameters(_Strict, frozen=True):
    """Method none."""


class RemParameters(_Strict, frozen=True):
    """Where the confusion matrices come from; `calibration_share` goes with circuits only."""

    confusion: Literal["calibration", "circuits"] = "calibration"
    calibration_share: float | None = None


class RichardsonParameters(_Strict, frozen=True):
    """Method richardson; more than 5 factors amplify noise beyond any use."""

    extrapolation: Literal["richardson"] = "richardson"
    noise_factors: tuple[float, ...] = RICHARDSON_FACTORS


class ZneParameters(_Strict, frozen=True):
    """Method zne; `degree` goes with polynomial only."""

    extrapolation: Literal["linear", "polynomial", "exponential"] = "linear"
    degree: int | None = None
    noise_factors: tuple[float, ...] | None = None


class RemZneParameters(ZneParameters, frozen=True):
    """Method rem+zne: both."""

    confusion: Literal["calibration", "circuits"] = "calibration"
    calibration_share: float | None = None


def none(parameters: Parameters) -> Method:
    """The values as they are read."""
    _read("none", parameters, NoParameters)
    return LinearMethod("none", no_extrapolation)


def rem(parameters: Parameters) -> Method:
    """Readout mitigation by inverted confusion matrices, one per qubit."""
    wanted = _read("rem", parameters, RemParameters)
    share = _calibration_share("rem", wanted)
    return LinearMethod(
        "rem",
        no_extrapolation,
        corrects_readout=True,
        params=_confusion_params(share),
        calibration_share=share,
    )


def richardson(parameters: Parameters) -> Method:
    """The polynomial through all noise factors."""
    wanted = _read("richardson", parameters, RichardsonParameters)
    factors = _checked_factors("richardson", wanted.noise_factors)
    params = {"extrapolation": "richardson", "noise_factors": list(factors)}
    return LinearMethod(
        "richardson", richardson_weights, factors, params=params, min_factors=len(factors)
    )


def zne(parameters: Parameters) -> Method:
    """Extrapolation by a line, a least-squares polynomial or an exponential decay."""
    return _zne("zne", _read("zne", parameters, ZneParameters), None)


def rem_zne(parameters: Parameters) -> Method:
    """Extrapolation of values that are corrected for readout."""
    wanted = _read("rem+zne", parameters, RemZneParameters)
    return _zne("rem+zne", wanted, _calibration_share("rem+zne", wanted))


def _zne(name: str, wanted: ZneParameters, share: float | None) -> Method:
    """`share` as `Method.calibration_share`, or None where readout is not corrected."""
    kind, degree = wanted.extrapolation, wanted.degree
    given = wanted.noise_factors
    if given is None:
        given = POLYNOMIAL_FACTORS if kind == "polynomial" else LINEAR_FACTORS
    factors = _checked_factors(name, given)
    params: dict[str, Any] = {"extrapolation": kind, "noise_factors": list(factors)}
    if share is not None:
        params.update(_confusion_params(share))
    common: dict[str, Any] = {
        "corrects_readout": share is not None,
        "calibration_share": share or 0.0,
        "params": params,
    }
    if kind == "polynomial":
        degree = params["degree"] = POLYNOMIAL_DEGREE if degree is None else degree
        if not 1 <= degree < len(factors):
            raise _bad(name, f"degree {degree} does not go with {len(factors)} noise factors")
        rule = PolynomialWeights(degree)
        return LinearMethod(name, rule, factors, min_factors=degree + 1, **common)
    if degree is not None:
        raise _bad(name, f"degree goes with polynomial extrapolation, not with {kind}")
    if kind == "exponential":
        return ExponentialMethod(name, factors, **common)
    return LinearMethod(name, linear_weights, factors, **common)


def _calibration_share(name: str, wanted: RemParameters | RemZneParameters) -> float:
    share = wanted.calibration_share
    if wanted.confusion == "calibration":
        if share is not None:
            raise _bad(name, 'calibration_share goes with confusion "circuits" only')
        return 0.0
    share = CALIBRATION_SHARE if share is None else share
    if not 0 < share <= MAX_CALIBRATION_SHARE:
        raise _bad(name, f"calibration_share must be above 0, at most {MAX_CALIBRATION_SHARE:g}")
    return share


def _confusion_params(share: float) -> dict[str, Any]:
    if share:
        return {"confusion": "circuits", "calibration_share": share}
    return {"confusion": "calibration"}


def _checked_factors(name: str, factors: tuple[float, ...]) -> tuple[float, ...]:
    """Finite and ascending from 1, since the first one is the circuit itself."""
    if not 2 <= len(factors) <= MAX_NOISE_FACTORS:
        raise _bad(name, f"noise_factors must be 2 to {MAX_NOISE_FACTORS} numbers")
    ascending = all(a < b for a, b in pairwise(factors))
    if not all(map(isfinite, factors)) or factors[0] != 1 or not ascending:
        raise _bad(name, "noise_factors must start at 1 and ascend")
    if factors[-1] > MAX_NOISE_FACTOR:
        raise _bad(name, f"noise_factors must not exceed {MAX_NOISE_FACTOR:g}")
    return factors


_Wanted = TypeVar("_Wanted", bound=_Strict)


def _read(name: str, parameters: Parameters, form: type[_Wanted]) -> _Wanted:
    try:
        return msgspec.convert(parameters, form)
    except (msgspec.ValidationError, TypeError, OverflowError) as error:
        raise _bad(name, one_line(str(error))[:160], form) from None


def _bad(name: str, why: str, form: type[_Strict] | None = None) -> BadInputError:
    fields = ", ".join(form.__struct_fields__) if form else ""
    hint = f"{name} takes {fields or 'no parameters'}" if form else ""
    return BadInputError(f"parameters of method {name}: {why}", hint=hint)
