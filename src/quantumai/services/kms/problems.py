"""Errors as RFC 9457 problem details, and back: what the service says, the client raises.

`type` is `urn:quantumai:problem:` and the code of the error tree. An approval that is needed is 403
and not 202: nothing was done to the key, and a client that looks at the status alone must not take
a noted destruction for a done one; the type tells it from a refusal for good.
"""

from __future__ import annotations

import math

import msgspec

from quantumai.errors import (
    ApprovalNeededError,
    BadInputError,
    ConflictError,
    DeniedError,
    EvidenceError,
    InsecureRefusedError,
    KeyUnavailableError,
    NotFoundError,
    QuantumAIError,
    RateLimitedError,
    StorageError,
    TokenBusyError,
)

MEDIA_TYPE = "application/problem+json"
_PREFIX = "urn:quantumai:problem:"
_MAX_SHOWN = 300


class UnauthenticatedError(DeniedError):
    """The request carries no token that is known here."""

    code = "unauthenticated"


class NoSuchMethodError(BadInputError):
    """The path exists, but not for this HTTP method."""

    code = "method-not-allowed"


class TooLargeError(BadInputError):
    """The request body is larger than the service reads."""

    code = "too-large"


class TooSlowError(BadInputError):
    """The request body did not arrive in time."""

    code = "body-timeout"


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """RFC 9457, section 3, with our members; a client ignores those that it does not know.

    `retry_after_s` is exact where the header Retry-After has whole seconds.
    """

    type: str
    title: str
    status: int
    detail: str
    hint: str = ""
    retryable: bool = False
    request_id: str = ""
    retry_after_s: float | None = None

    @property
    def headers(self) -> dict[str, str]:
        """The HTTP headers that go with it."""
        named = {}
        if self.retry_after_s is not None:
            named["Retry-After"] = str(max(1, math.ceil(self.retry_after_s)))
        if self.status == 401:
            named["WWW-Authenticate"] = 'Bearer realm="quantumai-kms"'
        return named


# The first that fits counts, so a subclass stands before its base.
_TABLE: tuple[tuple[type[QuantumAIError], int, str], ...] = (
    (UnauthenticatedError, 401, "Authentication needed"),
    (NoSuchMethodError, 405, "Method not allowed"),
    (TooSlowError, 408, "Request body too slow"),
    (TooLargeError, 413, "Request body too large"),
    (NotFoundError, 404, "Not found"),
    (BadInputError, 400, "Bad input"),
    (ApprovalNeededError, 403, "A second principal is needed"),
    (DeniedError, 403, "Denied"),
    (ConflictError, 409, "Conflict"),
    (RateLimitedError, 429, "Rate limited"),
    (TokenBusyError, 503, "Token busy"),
    (KeyUnavailableError, 502, "The token answered with an error"),
    (StorageError, 503, "Storage failed"),
    (InsecureRefusedError, 500, "Refused in production"),
    (EvidenceError, 500, "Stored evidence does not hold"),
    (QuantumAIError, 500, "Internal error"),
)
_BY_CODE = {kind.code: kind for kind, _, _ in _TABLE}


def problem_of(error: QuantumAIError, request_id: str = "") -> Problem:
    """The problem that says what `error` says."""
    status, title = next((s, t) for kind, s, t in _TABLE if isinstance(error, kind))
    wait_s = getattr(error, "retry_after_s", None)
    if wait_s is None and isinstance(error, StorageError):
        wait_s = 1.0
    return Problem(
        type=_PREFIX + error.code,
        title=title,
        status=status,
        detail=str(error),
        hint=error.hint,
        retryable=error.retryable,
        request_id=request_id,
        retry_after_s=wait_s,
    )


def internal_problem(request_id: str) -> Problem:
    """The problem for an error that nobody foresaw: it says nothing of what happened inside."""
    error = QuantumAIError("internal error", hint="report it with the request id")
    return problem_of(error, request_id)


def error_of(status: int, body: bytes) -> QuantumAIError:
    """The error that a client raises for an answer of `status` (400 and above)."""
    try:
        problem = msgspec.json.decode(body, type=Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        # Not ours: a proxy in between, or another service.
        message = f"the key service answered {status} without saying why"
        return TokenBusyError(message) if status >= 500 else BadInputError(message)
    return _raised(problem)


def _raised(problem: Problem) -> QuantumAIError:
    kind = _BY_CODE.get(problem.type.removeprefix(_PREFIX), QuantumAIError)
    detail, hint = problem.detail[:_MAX_SHOWN], problem.hint[:_MAX_SHOWN]
    if issubclass(kind, TokenBusyError | RateLimitedError):
        return kind(detail, retry_after_s=problem.retry_after_s or 1.0, hint=hint)
    return kind(detail, hint=hint)
