"""The environment that a process works in, as QAI_ENV names it."""

from __future__ import annotations

from enum import StrEnum

from quantumai.errors import BadInputError


class Environment(StrEnum):
    """Where we run; production refuses every insecure stand-in."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


def parse_environment(text: str) -> Environment:
    """Read the value of QAI_ENV; an empty text means development.

    Raises `BadInputError` for any other spelling: a mistyped "production" that counted as
    development would switch the refusal of insecure keys off without a word.
    """
    if not text:
        return Environment.DEVELOPMENT
    try:
        return Environment(text)
    except ValueError:
        raise BadInputError(
            f"unknown environment {text[:80]!r}",
            hint="set QAI_ENV to development or production, in lower case, or unset it",
        ) from None
