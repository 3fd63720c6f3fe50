"""Data of others, such as a vendor's result, as plain JSON that a payload can hold."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from typing import Any

from quantumai.errors import BadInputError

_DEEPEST = 64
_LARGEST_INTEGER = 2**53 - 1  # RFC 8785, appendix D: beyond it a double would round
_FIRST_WITH_EXPONENT = 1e21  # ECMA-262, Number::toString: smaller ones are written as integers


def plain_json(value: Any, name: str = "value") -> Any:
    """`value` in dicts, lists, strings, numbers, booleans and None, as RFC 8785 payloads hold them.

    Integers beyond 2^53 - 1 become decimal strings, also those that stand in a float. Strings and
    keys come out in Unicode normal form C. Tuples become lists, NumPy scalars Python's own numbers.
    Doing it twice changes nothing more. Raises `BadInputError`, with the place in `value` (which
    the error calls `name`), for NaN and infinities, for what is no JSON, for keys that are no
    strings or become equal, and for more than 64 levels.
    """
    return _plain(value, name, 0)


def _plain(value: Any, place: str, depth: int) -> Any:
    value = _without_numpy(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value, place)
    if isinstance(value, int):
        return _integer(int(value), place)
    if isinstance(value, float):
        return _float(float(value), place)
    if not isinstance(value, Mapping | list | tuple):
        raise _refused(
            place,
            f"is of type {type(value).__name__}, which JSON has not",
            "give numbers, strings, lists and dicts; .tolist() turns an array into a list",
        )
    if depth == _DEEPEST:
        raise _refused(place, f"is deeper than {_DEEPEST} levels")
    if isinstance(value, Mapping):
        return _members(value, place, depth + 1)
    return [_plain(item, f"{place}[{at}]", depth + 1) for at, item in enumerate(value)]


def _without_numpy(value: Any) -> Any:
    """A NumPy scalar as Python's own; told by its type's module, so NumPy is not imported."""
    if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0:
        return value.item()
    return value


def _members(value: Mapping[Any, Any], place: str, depth: int) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for key, member in value.items():
        if not isinstance(key, str):
            raise _refused(place, f"has a key that is no string: {key!r:.80}")
        name = _text(key, f"a key of {place}")
        if name in members:
            raise _refused(place, f"has two keys that are {name!r:.80} in normal form C")
        members[name] = _plain(member, f"{place}[{name[:40]!r}]", depth)
    return members


def _text(text: str, place: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _refused(place, "holds a lone surrogate, which is no text") from None
    return unicodedata.normalize("NFC", str.__str__(text))


def _integer(number: int, place: str) -> int | str:
    if abs(number) <= _LARGEST_INTEGER:
        return number
    try:
        return str(number)
    except ValueError:  # Python's limit for turning an integer into digits
        raise _refused(place, "is an integer of too many digits") from None


def _float(number: float, place: str) -> float | str:
    if not math.isfinite(number):
        raise _refused(place, f"is {number}, which JSON has not")
    if number.is_integer() and _LARGEST_INTEGER < abs(number) < _FIRST_WITH_EXPONENT:
        return str(int(number))
    return number


def _refused(place: str, why: str, hint: str = "") -> BadInputError:
    return BadInputError(f"{place[:120]} {why}", hint=hint)
