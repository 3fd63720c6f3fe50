"""Calls to AWS KMS, bounded in time.

Credentials come from boto3's usual chain (environment, profile, role) and are never asked for or
kept here. botocore writes requests and answers to its log at level DEBUG, shared secrets and
authorisation headers included: its loggers are held at INFO.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from quantumai.errors import BadInputError, KeyUnavailableError, TokenBusyError
from quantumai.keys.providers.aws_kms_errors import AwsKmsSilentError, of_answer, of_failure
from quantumai.keys.providers.circuit_breaker import CircuitBreaker
from quantumai.storage.boto_client import make_boto_client

# Below the ten seconds that the KMS over HTTP gives a call, with room for what it does beside.
MOST_WAIT_S = 9.0
_MOST_PAUSE_S = 0.5
_PREFIX = re.compile(r"(?!aws(/|$))[A-Za-z0-9_-]{1,64}(/[A-Za-z0-9_-]{1,64})?")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_AWS_HOST = re.compile(
    r"([a-z0-9-]+\.)?kms(-fips)?\.[a-z0-9-]+(\.vpce)?\.(amazonaws\.com(\.cn)?|api\.aws)"
)


@dataclass(frozen=True)
class AwsKmsSettings:
    """Where the keys are. `prefix` begins the aliases of one home; two homes must differ in it.

    Without `region` the usual chain has to name one. `endpoint_url` is for VPC endpoints and for
    emulations; it is https, or http on loopback. A call is tried `attempts` times in all.
    """

    prefix: str = "quantumai"
    region: str = ""
    endpoint_url: str = ""
    connect_timeout_s: float = 1.5
    read_timeout_s: float = 2.5
    attempts: int = 2

    @property
    def attempt_s(self) -> float:
        """The longest that one attempt waits for an endpoint with one address."""
        return self.connect_timeout_s + self.read_timeout_s

    @property
    def longest_s(self) -> float:
        """The longest that a call waits for an AWS that is silent, pauses included."""
        return self.attempts * self.attempt_s + (self.attempts - 1) * _MOST_PAUSE_S

    def __post_init__(self) -> None:
        if not _PREFIX.fullmatch(self.prefix):
            raise BadInputError(
                f"not a prefix for AWS KMS aliases: {self.prefix[:80]!r}",
                hint="use letters, digits, '_' and '-', not 'aws'",
            )
        url = urlsplit(self.endpoint_url)
        if self.endpoint_url and url.scheme != "https" and url.hostname not in _LOOPBACK:
            raise BadInputError("the endpoint of AWS KMS must be an https address")
        if self.attempts < 1 or not self.longest_s < MOST_WAIT_S:
            raise BadInputError(
                f"a call to AWS KMS has at least one attempt and ends within {MOST_WAIT_S:g} s",
                hint="lower the timeouts or the attempts",
            )


def _jitter_s() -> float:
    return secrets.randbelow(1001) / 1000 * _MOST_PAUSE_S


class AwsKmsClient:
    """One boto3 client, made at the first call; safe for several threads.

    After three calls in a row without an answer the next ones are refused at once for a while
    (`CircuitBreaker`). `monotonic_s` never goes back; `pause_s` is the wait before a second try.
    """

    def __init__(
        self,
        settings: AwsKmsSettings,
        monotonic_s: Callable[[], float] = time.monotonic,
        pause_s: Callable[[], float] = _jitter_s,
    ) -> None:
        self._settings = settings
        self._monotonic_s = monotonic_s
        self._pause_s = pause_s
        self._breaker = CircuitBreaker(monotonic_s, (AwsKmsSilentError,), subject="AWS KMS")
        self._client: Any = None
        self._lock = threading.Lock()

    def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Call one operation by its boto3 name.

        Raises `TokenBusyError` when there is no answer in time or AWS says to try again,
        `NotFoundError`, and else `AwsKmsError`, or `KeyUnavailableError` without credentials.
        """
        with self._breaker.guard():
            began = self._monotonic_s()
            for attempt in range(1, self._settings.attempts):
                try:
                    return self._ask(operation, parameters)
                except TokenBusyError:
                    # An endpoint with several addresses takes the time to connect for each.
                    if self._monotonic_s() - began > attempt * self._settings.attempt_s:
                        raise
                time.sleep(self._pause_s())
            return self._ask(operation, parameters)

    def _ask(self, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        client = self._open()
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer: dict[str, Any] = getattr(client, operation)(**parameters)
        except ClientError as error:
            raise of_answer(operation, error.response) from None
        except BotoCoreError as error:
            raise of_failure(operation, error) from None
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
        from botocore.exceptions import BotoCoreError

        return make_boto_client(
            "kms",
            region=settings.region,
            endpoint_url=settings.endpoint_url,
            connect_timeout_s=settings.connect_timeout_s,
            read_timeout_s=settings.read_timeout_s,
        )
    except ImportError:
        raise KeyUnavailableError(
            "keys in AWS KMS need boto3", hint="pip install 'quantumai[aws]'"
        ) from None
    except (BotoCoreError, ValueError) as error:
        raise of_failure("a client", error) from None
