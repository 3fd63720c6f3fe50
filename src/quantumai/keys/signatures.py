"""Verification of signatures by algorithm name, outside of whatever made them.

ML-DSA, ECDSA, RSA and Ed25519 by `cryptography` (OpenSSL), SLH-DSA by `pqcrypto` (Rust). ML-DSA
and SLH-DSA are the pure variants of FIPS 204 and FIPS 205 with an optional context; ECDSA hashes
with SHA-256 on P-256 and SHA-384 on P-384 and takes DER signatures (RFC 3279); RSA-3072-PSS is
SHA-256, MGF1 with SHA-256 and 32 bytes of salt (RFC 8017); Ed25519 is RFC 8032.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any, BinaryIO

from quantumai.errors import BadInputError
from quantumai.keys.parameters import (
    ECDSA_P256,
    MAX_CONTEXT_BYTES,
    Family,
    ParameterSet,
    signature_set,
)
from quantumai.keys.spki import require_algorithm

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.hashes import HashAlgorithm

IN_MEMORY_BYTES = 256 * 2**20
MU_BYTES = 64
_CHUNK_BYTES = 2**20


def verify_signature(
    algorithm: str, spki_der: bytes, message: bytes, signature: bytes, context: bytes = b""
) -> bool:
    """Whether `signature` over `message` is valid under a key of exactly this algorithm.

    Raises `BadInputError` when the key cannot be read or is of another algorithm, and for a
    context that is too long or that the algorithm does not take.
    """
    entry = signature_set(algorithm)
    raw = require_algorithm(algorithm, spki_der)
    _require_context(entry, context)
    if entry.output_bytes is not None and len(signature) != entry.output_bytes:
        return False
    if entry.family is Family.SLH_DSA:
        return _slh_dsa_accepts(entry, raw, message, signature, context)
    key = _load(spki_der)
    if entry.family is Family.ML_DSA:
        return _accepts(key.verify, signature, message, context)
    if entry.family is Family.ED25519:
        return _accepts(key.verify, signature, message)
    digest = hashlib.new(_hash_name(entry), message).digest()
    return _accepts_digest(entry, key, digest, signature)


def verify_stream(
    algorithm: str, spki_der: bytes, stream: BinaryIO, signature: bytes, context: bytes = b""
) -> bool:
    """Like `verify_signature` over what `stream` has left, in constant memory where possible.

    Ed25519 and SLH-DSA read a message twice or in one piece, so for them it is held in memory and
    may have 256 MiB; a longer one raises `BadInputError`.
    """
    entry = signature_set(algorithm)
    raw = require_algorithm(algorithm, spki_der)
    _require_context(entry, context)
    if entry.family in (Family.SLH_DSA, Family.ED25519):
        message = stream.read(IN_MEMORY_BYTES + 1)
        if len(message) > IN_MEMORY_BYTES:
            raise BadInputError(
                f"{algorithm} verifies files of at most {IN_MEMORY_BYTES // 2**20} MiB",
                hint="sign a hash of the file, or use ML-DSA",
            )
        return verify_signature(algorithm, spki_der, message, signature, context)
    key = _load(spki_der)
    if entry.family is Family.ML_DSA:
        if len(signature) != entry.output_bytes:
            return False
        return _accepts(key.verify_mu, signature, ml_dsa_mu(raw, stream, context))
    hasher = hashlib.new(_hash_name(entry))
    while chunk := stream.read(_CHUNK_BYTES):
        hasher.update(chunk)
    return _accepts_digest(entry, key, hasher.digest(), signature)


def verify_external_mu(algorithm: str, spki_der: bytes, mu: bytes, signature: bytes) -> bool:
    """Whether an ML-DSA signature over a 64-byte mu is valid (FIPS 204, algorithm 8, line 7).

    Raises `BadInputError` for a key that is not of this algorithm, and for another algorithm.
    """
    entry = signature_set(algorithm)
    require_algorithm(algorithm, spki_der)
    if entry.family is not Family.ML_DSA or len(mu) != MU_BYTES:
        raise BadInputError("an external mu has 64 bytes and belongs to ML-DSA")
    if len(signature) != entry.output_bytes:
        return False
    return _accepts(_load(spki_der).verify_mu, signature, mu)


def ml_dsa_mu(public: bytes, stream: BinaryIO, context: bytes = b"") -> bytes:
    """The 64-byte message representative mu of pure ML-DSA (FIPS 204, algorithms 2, 3 and 7).

    `public` is the bare key, `context` at most 255 bytes.
    """
    tr = hashlib.shake_256(public).digest(64)
    hasher = hashlib.shake_256(tr + bytes([0, len(context)]) + context)
    while chunk := stream.read(_CHUNK_BYTES):
        hasher.update(chunk)
    return hasher.digest(64)


def _require_context(entry: ParameterSet, context: bytes) -> None:
    if context and not entry.takes_context:
        raise BadInputError(
            f"{entry.name} has no context", hint="contexts belong to ML-DSA and SLH-DSA"
        )
    if len(context) > MAX_CONTEXT_BYTES:
        raise BadInputError(
            f"the context has {len(context)} bytes, at most {MAX_CONTEXT_BYTES} are allowed"
        )


def _hash_name(entry: ParameterSet) -> str:
    return "sha256" if entry.name == ECDSA_P256 or entry.family is Family.RSA_PSS else "sha384"


@lru_cache(maxsize=64)
def _load(spki_der: bytes) -> Any:
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    return load_der_public_key(spki_der)


def _accepts(verify: Any, *arguments: Any) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        verify(*arguments)
    except (InvalidSignature, ValueError):
        return False
    return True


def _accepts_digest(entry: ParameterSet, key: Any, digest: bytes, signature: bytes) -> bool:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding
    from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

    kind: HashAlgorithm = hashes.SHA256() if len(digest) == 32 else hashes.SHA384()
    if entry.family is Family.ECDSA:
        return _accepts(key.verify, signature, digest, ec.ECDSA(Prehashed(kind)))
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), salt_length=32)
    return _accepts(key.verify, signature, digest, pss, Prehashed(kind))


def _slh_dsa_accepts(
    entry: ParameterSet, public: bytes, message: bytes, signature: bytes, context: bytes
) -> bool:
    import pqcrypto.sign
    from pqcrypto.pqcrypto import InvalidSignatureError

    module = getattr(pqcrypto.sign, entry.name.lower().replace("-", "_"))
    try:
        module.verify(public, message, signature, context)
    except InvalidSignatureError:
        return False
    return True
