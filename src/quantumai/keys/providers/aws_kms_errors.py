"""What went wrong with AWS KMS, in our own words.

What AWS says in an error may hold a session token (the canonical request of a wrong signature
does), so only its code is passed on.
"""

from __future__ import annotations

import re
from typing import Any

from quantumai.errors import KeyUnavailableError, NotFoundError, QuantumAIError, TokenBusyError

# Faults that pass: throttling, and what AWS calls an internal error that can be tried again.
_BUSY = frozenset(
    {
        "ThrottlingException",
        "Throttling",
        "RequestLimitExceeded",
        "TooManyRequestsException",
        "KMSInternalException",
        "DependencyTimeoutException",
        "KeyUnavailableException",
        "ServiceUnavailableException",
    }
)
_HINTS = {
    "AccessDeniedException": "the caller's role or the key policy lacks the permission for it",
    "LimitExceededException": "the account's quota of KMS keys or aliases is used up",
}


class AwsKmsError(KeyUnavailableError):
    """AWS KMS answered with an error that the caller may understand by its `aws_code`."""

    def __init__(self, operation: str, aws_code: str) -> None:
        super().__init__(f"AWS KMS refuses {operation}: {aws_code}", hint=_HINTS.get(aws_code, ""))
        self.aws_code = aws_code


class AwsKmsSilentError(TokenBusyError):
    """There was no answer: no connection, or none in time."""


def of_answer(operation: str, response: dict[str, Any]) -> QuantumAIError:
    """What AWS refused, of which only its code is passed on."""
    code = str(response.get("Error", {}).get("Code", "unknown"))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if not re.fullmatch(r"[A-Za-z0-9.]{1,80}", code):
        code = "unknown"
    if code in _BUSY or status == 429 or status >= 500:
        return TokenBusyError(f"AWS KMS is busy: {operation} answered {code}")
    if code == "NotFoundException":
        return NotFoundError("AWS KMS has no such key")
    return AwsKmsError(operation, code)


def of_failure(operation: str, error: Exception) -> QuantumAIError:
    """What never got an answer: no network, no time, no credentials, no region."""
    from botocore.exceptions import ConnectionError as BotoConnectionError
    from botocore.exceptions import HTTPClientError, SSLError

    kind = type(error).__name__
    if isinstance(error, SSLError):
        hint = "look at the endpoint and its certificate"
        return KeyUnavailableError(f"AWS KMS cannot be called: {kind}", hint=hint)
    if isinstance(error, (BotoConnectionError, HTTPClientError)):
        return AwsKmsSilentError(f"AWS KMS does not answer: {operation}, {kind}")
    return KeyUnavailableError(
        f"AWS KMS cannot be called: {kind}",
        hint="set credentials and a region as for the aws command line",
    )
