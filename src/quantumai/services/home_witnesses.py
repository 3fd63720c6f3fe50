"""The witnesses that a home asks to cosign its ledger: `QAI_HOME/witnesses.toml`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

import msgspec

from quantumai.errors import BadInputError, ConflictError, NotFoundError, StorageError
from quantumai.provenance.ledger.note import VerifierKey
from quantumai.provenance.public_log.cosigning import KnownWitness
from quantumai.provenance.verification.trust import WitnessTrust
from quantumai.services.web_address import check_url
from quantumai.storage.durable_files import make_folder, replace_file

FILE_NAME = "witnesses.toml"


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    url: str
    verifier_keys: tuple[str, ...]


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    quorum: int | None = None
    witness: tuple[_Entry, ...] = ()


@dataclass(frozen=True)
class HomeWitnesses:
    """The home's witnesses; `quorum` is how many of them have to cosign, by default most."""

    witnesses: tuple[KnownWitness, ...] = ()
    chosen_quorum: int | None = None

    @property
    def quorum(self) -> int:
        """How many of the witnesses have to cosign."""
        most = len(self.witnesses) // 2 + 1 if self.witnesses else 0
        return most if self.chosen_quorum is None else self.chosen_quorum

    def trust(self, quorum: int | None = None) -> WitnessTrust:
        """What a trust file says of them, by default with the home's own quorum."""
        keys = tuple(key.text for witness in self.witnesses for key in witness.keys)
        return WitnessTrust(keys, self.quorum if quorum is None else quorum)

    def check(self) -> HomeWitnesses:
        """Return self if names and keys are used once and the quorum can be met.

        Raises `BadInputError`.
        """
        names = {witness.check().name for witness in self.witnesses}
        publics = [key.public for witness in self.witnesses for key in witness.keys]
        if len(names) != len(self.witnesses) or len(set(publics)) != len(publics):
            raise BadInputError("a witness or a key is listed twice")
        if not 0 <= self.quorum <= len(names):
            raise BadInputError(f"the quorum is {self.quorum} of {len(names)} witnesses")
        return self


def home_witnesses(root: Path) -> HomeWitnesses:
    """The witnesses of the home `root`; none without a file. Raises `BadInputError`."""
    try:
        read = msgspec.convert(tomllib.loads((root / FILE_NAME).read_text()), _File)
        witnesses = tuple(
            KnownWitness(check_url(w.url), tuple(map(VerifierKey.parse, w.verifier_keys)))
            for w in read.witness
        )
        return HomeWitnesses(witnesses, read.quorum).check()
    except FileNotFoundError:
        return HomeWitnesses()
    except (ValueError, msgspec.ValidationError, BadInputError) as error:
        raise BadInputError(f"{FILE_NAME}: {error}", hint="correct it, or restore it") from None
    except OSError as error:
        raise StorageError(f"cannot read {FILE_NAME}: {error.strerror}") from None


def add_witness(
    root: Path, url: str, keys: tuple[VerifierKey, ...], quorum: int | None = None
) -> HomeWitnesses:
    """List a witness, or further keys of one; all of the home's witnesses now."""
    known = home_witnesses(root)
    new = KnownWitness(check_url(url), keys).check()
    former = next((w for w in known.witnesses if w.name == new.name), None)
    if former is not None:
        if former.url != new.url:
            raise ConflictError(f"{new.name} is listed with another address: {former.url}")
        new = KnownWitness(new.url, tuple(dict.fromkeys((*former.keys, *new.keys))))
    others = tuple(w for w in known.witnesses if w.name != new.name)
    chosen = known.chosen_quorum if quorum is None else quorum
    return _write(root, HomeWitnesses((*others, new), chosen).check())


def remove_witness(root: Path, name: str) -> HomeWitnesses:
    """Take a witness off the list. Raises `NotFoundError` if it is not there."""
    known = home_witnesses(root)
    others = tuple(w for w in known.witnesses if w.name != name)
    if len(others) == len(known.witnesses):
        raise NotFoundError(f"no witness {name[:80]!r} is listed", hint="qai witness list")
    chosen = known.chosen_quorum
    return _write(
        root, HomeWitnesses(others, None if chosen is None else min(chosen, len(others))).check()
    )


def _write(root: Path, wanted: HomeWitnesses) -> HomeWitnesses:
    lines = ["# Who cosigns this home's ledger. Written by `qai witness add`."]
    if wanted.chosen_quorum is not None:
        lines.append(f"quorum = {wanted.chosen_quorum}")
    for witness in wanted.witnesses:
        keys = [key.text for key in witness.keys]
        # A TOML basic string takes JSON's escapes, and so does a list of them.
        lines += ["", "[[witness]]", f"url = {msgspec.json.encode(witness.url).decode()}"]
        lines.append(f"verifier_keys = {msgspec.json.encode(keys).decode()}")
    try:
        make_folder(root, 0o700)
        replace_file(root / FILE_NAME, "\n".join([*lines, ""]).encode())
    except OSError as error:
        raise StorageError(f"cannot write {FILE_NAME}: {error.strerror}") from error
    return wanted
