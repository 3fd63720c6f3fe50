"""Calls to one bucket of an S3 store, bounded in time, their errors in our own words.

Credentials come from boto3's usual chain (environment, profile, role) and are never asked for or
kept here. What S3 says in an error may quote the signed request, so only its code is passed on;
botocore writes authorisation headers to its log at level DEBUG, so its loggers are held at INFO.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from quantumai.errors import BadInputError, NotFoundError, StorageError
from quantumai.storage.boto_client import make_boto_client
from quantumai.storage.objects import check_key

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_LONGEST_PREFIX = 100
_MOST_RETENTION_DAYS = 36_500
_NOT_IMPLEMENTED = 501
_CREDENTIALS = "set credentials and a region as for the aws command line"
_HINTS = {
    "NoSuchBucket": "look at `qai objects show`; evidence is never kept elsewhere instead",
    "AccessDenied": "the credentials lack the permission for it",
    "403": "the credentials lack the permission for it",
    "InvalidAccessKeyId": _CREDENTIALS,
    "SignatureDoesNotMatch": _CREDENTIALS,
    "ExpiredToken": _CREDENTIALS,
    "RequestTimeTooSkewed": "set this machine's clock",
}
# Refusals that pass; 409 is a create-only write that met another one on its way.
_PASSING = frozenset(
    {"SlowDown", "RequestTimeout", "ConditionalRequestConflict", "OperationAborted", "Throttling"}
)


@dataclass(frozen=True)
class S3Settings:
    """A bucket, and a prefix in it that belongs to one home.

    Evidence is retained for `retention_days` in compliance mode; with 0 nothing is. Without
    `region` the usual chain names one. `endpoint_url` is for stores other than AWS's own; it is
    https, or http on loopback. What may be tried again is tried `attempts` times in all.
    """

    bucket: str
    prefix: str = ""
    region: str = ""
    endpoint_url: str = ""
    retention_days: int = 0
    connect_timeout_s: float = 3.0
    read_timeout_s: float = 10.0
    attempts: int = 3

    def __post_init__(self) -> None:
        if not _BUCKET.fullmatch(self.bucket) or ".." in self.bucket:
            raise BadInputError(
                f"not the name of a bucket: {self.bucket[:80]!r}",
                hint="use 3 to 63 of a-z, 0-9, '.' and '-'",
            )
        if self.prefix and (len(self.prefix) > _LONGEST_PREFIX or check_key(self.prefix) == ""):
            raise BadInputError(f"the prefix is longer than {_LONGEST_PREFIX} characters")
        _require_endpoint(self.endpoint_url)
        if not 0 <= self.retention_days <= _MOST_RETENTION_DAYS:
            raise BadInputError(f"retention is from 0 to {_MOST_RETENTION_DAYS} days")


class S3SilentError(StorageError):
    """There was no answer, or none that tells whether the request was carried out."""

    passes = True


class S3RefusedError(StorageError):
    """S3 has refused a request; `s3_code` is its word for why."""

    def __init__(self, message: str, s3_code: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.s3_code = s3_code

    @property
    def passes(self) -> bool:
        """Whether the same request may be granted a moment later."""
        return self.s3_code in _PASSING


class S3Client:
    """One boto3 client for one bucket, made at the first call; safe for several threads."""

    def __init__(self, settings: S3Settings) -> None:
        self.settings = settings
        self._client: Any = None
        self._lock = threading.Lock()

    def ask(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Call one operation by its boto3 name, once; a body is read to its end.

        Raises `NotFoundError` for an object that is not there, `S3SilentError` or
        `S3RefusedError`.
        """
        client = self._open()
        from botocore.exceptions import BotoCoreError, ClientError
        from urllib3.exceptions import HTTPError

        try:
            answer: dict[str, Any] = getattr(client, operation)(
                Bucket=self.settings.bucket, **parameters
            )
            if "Body" in answer:
                answer["Body"] = answer["Body"].read()
        except ClientError as error:
            raise self._of_answer(operation, error.response) from None
        except (BotoCoreError, HTTPError, OSError) as error:
            raise self._of_failure(operation, error) from None
        return answer

    def _of_answer(self, operation: str, response: dict[str, Any]) -> StorageError | NotFoundError:
        code = str(response.get("Error", {}).get("Code", "unknown"))
        status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        if not re.fullmatch(r"[A-Za-z0-9.]{1,80}", code):
            code = "unknown"
        if code == "NoSuchKey" or (code == "404" and operation == "head_object"):
            return NotFoundError("no such object")
        where = f"bucket {self.settings.bucket}"
        if code in ("NoSuchBucket", "404"):
            return S3RefusedError(
                f"there is no {where}", "NoSuchBucket", hint=_HINTS["NoSuchBucket"]
            )
        what = f"{where} refuses {operation}: {code}"
        if code in _PASSING or 400 <= status < 500 or status == _NOT_IMPLEMENTED:
            return S3RefusedError(what, code, hint=_HINTS.get(code, ""))
        return S3SilentError(f"{where} fails: {operation} answered {code}", hint="try again later")

    def _of_failure(self, operation: str, error: Exception) -> StorageError:
        from botocore.exceptions import (
            NoCredentialsError,
            NoRegionError,
            PartialCredentialsError,
            SSLError,
        )

        where, kind = f"bucket {self.settings.bucket}", type(error).__name__
        if isinstance(error, (NoCredentialsError, PartialCredentialsError, NoRegionError)):
            return S3RefusedError(f"{where} cannot be asked: {kind}", kind, hint=_CREDENTIALS)
        if isinstance(error, SSLError):
            hint = "look at the endpoint and its certificate"
            return S3RefusedError(f"{where} cannot be asked: {kind}", kind, hint=hint)
        return S3SilentError(
            f"{where} does not answer: {operation}, {kind}",
            hint="look at the endpoint and the network, then try again",
        )

    def _open(self) -> Any:
        with self._lock:
            if self._client is None:
                self._client = _make_client(self.settings)
            return self._client


def _require_endpoint(endpoint_url: str) -> None:
    url = urlsplit(endpoint_url)
    if url.username or url.password or url.query or url.fragment:
        raise BadInputError(
            "the endpoint has more in it than an address", hint=f"no credentials; {_CREDENTIALS}"
        )
    plain = url.scheme == "http" and url.hostname in _LOOPBACK
    if endpoint_url and not plain and (url.scheme != "https" or not url.hostname):
        raise BadInputError("the endpoint must be an https address")


def _make_client(settings: S3Settings) -> Any:
    try:
        from botocore.exceptions import BotoCoreError

        return make_boto_client(
            "s3",
            region=settings.region,
            endpoint_url=settings.endpoint_url,
            connect_timeout_s=settings.connect_timeout_s,
            read_timeout_s=settings.read_timeout_s,
            s3={"addressing_style": "path" if settings.endpoint_url else "auto"},
        )
    except ImportError:
        raise StorageError(
            "objects in S3 need boto3", hint="pip install 'quantumai[aws]'"
        ) from None
    except (BotoCoreError, ValueError) as error:
        raise StorageError(
            f"bucket {settings.bucket} cannot be asked: {type(error).__name__}", hint=_CREDENTIALS
        ) from None
