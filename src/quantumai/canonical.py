"""Canonical JSON (RFC 8785): the one byte form of everything that is hashed or signed."""

from __future__ import annotations

import hashlib
from typing import Any

from quantumai.errors import BadInputError


def canonical_json(value: Any) -> bytes:
    """Encode plain JSON data as RFC 8785 bytes.

    Raises `BadInputError` for NaN, infinities, integers beyond 2^53, non-JSON types, text that is
    no Unicode, and what is nested too deep.
    """
    import rfc8785

    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, RecursionError) as error:
        raise BadInputError(f"not canonical JSON: {error}") from None


def sha256_hex(data: bytes) -> str:
    """SHA-256 (FIPS 180-4) of `data`, lower-case hex."""
    return hashlib.sha256(data).hexdigest()


def parse_canonical_json(data: bytes) -> Any:
    """Decode JSON bytes, refusing any that are not already in RFC 8785 form.

    Re-encoding refuses duplicate keys, trailing data, NaN and alternative spellings in one step.
    """
    import json

    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"not JSON: {error}") from None
    if canonical_json(value) != data:
        raise BadInputError("JSON is not in canonical form (RFC 8785)")
    return value
