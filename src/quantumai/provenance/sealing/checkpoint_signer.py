"""Signing the ledger's checkpoints with the home's own keys."""

from __future__ import annotations

from quantumai.keys.algorithms import raw_public_bytes
from quantumai.keys.management.built_in import LEDGER_CLASSICAL, LEDGER_PQC
from quantumai.keys.management.internal_keys import InternalKeys
from quantumai.keys.management.key_use import public_half
from quantumai.keys.management.records import KeyVersion
from quantumai.provenance.ledger.checkpoint import TreeHead, cosigned_message
from quantumai.provenance.ledger.note import (
    TYPE_ED25519,
    TYPE_ML_DSA_44,
    NoteSignature,
    VerifierKey,
)

_TYPES = {LEDGER_CLASSICAL: TYPE_ED25519, LEDGER_PQC: TYPE_ML_DSA_44}


class KmsCheckpointSigner:
    """Signs checkpoints with the home's two ledger keys, made on first use.

    The ledger's keys are not rotated: a ledger with new keys is a new ledger.
    """

    def __init__(self, keys: InternalKeys, origin: str) -> None:
        self._keys = keys
        self._origin = origin
        self._made: tuple[VerifierKey, ...] = ()

    def sign(self, head: TreeHead, timestamp: int) -> tuple[NoteSignature, ...]:
        """See `CheckpointSigner.sign`."""
        classical, pqc = self.verifier_keys()
        message = cosigned_message(pqc.name, timestamp, head)
        cosignature = timestamp.to_bytes(8, "big") + self._keys.sign_checkpoint(LEDGER_PQC, message)
        return (
            NoteSignature(
                classical.name,
                classical.key_id,
                self._keys.sign_checkpoint(LEDGER_CLASSICAL, head.text.encode()),
            ),
            NoteSignature(pqc.name, pqc.key_id, cosignature),
        )

    def verifier_keys(self) -> tuple[VerifierKey, ...]:
        """See `CheckpointSigner.verifier_keys`."""
        if not self._made:
            self._made = tuple(
                VerifierKey(self._origin, kind, _bare(self._keys.ensure(name)))
                for name, kind in _TYPES.items()
            )
        return self._made


def ledger_origin(keys: InternalKeys) -> str:
    """Name of the home's ledger, after its ML-DSA-44 key (made on first use)."""
    return f"quantumai/ledger/{keys.ensure(LEDGER_PQC).key_id[:16]}"


def _bare(key: KeyVersion) -> bytes:
    return raw_public_bytes(public_half(key).spki_der)
