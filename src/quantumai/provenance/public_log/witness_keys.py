"""A witness's own keys: Ed25519 and ML-DSA-44, in a key provider, under the witness's name."""

from __future__ import annotations

import re

from quantumai.errors import BadInputError, KeyUnavailableError
from quantumai.keys.algorithms import (
    ED25519,
    ML_DSA_44,
    PublicKey,
    raw_public_bytes,
    verify_signature,
)
from quantumai.keys.providers.port import KeyProvider
from quantumai.provenance.ledger.checkpoint import (
    TreeHead,
    cosignature_v1_message,
    cosigned_message,
)
from quantumai.provenance.ledger.note import (
    TYPE_COSIGNATURE_ED25519,
    TYPE_ML_DSA_44,
    NoteSignature,
    VerifierKey,
)

_HANDLES = {"witness-ed25519/1": ED25519, "witness-ml-dsa-44/1": ML_DSA_44}
_TYPES = {ED25519: TYPE_COSIGNATURE_ED25519, ML_DSA_44: TYPE_ML_DSA_44}
_NAME = re.compile(r"[^\s+]+")


class ProviderCosigner:
    """`Cosigner` over a key provider; the keys are made on first use."""

    def __init__(self, provider: KeyProvider, name: str) -> None:
        self._provider = provider
        self._name = check_witness_name(name)
        self._keys = _made(provider)

    def verifier_keys(self) -> tuple[VerifierKey, ...]:
        """See `Cosigner.verifier_keys`."""
        return tuple(self._verifier_key(public) for public in self._keys.values())

    def cosign(self, text: str, head: TreeHead, timestamp: int) -> tuple[NoteSignature, ...]:
        """See `Cosigner.cosign`. Each signature is verified before it is given out."""
        made = []
        for handle, public in self._keys.items():
            key = self._verifier_key(public)
            if public.algorithm == ML_DSA_44:
                message = cosigned_message(self._name, timestamp, head)
            else:
                message = cosignature_v1_message(timestamp, text)
            signature = self._provider.sign(handle, message)
            if not verify_signature(public.algorithm, public.spki_der, message, signature):
                raise KeyUnavailableError(f"the signature by {handle} does not hold")
            stamped = timestamp.to_bytes(8, "big") + signature
            made.append(NoteSignature(self._name, key.key_id, stamped))
        return tuple(made)

    def _verifier_key(self, public: PublicKey) -> VerifierKey:
        return VerifierKey(self._name, _TYPES[public.algorithm], raw_public_bytes(public.spki_der))


def default_witness_name(provider: KeyProvider) -> str:
    """A name after the witness's ML-DSA-44 key (made on first use)."""
    public = _made(provider)["witness-ml-dsa-44/1"]
    return f"quantumai/witness/{public.key_id[:16]}"


def check_witness_name(name: str) -> str:
    """Return `name` if a signed note can carry it, else raise `BadInputError`."""
    if not _NAME.fullmatch(name) or not name.isprintable() or len(name.encode()) > 255:
        raise BadInputError(
            f"not a witness's name: {name[:80]!r}",
            hint="such as example.org/witness: no spaces, no plus sign, 255 bytes at most",
        )
    return name


def _made(provider: KeyProvider) -> dict[str, PublicKey]:
    return {
        handle: provider.generate(handle, algorithm).public_key
        for handle, algorithm in _HANDLES.items()
    }
