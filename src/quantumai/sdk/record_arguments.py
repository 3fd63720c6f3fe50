"""What a recorded run's maker told of it, checked as it is told: text to sign is printable."""

from __future__ import annotations

from typing import Any

from quantumai.errors import BadInputError
from quantumai.jobs.request import MAX_SEED_CHARACTERS
from quantumai.provenance.statements.plain_json import plain_json
from quantumai.sdk.arguments import shown

MOST_SHOTS = 2**53
"""The largest count that every reader of JSON keeps exactly."""
_LONGEST_NAME = 60


def checked_shots(shots: Any) -> int | None:
    """`shots`, or None where they were not told. Raises `BadInputError`."""
    if shots is None or (type(shots) is int and 1 <= shots <= MOST_SHOTS):
        return shots
    raise BadInputError(
        f"shots must be a whole number from 1 to 2^53, not {shown(shots)}",
        hint="leave them out where they differ",
    )


def checked_name(what: str, text: Any, *, empty: bool = False) -> str:
    """`text` in normal form C, on one line; `what` names it. Raises `BadInputError`."""
    plain = plain_json(text, what) if isinstance(text, str) else None
    fits = plain is not None and len(plain) <= _LONGEST_NAME and plain.isprintable()
    if not fits or not (plain or empty):
        raise BadInputError(
            f"{what} must be printable text of at most {_LONGEST_NAME} characters",
            hint="further words go into details",
        )
    return str(plain)


def checked_details(details: Any) -> dict[str, Any]:
    """`details` as plain JSON data by printable name. Raises `BadInputError`."""
    if not isinstance(details, dict) or not all(isinstance(name, str) for name in details):
        raise BadInputError(
            "details are a dict of plain data by name", hint='details={"theta": 0.5}'
        )
    plain: dict[str, Any] = plain_json(details, "details")
    for name in plain:
        checked_name("the name of a detail", name)
    return plain


def checked_seed(seed: Any) -> str:
    """The seed as text, "" where it was not told. Raises `BadInputError`."""
    if seed is None:
        return ""
    # A longer one is no text that Python would write.
    is_number = type(seed) is int and seed.bit_length() < 3 * MAX_SEED_CHARACTERS
    text = str(seed) if is_number else seed
    if not isinstance(text, str) or not 1 <= len(text) <= MAX_SEED_CHARACTERS:
        raise BadInputError(
            f"seed must be a number or text of 1 to {MAX_SEED_CHARACTERS} characters",
            hint="leave it out where nothing was seeded",
        )
    if not text.isprintable():
        raise BadInputError("seed must be printable text")
    return str(plain_json(text, "seed"))
