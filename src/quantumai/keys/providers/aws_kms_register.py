"""Which KMS key stands behind a handle: aliases and tags in AWS KMS.

The alias `alias/<prefix>/<name>/<version>` is the handle, since AWS lets only one key have it: of
two makers at once one gets the alias, and the other's key is scheduled for deletion. Each key also
has the tag `quantumai:key` with prefix and handle. A maker who dies between key and alias leaves a
key with that tag and without the alias, an orphan: `orphans` finds it, `discard` ends it.

AWS cannot delete a key at once. `release` schedules the deletion after the shortest waiting period,
seven days. From then on the key cannot be used (state PendingDeletion), but until then an
administrator can cancel the deletion; a key policy can forbid that (kms:CancelKeyDeletion).
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import UTC, datetime

from quantumai.errors import (
    BadInputError,
    ConflictError,
    KeyUnavailableError,
    NotFoundError,
    TokenBusyError,
)
from quantumai.keys.providers.aws_kms_client import AwsKmsClient
from quantumai.keys.providers.aws_kms_errors import AwsKmsError
from quantumai.keys.providers.aws_kms_specs import SPECS
from quantumai.keys.providers.port import check_handle

TAG = "quantumai:key"
WAITING_DAYS = 7
_GOING = frozenset({"PendingDeletion", "PendingReplicaDeletion"})


@dataclass(frozen=True)
class AwsKey:
    """A key in AWS KMS, as `DescribeKey` tells; `created_at` is ISO 8601 UTC."""

    key_id: str
    key_spec: str
    created_at: str
    is_going: bool  # its deletion is scheduled: nothing can be done with it


@dataclass(frozen=True)
class OrphanedKey:
    """A key that was made for a handle and never got its alias, or lost it."""

    key_id: str
    handle: str
    created_at: str


class AwsKeyRegister:
    """Handles of one prefix, and the keys behind them."""

    def __init__(self, client: AwsKmsClient, prefix: str) -> None:
        self._client = client
        self._prefix = prefix

    def find(self, handle: str) -> AwsKey:
        """The key with the alias of `handle`. Raises `NotFoundError`, also when it is going."""
        found = self._of_alias(handle)
        if found is None or found.is_going:
            raise NotFoundError(f"no key {handle}", hint="create it first")
        return found

    def handles(self) -> list[str]:
        """All handles of the prefix, by name and version; some may be of keys that are going."""
        return sorted(self._aliases(), key=_by_version)

    def make(self, handle: str, algorithm: str) -> None:
        """Make a key and give it the alias, unless another one has it.

        Raises `ConflictError` if that one is going: a destruction was cut short.
        """
        if (present := self._of_alias(handle)) is not None:
            if not present.is_going:
                return
            # To delete the alias here could take it from another maker's new key.
            raise ConflictError(
                f"key {handle} is half destroyed", hint="destroy it again, or make the next version"
            )
        key_id = self._create_key(handle, algorithm)
        try:
            self._client.call("create_alias", AliasName=self._alias(handle), TargetKeyId=key_id)
        except AwsKmsError as error:
            # A retry after an answer that was lost finds the alias there, and on our key.
            if not self._has_alias(handle, key_id):
                self.discard(key_id)
                if error.aws_code != "AlreadyExistsException":
                    raise
        except NotFoundError:
            raise TokenBusyError(f"AWS KMS does not show the new key {handle} yet") from None

    def release(self, handle: str) -> None:
        """Schedule the deletion of a key, then take its alias away; without a key nothing is done.

        Raises `KeyUnavailableError` if AWS does not confirm that the key can no longer be used.
        """
        found = self._of_alias(handle)
        if found is None:
            return
        if not found.is_going:
            self.discard(found.key_id)
        self._delete_alias(handle)

    def discard(self, key_id: str) -> None:
        """Schedule the deletion of a key by its AWS id."""
        try:
            answer = self._client.call(
                "schedule_key_deletion", KeyId=key_id, PendingWindowInDays=WAITING_DAYS
            )
            state = answer.get("KeyState")
        except AwsKmsError as error:
            if error.aws_code != "KMSInvalidStateException":
                raise
            state = self._client.call("describe_key", KeyId=key_id)["KeyMetadata"]["KeyState"]
        if state not in _GOING:
            raise KeyUnavailableError(
                f"AWS KMS does not confirm that key {key_id} is scheduled for deletion",
                hint="try again; scheduling twice does no harm",
            )

    def orphans(self) -> tuple[OrphanedKey, ...]:
        """Keys of this prefix without their alias. A few calls for each key of the account.

        One that is seconds old may be in the making; what is older can be given to `discard`.
        """
        aliases = self._aliases()
        found = []
        for entry in self._client.pages("list_keys", "Keys"):
            key_id = str(entry["KeyId"])
            handle = self._tagged_handle(key_id)
            if handle is None or aliases.get(handle) == key_id:
                continue
            # Deleted for good since it was listed.
            with contextlib.suppress(NotFoundError):
                key = self._describe(key_id)
                if not key.is_going:
                    found.append(OrphanedKey(key_id, handle, key.created_at))
        return tuple(found)

    def _alias(self, handle: str) -> str:
        return f"alias/{self._prefix}/{check_handle(handle)}"

    def _aliases(self) -> dict[str, str]:
        """AWS key id by handle."""
        found = {}
        for entry in self._client.pages("list_aliases", "Aliases"):
            handle = self._handle_in(str(entry["AliasName"]), "alias/")
            if handle is not None and "TargetKeyId" in entry:
                found[handle] = str(entry["TargetKeyId"])
        return found

    def _of_alias(self, handle: str) -> AwsKey | None:
        try:
            return self._describe(self._alias(handle))
        except NotFoundError:
            return None

    def _has_alias(self, handle: str, key_id: str) -> bool:
        found = self._of_alias(handle)
        return found is not None and found.key_id == key_id

    def _describe(self, key: str) -> AwsKey:
        told = self._client.call("describe_key", KeyId=key)["KeyMetadata"]
        created: datetime = told["CreationDate"]
        return AwsKey(
            key_id=str(told["KeyId"]),
            key_spec=str(told["KeySpec"]),
            created_at=created.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            is_going=told["KeyState"] in _GOING,
        )

    def _create_key(self, handle: str, algorithm: str) -> str:
        spec = SPECS[algorithm]
        try:
            answer = self._client.call(
                "create_key",
                KeySpec=spec.key_spec,
                KeyUsage=spec.key_usage,
                Description=f"QuantumAI {algorithm} key {handle}",
                Tags=[{"TagKey": TAG, "TagValue": f"{self._prefix}/{handle}"}],
            )
        except AwsKmsError as error:
            if error.aws_code != "UnsupportedOperationException":
                raise
            raise BadInputError(
                f"AWS KMS makes no {algorithm} keys in this region", hint="use another region"
            ) from None
        return str(answer["KeyMetadata"]["KeyId"])

    def _tagged_handle(self, key_id: str) -> str | None:
        try:
            tags = self._client.pages("list_resource_tags", "Tags", KeyId=key_id)
        except NotFoundError:
            return None
        except AwsKmsError as error:
            # The tags of our own keys can be read: it is somebody else's.
            if error.aws_code == "AccessDeniedException":
                return None
            raise
        values = [str(tag["TagValue"]) for tag in tags if tag["TagKey"] == TAG]
        return self._handle_in(values[0], "") if values else None

    def _handle_in(self, name: str, start: str) -> str | None:
        """The handle in an alias or a tag, or None if it is of another prefix, or of others."""
        start = f"{start}{self._prefix}/"
        try:
            return check_handle(name.removeprefix(start)) if name.startswith(start) else None
        except BadInputError:
            return None

    def _delete_alias(self, handle: str) -> None:
        with contextlib.suppress(NotFoundError):
            self._client.call("delete_alias", AliasName=self._alias(handle))


def _by_version(handle: str) -> tuple[str, int]:
    name, version = handle.split("/")
    return name, int(version)
