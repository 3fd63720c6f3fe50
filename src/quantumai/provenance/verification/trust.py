"""The trust file: the keys that an auditor has decided to believe, kept out of band.

It is plain JSON for people to read and edit; its fingerprint is over its canonical form.
"""

from __future__ import annotations

import json

import msgspec

from quantumai.canonical import canonical_json, sha256_hex
from quantumai.crypto_mode import CryptoMode
from quantumai.errors import BadInputError
from quantumai.keys.algorithms import AlgorithmClass, PublicKey, algorithm_class
from quantumai.provenance.ledger.cosignatures import require_witness_keys
from quantumai.provenance.ledger.note import VerifierKey
from quantumai.provenance.statements.strict_json import parse_strict_json

_HINT = "make one with `qai trust export`"
_ROOT_FAMILY = "SLH-DSA-"


class LedgerTrust(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The ledger to believe: its origin and its verifier keys (C2SP vkeys)."""

    origin: str
    verifier_keys: tuple[str, ...]

    def keys(self) -> tuple[VerifierKey, ...]:
        """The verifier keys, parsed."""
        return tuple(VerifierKey.parse(text) for text in self.verifier_keys)


class WitnessTrust(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Witnesses to believe (vkeys), and how many of them must have cosigned a checkpoint.

    A quorum of 0 asks for none: freshness is then not checked unless a checkpoint is remembered.
    """

    verifier_keys: tuple[str, ...] = ()
    quorum: int = 0

    def keys(self) -> tuple[VerifierKey, ...]:
        """The verifier keys, parsed."""
        return tuple(VerifierKey.parse(text) for text in self.verifier_keys)


class StatementKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key to believe for statements logged at leaf indices in [from, until)."""

    key_id: str
    algorithm: str
    spki: str
    valid_from_index: int
    valid_until_index: int | None

    @property
    def public_key(self) -> PublicKey:
        """The key without its window."""
        return PublicKey(self.key_id, self.algorithm, self.spki)

    def covers(self, index: int) -> bool:
        """Whether leaf `index` lies in the window."""
        until = self.valid_until_index
        return self.valid_from_index <= index and (until is None or index < until)


class TrustFile(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True
):
    """What an auditor believes, and the least crypto mode that an auditor accepts.

    `tenants` (tenant -> mode) raises the least mode for some; it never lowers it. `root` is the
    SLH-DSA key that may vouch for new keys in an emergency. Version 1 had neither these nor
    witnesses, and keeps its fingerprint.
    """

    ledger: LedgerTrust
    authority_keys: tuple[PublicKey, ...]
    statement_keys: tuple[StatementKey, ...]
    least_crypto_mode: CryptoMode
    schema_version: int
    witnesses: WitnessTrust = WitnessTrust()
    root: PublicKey | None = None
    tenants: dict[str, CryptoMode] = {}

    def check(self) -> TrustFile:
        """Return self if all keys are sound and used once, else raise `BadInputError`."""
        if self.schema_version not in (1, 2):
            raise BadInputError(f"trust file schema version {self.schema_version} is unknown")
        if self.schema_version == 1 and (self.root or self.tenants or self.witnesses.quorum):
            raise BadInputError("a trust file of version 1 has no root, tenants or witnesses")
        if not self.ledger.origin:
            raise BadInputError("the trust file names no ledger origin")
        self._check_keys()
        self._check_verifier_keys()
        for window in self.statement_keys:
            until = window.valid_until_index
            if window.valid_from_index < 0 or (until or 0) < 0:
                raise BadInputError("a leaf index in the trust file is negative")
            if until is not None and until < window.valid_from_index:
                raise BadInputError("a key in the trust file ends before it begins to count")
        return self

    def least_mode_for(self, tenant: str) -> CryptoMode:
        """The least crypto mode to accept of a tenant: the stricter of the file's and its own."""
        own = self.tenants.get(tenant, self.least_crypto_mode)
        return max(own, self.least_crypto_mode, key=lambda mode: mode.strength)

    def canonical(self) -> bytes:
        """The form that the fingerprint is over."""
        return canonical_json(msgspec.to_builtins(self))

    def fingerprint(self) -> str:
        """`sha256:<hex>` to compare out of band."""
        return "sha256:" + sha256_hex(self.canonical())

    def export(self) -> bytes:
        """The file's bytes, indented for reading."""
        return (json.dumps(msgspec.to_builtins(self), indent=2, sort_keys=True) + "\n").encode()

    @classmethod
    def parse(cls, data: bytes) -> TrustFile:
        """Read a trust file strictly: no unknown or repeated fields, no byte order mark.

        Raises `BadInputError`.
        """
        try:
            return msgspec.convert(parse_strict_json(data, "the trust file"), cls).check()
        except msgspec.ValidationError as error:
            raise BadInputError(f"not a trust file: {error}", hint=_HINT) from None

    def _check_keys(self) -> None:
        keys = [*self.authority_keys, *(key.public_key for key in self.statement_keys)]
        for key in keys:
            key.check()
        classical = any(algorithm_class(k.algorithm) is AlgorithmClass.CLASSICAL for k in keys)
        if classical and self.least_crypto_mode is CryptoMode.PQC_REQUIRED:
            raise BadInputError("a classical key cannot be trusted where pqc-required is the least")
        if self.root is not None:
            keys.append(self.root.check())
            if not self.root.algorithm.startswith(_ROOT_FAMILY):
                raise BadInputError("the root in the trust file is no SLH-DSA key")
        # An authority key that also signed statements could vouch for itself.
        if len({key.key_id for key in keys}) != len(keys):
            raise BadInputError("the trust file lists a key twice")

    def _check_verifier_keys(self) -> None:
        own, witnesses = self.ledger.keys(), require_witness_keys(self.witnesses.keys())
        if len({key.public for key in (*own, *witnesses)}) != len(own) + len(witnesses):
            raise BadInputError("the trust file lists a verifier key twice")
        if any(key.name != self.ledger.origin for key in own):
            raise BadInputError("a ledger key in the trust file belongs to another origin")
        # One witness may have a key of each kind; it is one voice.
        voices = len({key.name for key in witnesses})
        if not 0 <= self.witnesses.quorum <= voices:
            raise BadInputError(
                f"the witness quorum is {self.witnesses.quorum} of {voices} witnesses"
            )
