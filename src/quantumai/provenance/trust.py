"""The trust file: the keys that an auditor has decided to believe, kept out of band.

It is plain JSON for people to read and edit; its fingerprint is over its canonical form.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from quantumai.canonical import canonical_json, sha256_hex
from quantumai.crypto_mode import CryptoMode
from quantumai.errors import BadInputError
from quantumai.keys.algorithms import AlgorithmClass, PublicKey, algorithm_class
from quantumai.provenance.note import VerifierKey

_HINT = "make one with `qai trust export`"


class LedgerTrust(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The ledger to believe: its origin and its verifier keys (C2SP vkeys)."""

    origin: str
    verifier_keys: tuple[str, ...]

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


class TrustFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an auditor believes, and the least crypto mode that an auditor accepts."""

    ledger: LedgerTrust
    authority_keys: tuple[PublicKey, ...]
    statement_keys: tuple[StatementKey, ...]
    least_crypto_mode: CryptoMode = CryptoMode.PQC_REQUIRED
    schema_version: int = 1

    def check(self) -> TrustFile:
        """Return self if all keys are sound and used once, else raise `BadInputError`."""
        if self.schema_version != 1:
            raise BadInputError(f"trust file schema version {self.schema_version} is unknown")
        if not self.ledger.origin:
            raise BadInputError("the trust file names no ledger origin")
        keys = [*self.authority_keys, *(key.public_key for key in self.statement_keys)]
        for key in keys:
            key.check()
        # An authority key that also signed statements could vouch for itself.
        if len({key.key_id for key in keys}) != len(keys):
            raise BadInputError("the trust file lists a key twice")
        verifiers = self.ledger.keys()
        if len(set(verifiers)) != len(verifiers):
            raise BadInputError("the trust file lists a ledger key twice")
        for window in self.statement_keys:
            until = window.valid_until_index
            if window.valid_from_index < 0 or (until or 0) < 0:
                raise BadInputError("a leaf index in the trust file is negative")
            if until is not None and until < window.valid_from_index:
                raise BadInputError("a key in the trust file ends before it begins to count")
        if any(key.name != self.ledger.origin for key in verifiers):
            raise BadInputError("a ledger key in the trust file belongs to another origin")
        classical = any(algorithm_class(k.algorithm) is AlgorithmClass.CLASSICAL for k in keys)
        if classical and self.least_crypto_mode.strength > CryptoMode.HYBRID.strength:
            raise BadInputError("a classical key cannot be trusted in a post-quantum mode")
        return self

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
            value = json.loads(
                data.decode("utf-8"),
                object_pairs_hook=_unique_members,
                parse_constant=_refuse_constant,
            )
        except (ValueError, RecursionError) as error:
            raise BadInputError(f"the trust file is not JSON: {error}", hint=_HINT) from None
        try:
            return msgspec.convert(value, cls).check()
        except msgspec.ValidationError as error:
            raise BadInputError(f"not a trust file: {error}", hint=_HINT) from None


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands twice")
    return members


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")
