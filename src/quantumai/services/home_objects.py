"""Where a home keeps its objects, and whether encrypted: `QAI_HOME/objects.toml`.

Without the file they are in the home's folder `objects`, in clear. The file names a bucket, never
a credential: those come from boto3's usual chain. A home that names a bucket has no other place:
while the bucket is away nothing is kept and nothing is found.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal

import msgspec

from quantumai.errors import BadInputError, ConflictError, StorageError
from quantumai.storage.durable_files import create_file, make_folder
from quantumai.storage.s3_client import S3Settings

FILE_NAME = "objects.toml"
DEFAULT_RETENTION_DAYS = 365


class HomeObjects(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The place, as the file says it; with `encrypt` tenants' data are encrypted at rest."""

    kind: Literal["local", "s3"] = "local"
    bucket: str = ""
    prefix: str = ""
    endpoint: str = ""
    region: str = ""
    retention_days: int = 0
    encrypt: bool = False

    def s3_settings(self) -> S3Settings:
        """What the adapter needs. Raises `BadInputError` if it makes no sense."""
        return S3Settings(self.bucket, self.prefix, self.region, self.endpoint, self.retention_days)

    def check(self) -> HomeObjects:
        """Return self if it makes sense, else raise `BadInputError`."""
        if self.kind == "s3":
            self.s3_settings()
        elif msgspec.structs.replace(self, encrypt=False) != HomeObjects():
            raise BadInputError("a bucket's settings go with a bucket", hint="--bucket NAME")
        return self

    def described(self) -> dict[str, str]:
        """The place in words, by what they are about."""
        where = "the folder objects in this home"
        kept = "kept as long as nobody deletes it"
        if self.kind == "s3":
            where = f"s3://{self.bucket}/{self.prefix}" + (
                f" at {self.endpoint}" if self.endpoint else ""
            )
            if self.retention_days:
                kept = f"kept {self.retention_days} days, in compliance mode: nobody can delete it"
        how = "tenants' data encrypted, each under its own key" if self.encrypt else "in clear"
        return {"objects": where, "evidence": kept, "at rest": how}


def init_home_objects(root: Path, wanted: HomeObjects) -> None:
    """Write the file of a home that is still to be made.

    Raises `ConflictError` if the home has objects or such a file already, and as
    `s3_check.require_fit` does.
    """
    wanted.check()
    if (root / FILE_NAME).exists() or (root / "objects").exists():
        raise ConflictError(
            "this home has a place for its objects already",
            hint="evidence is not moved; set QAI_HOME to a new folder",
        )
    if wanted.kind == "s3":
        from quantumai.storage.s3_check import require_fit

        require_fit(wanted.s3_settings())
    values = {"kind": wanted.kind} | msgspec.to_builtins(wanted)
    # A TOML basic string takes JSON's escapes, and so do numbers and booleans.
    lines = ["# Where this home keeps its objects. Written by `qai objects init`."]
    lines += [f"{name} = {msgspec.json.encode(value).decode()}" for name, value in values.items()]
    try:
        make_folder(root, 0o700)
        made = create_file(root / FILE_NAME, "\n".join([*lines, ""]).encode(), 0o600)
    except OSError as error:
        raise StorageError(f"cannot write {FILE_NAME}: {error.strerror}") from error
    if not made:
        raise ConflictError(f"another process has written {FILE_NAME}")


def read_home_objects(root: Path) -> HomeObjects:
    """The home's file; without one the home's own folder. Raises `BadInputError` if damaged."""
    try:
        data = tomllib.loads((root / FILE_NAME).read_text())
        return msgspec.convert(data, HomeObjects).check()
    except FileNotFoundError:
        return HomeObjects()
    except (ValueError, msgspec.ValidationError) as error:
        raise BadInputError(f"{FILE_NAME}: {error}", hint="correct it, or restore it") from None
    except BadInputError as error:
        raise BadInputError(f"{FILE_NAME}: {error}", hint="correct it, or restore it") from None
    except OSError as error:
        raise StorageError(f"cannot read {FILE_NAME}: {error.strerror}") from None
