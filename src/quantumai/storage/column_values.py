"""Values between the port's plain form and the form bound in SQL, one rule for all databases.

PostgreSQL and SQLite differ in what they let through (NUL bytes, big integers, any text in a
timestamp column), so the strictest rule is checked here, before either sees a value.
"""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from quantumai.canonical import canonical_json
from quantumai.errors import BadInputError, StorageError
from quantumai.storage.schema import Kind

# What is read of these kinds is the port's value already.
UNCHANGED_KINDS = frozenset({Kind.TEXT, Kind.UUID, Kind.INTEGER, Kind.BIGINT})
_RANGES = {Kind.INTEGER: 2**31, Kind.BIGINT: 2**63}
# An odd number of backslashes before u0000: the escaped NUL, which JSONB refuses.
_ESCAPED_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def to_column(kind: Kind, value: Any) -> Any:
    """The value to bind (None, str, int, float or Decimal), or `BadInputError` with the reason."""
    if value is None:
        return None
    match kind:
        case Kind.TEXT:
            return _text(value)
        case Kind.UUID:
            return _uuid(value)
        case Kind.TIMESTAMP:
            return _timestamp(value)
        case Kind.INTEGER | Kind.BIGINT:
            if isinstance(value, bool) or not isinstance(value, int):
                raise BadInputError(f"not an integer: {value!r}")
            if not -_RANGES[kind] <= value < _RANGES[kind]:
                raise BadInputError(f"integer out of range: {value}")
            return value
        case Kind.FLOAT:
            return _float(value)
        case Kind.NUMERIC:
            # Not as a double: PostgreSQL's cast of one keeps only 15 digits.
            return Decimal(repr(_float(value)))
        case Kind.JSON:
            return _json(value)


def from_column(kind: Kind, value: Any) -> Any:
    """The port's value of what was read; `StorageError` if it cannot have been written by us."""
    if value is None:
        return None
    try:
        match kind:
            case Kind.TIMESTAMP:
                return datetime.fromisoformat(value).isoformat() + "Z"
            case Kind.FLOAT | Kind.NUMERIC:
                return float(value)
            case Kind.JSON:
                return json.loads(value, parse_int=_whole_number)
            case _:
                return value
    except (ValueError, TypeError, RecursionError):
        raise StorageError(f"the database holds a damaged {kind} value") from None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise BadInputError(f"not text: {value!r}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadInputError(f"text is not Unicode: {value!r}") from None
    if "\0" in value:
        raise BadInputError(f"text holds a NUL character: {value!r}")
    return value


def _uuid(value: Any) -> str:
    try:
        return str(UUID(_text(value)))
    except ValueError:
        raise BadInputError(f"not a UUID: {value!r}") from None


def _timestamp(value: Any) -> str:
    try:
        moment = datetime.fromisoformat(_text(value))
        if moment.tzinfo is None:
            raise BadInputError(f"timestamp without a time zone: {value!r}")
        # Stored with a fixed width and without zone, so that text order is time order.
        return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
    except (ValueError, OverflowError):
        raise BadInputError(f"not an ISO 8601 timestamp: {value!r}") from None


def _float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadInputError(f"not a number: {value!r}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise BadInputError(f"not a finite number: {value!r}")
    return number


def _json(value: Any) -> str:
    data = canonical_json(value)
    if _ESCAPED_NUL.search(data):
        raise BadInputError("JSON text holds a NUL character")
    return data.decode()


def _whole_number(digits: str) -> int | float:
    """JSONB writes 1e22 as 23 digits; from 2^53 on a JSON number is a double (RFC 8785)."""
    number = int(digits)
    return number if abs(number) < 2**53 else float(number)
