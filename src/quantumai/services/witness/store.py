"""A witness's folder: its name (`witness.toml`), its keys as a home keeps them, what it remembers.

Keys are soft by default. With `token/` or `aws-kms.toml` in the folder, set up as for a home
(`QAI_HOME=<folder> qai kms token init`), they are made there instead.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from quantumai.bounded_reading import shown_path
from quantumai.errors import BadInputError, ConflictError, NotFoundError
from quantumai.keys.providers.port import KeyProvider
from quantumai.provenance.ledger.note import VerifierKey
from quantumai.provenance.public_log.witness import Witness
from quantumai.provenance.public_log.witness_keys import (
    ProviderCosigner,
    check_witness_name,
    default_witness_name,
)
from quantumai.provenance.public_log.witness_memory import FolderMemory
from quantumai.services.wiring import open_providers, utc_now
from quantumai.storage.durable_files import TEMPORARY_PREFIX, create_file, make_folder
from quantumai.storage.unwritable import cannot_write

_FILE = "witness.toml"
_MEMORY = "cosigned"
_KEYS = frozenset({"keys", "token", "aws-kms.toml", "token.lock"})


class _Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str


@dataclass(frozen=True)
class WitnessStore:
    """An initialised folder, opened."""

    folder: Path
    cosigner: ProviderCosigner

    def witness(self, logs: Mapping[str, tuple[VerifierKey, ...]]) -> Witness:
        """The witness of `logs`, by origin."""
        return Witness(logs, self.cosigner, FolderMemory(self.folder / _MEMORY), utc_now)


def init_store(folder: Path, name: str, settings: Mapping[str, str]) -> WitnessStore:
    """Make a witness in `folder`: keys and name, for good. Raises `ConflictError` if it has one."""
    if name:
        check_witness_name(name)
    try:
        if (folder / _FILE).exists():
            raise _taken(folder)
        _require_own(folder)
        make_folder(folder, 0o700)
        provider = _provider(folder, settings)
        chosen = name or default_witness_name(provider)
        cosigner = ProviderCosigner(provider, chosen)
        line = f"name = {msgspec.json.encode(chosen).decode()}\n"
        if not create_file(folder / _FILE, line.encode(), 0o600):
            raise _taken(folder)
    except OSError as error:
        raise cannot_write(folder, error, hint="give another --store") from error
    return WitnessStore(folder, cosigner)


def _require_own(folder: Path) -> None:
    """Raise `BadInputError` for a folder with anything but keys, which may be set up before."""
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if foreign := sorted(name for name in names - _KEYS if not name.startswith(TEMPORARY_PREFIX)):
        raise BadInputError(
            f"{shown_path(folder)} is no folder for a witness: it has {shown_path(foreign[0])}",
            hint="give a new folder with --store; a home is its own",
        )


def open_store(folder: Path, settings: Mapping[str, str]) -> WitnessStore:
    """Open a witness's folder. Raises `NotFoundError` if it is none."""
    try:
        read = tomllib.loads((folder / _FILE).read_text())
        name = msgspec.convert(read, _Settings).name
    except (FileNotFoundError, NotADirectoryError):
        raise NotFoundError(
            f"no witness in {shown_path(folder)}", hint="`qai witness init --store DIR` makes one"
        ) from None
    except OSError as error:
        raise BadInputError(
            f"cannot read {shown_path(folder / _FILE)}: {error.strerror}",
            hint="give the witness's folder with --store",
        ) from None
    except (ValueError, msgspec.ValidationError) as error:
        raise BadInputError(f"{_FILE}: {error}", hint="restore it from a backup") from None
    return WitnessStore(folder, ProviderCosigner(_provider(folder, settings), name))


def log_keys(texts: list[str]) -> dict[str, tuple[VerifierKey, ...]]:
    """Logs by origin from `VKEY` or `VKEY@ORIGIN`; several keys of one log may be given.

    Without an origin it is the key's name. Raises `BadInputError`.
    """
    found: dict[str, list[VerifierKey]] = {}
    for text in texts:
        name, mark, rest = text.partition("+")
        encoded, at, origin = rest.partition("@")  # neither hex nor base64 has that sign
        key = VerifierKey.parse(name + mark + encoded)
        if at and not origin:
            raise BadInputError("the log's origin after @ is empty")
        found.setdefault(origin or key.name, []).append(key)
    return {origin: tuple(keys) for origin, keys in found.items()}


def _provider(folder: Path, settings: Mapping[str, str]) -> KeyProvider:
    return open_providers(folder, settings)[0]


def _taken(folder: Path) -> ConflictError:
    return ConflictError(
        f"there is a witness in {shown_path(folder)} already",
        hint="`qai witness key --store DIR` shows its keys",
    )
