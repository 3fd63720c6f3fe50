"""Signature algorithms by name: generate, serialise, sign and verify (FIPS 204, RFC 8032).

Public keys travel as DER SubjectPublicKeyInfo (RFC 9881 for ML-DSA, RFC 8410 for Ed25519).
ML-DSA is used with an empty context string throughout.
"""

from __future__ import annotations

import base64
import binascii
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

import msgspec

from quantumai.canonical import sha256_hex
from quantumai.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Callable

ML_DSA_44 = "ML-DSA-44"
ML_DSA_65 = "ML-DSA-65"
ML_DSA_87 = "ML-DSA-87"
ED25519 = "Ed25519"
ALGORITHMS = (ML_DSA_44, ML_DSA_65, ML_DSA_87, ED25519)


class AlgorithmClass(StrEnum):
    """Whether an algorithm is believed to withstand a quantum computer."""

    CLASSICAL = "classical"
    POST_QUANTUM = "post-quantum"


class PublicKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A public key: id (SHA-256 hex of its SPKI), algorithm name, SPKI in base64."""

    key_id: str
    algorithm: str
    spki: str

    @classmethod
    def of(cls, algorithm: str, spki_der: bytes) -> PublicKey:
        """Make the record of an SPKI."""
        return cls(key_id(spki_der), algorithm, base64.b64encode(spki_der).decode())

    @property
    def spki_der(self) -> bytes:
        """The SPKI's DER bytes. Raises `BadInputError` if the base64 is damaged."""
        try:
            return base64.b64decode(self.spki, validate=True)
        except (binascii.Error, ValueError):
            raise BadInputError("public key is not base64") from None

    def check(self) -> PublicKey:
        """Return self if id, algorithm and SPKI belong together, else raise `BadInputError`."""
        if key_id(self.spki_der) != self.key_id:
            raise BadInputError(f"public key {self.key_id[:16]} does not match its id")
        if algorithm_of_spki(self.spki_der) != self.algorithm:
            raise BadInputError(f"public key {self.key_id[:16]} is no {self.algorithm} key")
        return self


class PrivateKey(Protocol):
    """What `cryptography`'s private keys have in common, as far as we use it."""

    def sign(self, data: bytes, /) -> bytes:
        """Sign `data`."""
        ...

    def private_bytes_raw(self) -> bytes:
        """The 32-byte seed (FIPS 204 xi, RFC 8032 secret key)."""
        ...


def key_id(spki_der: bytes) -> str:
    """SHA-256 of the SubjectPublicKeyInfo, hex."""
    return sha256_hex(spki_der)


def algorithm_class(algorithm: str) -> AlgorithmClass:
    """Class of a known algorithm; `BadInputError` otherwise."""
    _require_known(algorithm)
    return AlgorithmClass.CLASSICAL if algorithm == ED25519 else AlgorithmClass.POST_QUANTUM


def generate(algorithm: str) -> PrivateKey:
    """Make a fresh private key from the operating system's randomness."""
    return _private_type(algorithm)[0]()


def from_seed(algorithm: str, seed: bytes) -> PrivateKey:
    """Restore a private key from its 32-byte seed."""
    return _private_type(algorithm)[1](seed)


def spki_of(private: PrivateKey) -> bytes:
    """DER SubjectPublicKeyInfo of a private key's public half."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = private.public_key()  # type: ignore[attr-defined]
    return bytes(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def raw_public_bytes(spki_der: bytes) -> bytes:
    """The bare public key inside an SPKI (32 bytes for Ed25519, 1312 for ML-DSA-44)."""
    return bytes(_load_public(spki_der).public_bytes_raw())  # type: ignore[attr-defined]


def spki_of_raw(algorithm: str, public: bytes) -> bytes:
    """DER SubjectPublicKeyInfo of a bare public key. Raises `BadInputError` if it is malformed."""
    from cryptography.hazmat.primitives.asymmetric import ed25519, mldsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    _require_known(algorithm)
    types = {
        ED25519: ed25519.Ed25519PublicKey,
        ML_DSA_44: mldsa.MLDSA44PublicKey,
        ML_DSA_65: mldsa.MLDSA65PublicKey,
        ML_DSA_87: mldsa.MLDSA87PublicKey,
    }
    try:
        key = types[algorithm].from_public_bytes(public)  # type: ignore[attr-defined]
    except ValueError:
        raise BadInputError(f"not an {algorithm} public key") from None
    return bytes(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def algorithm_of_spki(spki_der: bytes) -> str:
    """Name of the algorithm that an SPKI is for. Raises `BadInputError` for any other."""
    name = type(_load_public(spki_der)).__name__
    for algorithm in ALGORITHMS:
        if name == algorithm.replace("-", "") + "PublicKey":
            return algorithm
    raise BadInputError("public key is of an algorithm that is not supported")


def verify_signature(algorithm: str, spki_der: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` over `message` is valid under a key of exactly this algorithm.

    Raises `BadInputError` when the key cannot be read or is of another algorithm.
    """
    from cryptography.exceptions import InvalidSignature

    _require_known(algorithm)
    if algorithm_of_spki(spki_der) != algorithm:
        raise BadInputError(f"the key is no {algorithm} key")
    try:
        _load_public(spki_der).verify(signature, message)  # type: ignore[attr-defined]
    except (InvalidSignature, ValueError):
        return False
    return True


def _require_known(algorithm: str) -> None:
    if algorithm not in ALGORITHMS:
        raise BadInputError(
            f"unknown signature algorithm {algorithm!r}",
            hint=f"use one of: {', '.join(ALGORITHMS)}",
        )


def _private_type(
    algorithm: str,
) -> tuple[Callable[[], PrivateKey], Callable[[bytes], PrivateKey]]:
    from cryptography.hazmat.primitives.asymmetric import ed25519, mldsa

    _require_known(algorithm)
    if algorithm == ED25519:
        kind = ed25519.Ed25519PrivateKey
        return kind.generate, kind.from_private_bytes
    types = {
        ML_DSA_44: mldsa.MLDSA44PrivateKey,
        ML_DSA_65: mldsa.MLDSA65PrivateKey,
        ML_DSA_87: mldsa.MLDSA87PrivateKey,
    }
    pq_kind = types[algorithm]
    return pq_kind.generate, pq_kind.from_seed_bytes  # type: ignore[attr-defined]


def _load_public(spki_der: bytes) -> object:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        return load_der_public_key(spki_der)
    except (ValueError, UnsupportedAlgorithm):
        raise BadInputError("public key cannot be read") from None
