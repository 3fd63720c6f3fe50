"""Whether a bucket keeps what a home needs of it; asked before the home is made."""

from __future__ import annotations

import secrets

from quantumai.errors import BadInputError, ConflictError, NotFoundError, StorageError
from quantumai.storage.s3_client import S3Client, S3RefusedError, S3Settings


def require_fit(settings: S3Settings) -> None:
    """Raise unless the bucket is there, free under the prefix, and keeps its promises.

    `BadInputError` where Object Lock is off though evidence is to be retained, where the bucket
    retains by itself, or where a create-only write overwrites; `ConflictError` where objects are
    under the prefix already; `StorageError` where it cannot be asked. A probe is written and
    deleted again.
    """
    client = S3Client(settings)
    client.ask("head_bucket")
    prefix = f"{settings.prefix}/" if settings.prefix else ""
    if client.ask("list_objects_v2", Prefix=prefix, MaxKeys=1).get("Contents"):
        raise ConflictError(
            f"there are objects in s3://{settings.bucket}/{prefix} already",
            hint="every home has a --prefix of its own",
        )
    if settings.retention_days:
        _require_object_lock(client)
    _require_create_only(client, f"{prefix}probe-{secrets.token_hex(8)}")


def _require_object_lock(client: S3Client) -> None:
    bucket = client.settings.bucket
    try:
        found = client.ask("get_object_lock_configuration")["ObjectLockConfiguration"]
    except S3RefusedError as error:
        if error.s3_code not in ("ObjectLockConfigurationNotFoundError", "InvalidBucketState"):
            raise
        found = {}
    if found.get("ObjectLockEnabled") != "Enabled":
        raise BadInputError(
            f"bucket {bucket} has no Object Lock",
            hint="make it with Object Lock enabled, or set --retention-days 0 and retain nothing",
        )
    if found.get("Rule"):
        raise BadInputError(
            f"bucket {bucket} retains by default, so caches would be retained too",
            hint="take its default retention away: each object of evidence gets its own",
        )


def _require_create_only(client: S3Client, key: str) -> None:
    versions = [client.ask("put_object", Key=key, Body=b"1", IfNoneMatch="*").get("VersionId")]
    try:
        versions.append(
            client.ask("put_object", Key=key, Body=b"2", IfNoneMatch="*").get("VersionId")
        )
        exact = False
    except S3RefusedError as error:
        exact = error.s3_code == "PreconditionFailed"
        if not exact:
            raise
    finally:
        for version in versions:
            _delete(client, key, version)
    if not exact:
        raise BadInputError(
            f"bucket {client.settings.bucket} overwrites what is to be written once",
            hint="use a store that honours If-None-Match, as S3 does",
        )


def _delete(client: S3Client, key: str, version: str | None) -> None:
    try:
        client.ask("delete_object", Key=key, **({"VersionId": version} if version else {}))
    except (StorageError, NotFoundError):
        return  # a home's credentials need not be able to delete; the probe then stays
