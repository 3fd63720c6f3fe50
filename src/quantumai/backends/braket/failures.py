"""What an exception of boto3 or the Braket SDK amounts to: ask again, or not."""

from __future__ import annotations

from typing import Any

from quantumai.backends.credentials import Scrubber
from quantumai.errors import QuantumAIError, VendorError, VendorUnavailableError

_TRY_AGAIN = {
    "DeviceOfflineException",
    "InternalServiceException",
    "RequestTimeout",
    "ServiceQuotaExceededException",
    "ServiceUnavailable",
    "SlowDown",
    "ThrottlingException",
}
_CREDENTIALS = {
    "AccessDenied",
    "AccessDeniedException",
    "ExpiredTokenException",
    "InvalidSignatureException",
    "UnrecognizedClientException",
}
_NOT_REACHED = {"ConnectionError", "HTTPClientError"}
_NO_CREDENTIALS = {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"}


def error_code(error: BaseException) -> str:
    """AWS's code of a refused call, "" for other failures."""
    response: Any = getattr(error, "response", None)
    told = response.get("Error", {}) if isinstance(response, dict) else {}
    return str(told.get("Code", ""))


def translated(error: BaseException, scrubber: Scrubber) -> QuantumAIError:
    """Our error for one of AWS's."""
    code, told = error_code(error), scrubber.scrub(error)
    names = {base.__name__ for base in type(error).__mro__}
    if code in _CREDENTIALS or names & _NO_CREDENTIALS:
        return VendorError(
            f"AWS refuses the credentials: {told}", hint="check the AWS credentials and the region"
        )
    if code in _TRY_AGAIN or names & _NOT_REACHED:
        return VendorUnavailableError(f"Braket does not answer as it should: {told}")
    return VendorError(f"Braket failed ({code or type(error).__name__}): {told}")
