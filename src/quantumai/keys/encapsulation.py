"""ML-KEM (FIPS 203) in software: for cross-checks of tokens and for wrapping to a public key.

A private key is its 64-byte seed d || z or the expanded key (RFC 9935, section 6). `cryptography`
(OpenSSL) has ML-KEM-768 and ML-KEM-1024 and takes seeds only. Everything else goes to `pqcrypto`,
which takes expanded keys only: so of ML-KEM-512 no seed can be used.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from quantumai.errors import BadInputError
from quantumai.keys.parameters import KEM_ALGORITHMS, ML_KEM_512, ParameterSet, parameter_set
from quantumai.keys.spki import ml_kem_key_in_range, require_algorithm

SEED_BYTES = 64


@dataclass(frozen=True)
class Encapsulation:
    """What `encapsulate` makes: the 32-byte shared secret, kept out of repr, and its ciphertext."""

    shared_secret: bytes = field(repr=False)
    ciphertext: bytes


def encapsulate(algorithm: str, spki_der: bytes) -> Encapsulation:
    """Make a fresh shared secret for the holder of a public key.

    Raises `BadInputError` if the key is malformed (FIPS 203, section 7.2) or of another algorithm.
    """
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    _require_kem(algorithm)
    raw = require_algorithm(algorithm, spki_der)
    if algorithm == ML_KEM_512:
        ciphertext, shared_secret = _pqcrypto(algorithm).encaps(raw)
        return Encapsulation(bytes(shared_secret), bytes(ciphertext))
    key: Any = load_der_public_key(spki_der)
    return Encapsulation(*key.encapsulate())


def decapsulate(algorithm: str, private: bytes, ciphertext: bytes) -> bytes:
    """The 32-byte shared secret; `private` is a seed or an expanded key.

    A ciphertext of the right length never fails: a wrong one gives an unrelated secret (implicit
    rejection, FIPS 203, section 6.3). Raises `BadInputError` for a private key or ciphertext of
    another length, and for an expanded key that contradicts itself (section 7.3).
    """
    entry = _require_kem(algorithm)
    if len(ciphertext) != entry.output_bytes:
        raise BadInputError(f"an {algorithm} ciphertext has {entry.output_bytes} bytes")
    if len(private) == SEED_BYTES:
        return bytes(_of_seed(algorithm, private).decapsulate(ciphertext))
    _require_expanded(entry, private)
    return bytes(_pqcrypto(algorithm).decaps(private, ciphertext))


def spki_of_seed(algorithm: str, seed: bytes) -> bytes:
    """DER SubjectPublicKeyInfo of the public key that belongs to a seed."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = _of_seed(algorithm, seed).public_key()
    return bytes(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def _require_kem(algorithm: str) -> ParameterSet:
    entry = parameter_set(algorithm)
    if entry.signs:
        raise BadInputError(
            f"{algorithm} does not encapsulate", hint=f"use one of: {', '.join(KEM_ALGORITHMS)}"
        )
    return entry


def _require_expanded(entry: ParameterSet, private: bytes) -> None:
    """An expanded key is a vector, the public key, that one's SHA3-256, and 32 random bytes."""
    assert entry.public_key_bytes is not None
    vector_bytes = entry.public_key_bytes - 32
    if len(private) != 2 * vector_bytes + 96:
        raise BadInputError(f"not an {entry.name} private key: wrong length")
    public = private[vector_bytes : vector_bytes + entry.public_key_bytes]
    if hashlib.sha3_256(public).digest() != private[-64:-32] or not ml_kem_key_in_range(public):
        raise BadInputError(f"not an {entry.name} private key: its public half is damaged")


def _of_seed(algorithm: str, seed: bytes) -> Any:
    from cryptography.hazmat.primitives.asymmetric import mlkem

    _require_kem(algorithm)
    if algorithm == ML_KEM_512:
        raise BadInputError("no library here expands ML-KEM-512 seeds", hint="use ML-KEM-768")
    if len(seed) != SEED_BYTES:
        raise BadInputError(f"an {algorithm} seed has {SEED_BYTES} bytes")
    kind = getattr(mlkem, algorithm.replace("-", "") + "PrivateKey")
    return kind.from_seed_bytes(seed)


def _pqcrypto(algorithm: str) -> Any:
    import pqcrypto.kem

    return getattr(pqcrypto.kem, algorithm.lower().replace("-", "_"))
