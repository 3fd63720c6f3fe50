"""JSON as people write it, read strictly: one meaning for every text, or none."""

from __future__ import annotations

import json
import math
from typing import Any

from quantumai.errors import BadInputError


def parse_strict_json(data: bytes, what: str) -> Any:
    """Read JSON with any white space, as plain data.

    Raises `BadInputError`, naming `what`, for repeated members, NaN and infinities (1e999 is one),
    trailing data, a byte order mark, and what is not UTF-8.
    """
    try:
        return json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_unique_members,
            parse_constant=_refuse_constant,
            parse_float=_finite,
        )
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{what} is not JSON: {error}") from None


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands twice")
    return members


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:40]} is too large a number")
    return number
