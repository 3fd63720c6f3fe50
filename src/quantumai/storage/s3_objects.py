"""Object store in a bucket of S3, or of a store that keeps S3's promises.

What is promised: what S3 promises. A write is durable and whole when it returns, a create-only
write (`If-None-Match: *`) succeeds for exactly one caller, reading and listing see every write
that has returned. Evidence is under Object Lock in compliance mode from the very write on: until
its day nobody, the account's owner included, deletes that version or shortens its time.

Each create carries a token of its own in the object's metadata. An answer that was lost is found
out by it: the object that stands there is this call's, or somebody else's.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from typing import Any, TypeVar

from quantumai.errors import ConflictError, NotFoundError, StorageError
from quantumai.storage.objects import check_key
from quantumai.storage.retention import is_retained
from quantumai.storage.s3_client import S3Client, S3RefusedError, S3Settings, S3SilentError

_TOKEN = "create-token"
_MOST_PAUSE_S = 0.5
_BUCKET_SEEN_FOR_S = 5.0
_ONE_DAY = timedelta(days=1)
_T = TypeVar("_T")


def _jitter_s() -> float:
    return secrets.randbelow(1001) / 1000 * _MOST_PAUSE_S


class S3Objects:
    """`ObjectStore` in a bucket, under the prefix of one home; `clock` returns aware UTC times.

    `pause_s` is the wait before something is tried again.
    """

    def __init__(
        self,
        settings: S3Settings,
        clock: Callable[[], datetime],
        pause_s: Callable[[], float] = _jitter_s,
    ) -> None:
        self._settings = settings
        self._client = S3Client(settings)
        self._clock = clock
        self._pause_s = pause_s
        self._prefix = f"{settings.prefix}/" if settings.prefix else ""
        self._bucket_seen_s = float("-inf")
        self._renewed: dict[str, datetime] = {}  # until when, of what this process renewed
        self._lock = threading.Lock()

    def put_once(self, key: str, data: bytes) -> None:
        """See `ObjectStore.put_once`."""
        if self.create(key, data):
            return
        if self.get(key) != data:
            raise ConflictError(
                f"object {key} already exists with other content",
                hint="stored evidence is never overwritten; use a new name",
            )
        self.retain(key)

    def create(self, key: str, data: bytes) -> bool:
        """See `ObjectStore.create`."""
        token = secrets.token_hex(16)
        request = self._put(key, data) | {"IfNoneMatch": "*", "Metadata": {_TOKEN: token}}
        unsure = False  # whether an earlier attempt may have been carried out
        failure: StorageError | None = None
        for attempt in range(self._settings.attempts):
            if attempt:
                time.sleep(self._pause_s())
            try:
                self._client.ask("put_object", **request)
            except S3SilentError as error:
                unsure, failure = True, error
            except S3RefusedError as error:
                if error.s3_code == "PreconditionFailed":
                    return unsure and self._has_token(key, token)
                if not error.passes:
                    raise _about(key, error) from None
                failure = error
            else:
                return True
        assert failure is not None  # there is at least one attempt
        if unsure and self._has_token_at_last(key, token):
            return True
        raise _about(key, failure) from None

    def get(self, key: str) -> bytes:
        """See `ObjectStore.get`."""
        name = self._name(key)
        data: bytes = self._again(key, lambda: self._client.ask("get_object", Key=name)["Body"])
        return data

    def exists(self, key: str) -> bool:
        """See `ObjectStore.exists`."""
        try:
            self._head(key)
        except NotFoundError:
            # The answer has no body: it may be the bucket that is not there.
            self._require_bucket(key)
            return False
        return True

    def keys(self, prefix: str) -> Iterator[str]:
        """See `ObjectStore.keys`."""
        if folder := prefix.rpartition("/")[0]:
            check_key(folder)
        found: list[str] = []
        more: dict[str, str] | None = {}
        while more is not None:
            page = self._again(prefix, partial(self._list, prefix, more))
            found += [entry["Key"].removeprefix(self._prefix) for entry in page.get("Contents", ())]
            following: str = page.get("NextContinuationToken", "")
            more = {"ContinuationToken": following} if page.get("IsTruncated") else None
        # Not every store lists by code point.
        yield from sorted(found)

    def replace(self, key: str, data: bytes) -> None:
        """See `ObjectStore.replace`."""
        request = self._put(key, data)
        self._again(key, lambda: self._client.ask("put_object", **request))

    def retain(self, key: str) -> None:
        """See `ObjectStore.retain`."""
        name, until = self._name(key), self._until()
        if until is None or not is_retained(key):
            return
        with self._lock:
            renewed = self._renewed.get(key)
        if renewed is not None and until - renewed < _ONE_DAY:
            return
        lock = {"Mode": "COMPLIANCE", "RetainUntilDate": until}
        self._again(key, lambda: self._client.ask("put_object_retention", Key=name, Retention=lock))
        with self._lock:
            self._renewed[key] = until

    def locate(self, key: str) -> str:
        """See `ObjectStore.locate`."""
        return f"s3://{self._settings.bucket}/{self._name(key)}"

    def _name(self, key: str) -> str:
        return self._prefix + check_key(key)

    def _put(self, key: str, data: bytes) -> dict[str, Any]:
        # S3 compares the checksum before it stores anything; Object Lock wants one.
        request: dict[str, Any] = {
            "Key": self._name(key),
            "Body": data,
            "ChecksumAlgorithm": "SHA256",
        }
        until = self._until()
        if until is not None and is_retained(key):
            request |= {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": until}
        return request

    def _until(self) -> datetime | None:
        days = self._settings.retention_days
        return self._clock() + timedelta(days=days) if days else None

    def _head(self, key: str) -> dict[str, Any]:
        name = self._name(key)
        return self._again(key, lambda: self._client.ask("head_object", Key=name))

    def _list(self, prefix: str, more: dict[str, str]) -> dict[str, Any]:
        return self._client.ask("list_objects_v2", Prefix=self._prefix + prefix, **more)

    def _has_token(self, key: str, token: str) -> bool:
        """Whether the object that stands there is the one created with `token`."""
        try:
            return bool(self._head(key).get("Metadata", {}).get(_TOKEN) == token)
        except NotFoundError:
            return False

    def _has_token_at_last(self, key: str, token: str) -> bool:
        """The same when everything else has failed: what cannot be seen is not claimed."""
        try:
            return self._has_token(key, token)
        except StorageError:
            return False

    def _require_bucket(self, key: str) -> None:
        """Raise `StorageError` unless the bucket is there; asked once in a few seconds."""
        now_s = time.monotonic()
        if now_s - self._bucket_seen_s > _BUCKET_SEEN_FOR_S:
            self._again(key, lambda: self._client.ask("head_bucket"))
            self._bucket_seen_s = now_s

    def _again(self, key: str, call: Callable[[], _T]) -> _T:
        """Result of a call that may be made twice; tried again while that may help."""
        for attempt in count(1):
            try:
                return call()
            except NotFoundError:
                raise NotFoundError(f"no object {key}") from None
            except (S3SilentError, S3RefusedError) as error:
                if attempt >= self._settings.attempts or not error.passes:
                    raise _about(key, error) from None
            time.sleep(self._pause_s())
        raise AssertionError  # the loop only ends by returning or raising


def _about(key: str, error: StorageError) -> StorageError:
    """The error, with the object that it was about."""
    return StorageError(f"object {key or 'store'}: {error}", hint=error.hint)
