"""A home whose keys, or whose new keys, are in AWS KMS: `QAI_HOME/aws-kms.toml`.

The file names a region and a prefix of aliases, never a credential: those come from boto3's usual
chain. Keys that the home has stay where they are; a rotation takes a key over to AWS KMS.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec

from quantumai.errors import BadInputError, ConflictError, KeyUnavailableError, StorageError
from quantumai.keys.providers.aws_kms_client import AwsKmsSettings
from quantumai.storage.durable_files import create_file, make_folder

FILE_NAME = "aws-kms.toml"


class HomeAwsKms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Prefix of the home's aliases, region, endpoint; whether new keys are made there."""

    prefix: str
    region: str = ""
    endpoint_url: str = ""
    new_keys: bool = False

    def settings(self) -> AwsKmsSettings:
        """What the provider needs. Raises `BadInputError` if it makes no sense."""
        return AwsKmsSettings(self.prefix, self.region, self.endpoint_url)


def connect_home(root: Path, wanted: HomeAwsKms) -> None:
    """Write the home's file. Raises `ConflictError` if it has one, `BadInputError` as above."""
    wanted.settings()
    values = msgspec.to_builtins(wanted)
    # A TOML basic string takes JSON's escapes, and so does a boolean.
    lines = ["# Where this home keeps keys in AWS KMS. Written by `qai kms aws-kms init`."]
    lines += [f"{name} = {msgspec.json.encode(value).decode()}" for name, value in values.items()]
    try:
        make_folder(root, 0o700)
        made = create_file(root / FILE_NAME, "\n".join([*lines, ""]).encode(), 0o600)
    except OSError as error:
        raise StorageError(f"cannot write {FILE_NAME}: {error.strerror}") from error
    if not made:
        raise ConflictError(
            f"this home has a {FILE_NAME} already", hint="edit it, if its prefix may stay"
        )


def read_home(root: Path) -> HomeAwsKms | None:
    """The home's file, or None. Raises `BadInputError` if it is damaged."""
    path = root / FILE_NAME
    try:
        data = tomllib.loads(path.read_text())
        return msgspec.convert(data, HomeAwsKms)
    except FileNotFoundError:
        return None
    except (ValueError, msgspec.ValidationError) as error:
        raise BadInputError(f"{FILE_NAME}: {error}", hint="correct it, or restore it") from None
    except OSError as error:
        raise KeyUnavailableError(f"cannot read {FILE_NAME}: {error.strerror}") from None
