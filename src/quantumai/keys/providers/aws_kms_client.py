"""Calls to AWS KMS: bounded in time, and with errors that carry no secret.

Credentials come from boto3's usual chain (environment, profile, role) and are never asked for or
kept here. What AWS says in an error may hold a session token (the canonical request of a wrong
signature does), so only its code is passed on. botocore writes requests and answers to its log at
level DEBUG, shared secrets and authorisation headers included: its loggers are held at INFO.
"""

from __future__ import annotations

import logging
import re
import threading
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from quantumai.errors import (
    BadInputError,
    KeyUnavailableError,
    NotFoundError,
    QuantumAIError,
    TokenBusyError,
)

_PREFIX = re.compile(r"(?!aws(/|$))[A-Za-z0-9_-]{1,64}(/[A-Za-z0-9_-]{1,64})?")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_AWS_HOST = re.compile(
    r"([a-z0-9-]+\.)?kms(-fips)?\.[a-z0-9-]+(\.vpce)?\.(amazonaws\.com(\.cn)?|api\.aws)"
)
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


@dataclass(frozen=True)
class AwsKmsSettings:
    """Where the keys are. `prefix` begins the aliases of one home; two homes must differ in it.

    Without `region` the usual chain has to name one. `endpoint_url` is for VPC endpoints and for
    emulations; it is https, or http on loopback.
    """

    prefix: str = "quantumai"
    region: str = ""
    endpoint_url: str = ""
    connect_timeout_s: float = 2.0
    read_timeout_s: float = 5.0
    attempts: int = 2

    def __post_init__(self) -> None:
        if not _PREFIX.fullmatch(self.prefix):
            raise BadInputError(
                f"not a prefix for AWS KMS aliases: {self.prefix[:80]!r}",
                hint="use letters, digits, '_' and '-', not 'aws'",
            )
        url = urlsplit(self.endpoint_url)
        if self.endpoint_url and url.scheme != "https" and url.hostname not in _LOOPBACK:
            raise BadInputError("the endpoint of AWS KMS must be an https address")


class AwsKmsError(KeyUnavailableError):
    """AWS KMS answered with an error that the caller may understand by its `aws_code`."""

    def __init__(self, operation: str, aws_code: str) -> None:
        super().__init__(f"AWS KMS refuses {operation}: {aws_code}", hint=_HINTS.get(aws_code, ""))
        self.aws_code = aws_code


class AwsKmsClient:
    """One boto3 client, made at the first call; safe for several threads."""

    def __init__(self, settings: AwsKmsSettings) -> None:
        self._settings = settings
        self._client: Any = None
        self._lock = threading.Lock()

    def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Call one operation by its boto3 name.

        Raises `TokenBusyError` when there is no answer in time or AWS says to try again,
        `NotFoundError`, and else `AwsKmsError`, or `KeyUnavailableError` without credentials.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        client = self._open()
        try:
            answer: dict[str, Any] = getattr(client, operation)(**parameters)
        except ClientError as error:
            raise _of_answer(operation, error.response) from None
        except BotoCoreError as error:
            raise _of_failure(operation, error) from None
        return answer

    def pages(self, operation: str, result: str, **parameters: Any) -> list[dict[str, Any]]:
        """All entries of a listing, over all its pages; `result` names their field."""
        entries: list[dict[str, Any]] = []
        answer = self.call(operation, **parameters)
        entries.extend(answer[result])
        while answer.get("Truncated"):
            answer = self.call(operation, **parameters, Marker=answer["NextMarker"])
            entries.extend(answer[result])
        return entries

    def knows(self, shape: str, value: str) -> bool:
        """Whether the installed boto3 knows `value` in an enumeration of the API."""
        return value in self._open().meta.service_model.shape_for(shape).enum

    def is_aws(self) -> bool:
        """Whether the endpoint is one of AWS's own, as far as its name tells."""
        host = urlsplit(self._open().meta.endpoint_url).hostname or ""
        return _AWS_HOST.fullmatch(host) is not None

    def renew(self) -> None:
        """Forget the client and its connections; credentials are looked up anew."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _open(self) -> Any:
        with self._lock:
            if self._client is None:
                self._client = _make_client(self._settings)
            return self._client


def _make_client(settings: AwsKmsSettings) -> Any:
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError:
        raise KeyUnavailableError(
            "keys in AWS KMS need boto3", hint="pip install 'quantumai[aws]'"
        ) from None
    botocore_log = logging.getLogger("botocore")
    botocore_log.setLevel(max(logging.INFO, botocore_log.level))
    config = Config(
        connect_timeout=settings.connect_timeout_s,
        read_timeout=settings.read_timeout_s,
        retries={"mode": "standard", "total_max_attempts": settings.attempts},
        max_pool_connections=32,
        tcp_keepalive=True,
    )
    try:
        # A session of our own: boto3's default one is shared and not for several threads.
        return boto3.session.Session().client(
            "kms",
            region_name=settings.region or None,
            endpoint_url=settings.endpoint_url or None,
            config=config,
        )
    except (BotoCoreError, ValueError) as error:
        raise _of_failure("a client", error) from None


def _of_answer(operation: str, response: dict[str, Any]) -> QuantumAIError:
    code = str(response.get("Error", {}).get("Code", "unknown"))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if not re.fullmatch(r"[A-Za-z0-9.]{1,80}", code):
        code = "unknown"
    if code in _BUSY or status == 429 or status >= 500:
        return TokenBusyError(f"AWS KMS is busy: {operation} answered {code}")
    if code == "NotFoundException":
        return NotFoundError("AWS KMS has no such key")
    return AwsKmsError(operation, code)


def _of_failure(operation: str, error: Exception) -> QuantumAIError:
    """What never got an answer: no network, no time, no credentials, no region."""
    from botocore.exceptions import ConnectionError as BotoConnectionError
    from botocore.exceptions import HTTPClientError, SSLError

    kind = type(error).__name__
    if isinstance(error, SSLError):
        hint = "look at the endpoint and its certificate"
        return KeyUnavailableError(f"AWS KMS cannot be called: {kind}", hint=hint)
    if isinstance(error, (BotoConnectionError, HTTPClientError)):
        return TokenBusyError(f"AWS KMS does not answer: {operation}, {kind}")
    return KeyUnavailableError(
        f"AWS KMS cannot be called: {kind}",
        hint="set credentials and a region as for the aws command line",
    )
