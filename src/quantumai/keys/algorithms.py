"""Signature algorithms by name: generate, serialise, sign and verify (FIPS 204, 186-5, RFC 8032).

Public keys travel as DER SubjectPublicKeyInfo (RFC 9881 for ML-DSA, RFC 8410 for Ed25519, RFC 5480
for ECDSA). ML-DSA is used with an empty context string throughout; ECDSA over P-256 with SHA-256
and DER signatures (RFC 3279).
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
ECDSA_P256 = "ECDSA-P256"
ALGORITHMS = (ML_DSA_44, ML_DSA_65, ML_DSA_87, ED25519, ECDSA_P256)
_CLASSICAL = (ED25519, ECDSA_P256)


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
    return AlgorithmClass.CLASSICAL if algorithm in _CLASSICAL else AlgorithmClass.POST_QUANTUM


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
    """The bare public key inside an SPKI (32 bytes for Ed25519, an uncompressed EC point)."""
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = _load_public(spki_der)
    if isinstance(public, EllipticCurvePublicKey):
        return public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return bytes(public.public_bytes_raw())  # type: ignore[attr-defined]


def spki_of_raw(algorithm: str, public: bytes) -> bytes:
    """DER SubjectPublicKeyInfo of a bare public key. Raises `BadInputError` if it is malformed."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    _require_known(algorithm)
    types = {
        ED25519: ed25519.Ed25519PublicKey,
        ML_DSA_44: mldsa.MLDSA44PublicKey,
        ML_DSA_65: mldsa.MLDSA65PublicKey,
        ML_DSA_87: mldsa.MLDSA87PublicKey,
    }
    try:
        if algorithm == ECDSA_P256:
            key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public)
        else:
            key = types[algorithm].from_public_bytes(public)  # type: ignore[attr-defined]
    except ValueError:
        raise BadInputError(f"not an {algorithm} public key") from None
    return bytes(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def algorithm_of_spki(spki_der: bytes) -> str:
    """Name of the algorithm that an SPKI is for. Raises `BadInputError` for any other."""
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey

    public = _load_public(spki_der)
    if isinstance(public, EllipticCurvePublicKey) and isinstance(public.curve, SECP256R1):
        return ECDSA_P256
    name = type(public).__name__
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
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.hashes import SHA256

    public = _load_public(spki_der)
    try:
        if isinstance(public, EllipticCurvePublicKey):
            public.verify(signature, message, ECDSA(SHA256()))
        else:
            public.verify(signature, message)  # type: ignore[attr-defined]
    except (InvalidSignature, ValueError):
        return False
    return True


def _require_known(algorithm: str) -> None:
    if algorithm not in ALGORITHMS:
        raise BadInputError(
            f"unknown signature algorithm {algorithm!r}",
            hint=f"use one of: {', '.join(ALGORITHMS)}",
        )


class _EcdsaP256:
    """An ECDSA key with the shape of the others: its "seed" is the 32-byte scalar."""

    def __init__(self, seed: bytes | None = None) -> None:
        from cryptography.hazmat.primitives.asymmetric import ec

        curve = ec.SECP256R1()
        self._key = (
            ec.generate_private_key(curve)
            if seed is None
            else ec.derive_private_key(int.from_bytes(seed, "big"), curve)
        )

    def sign(self, data: bytes, /) -> bytes:
        from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
        from cryptography.hazmat.primitives.hashes import SHA256

        return self._key.sign(data, ECDSA(SHA256()))

    def private_bytes_raw(self) -> bytes:
        return self._key.private_numbers().private_value.to_bytes(32, "big")

    def public_key(self) -> object:
        return self._key.public_key()


def _private_type(
    algorithm: str,
) -> tuple[Callable[[], PrivateKey], Callable[[bytes], PrivateKey]]:
    from cryptography.hazmat.primitives.asymmetric import ed25519, mldsa

    _require_known(algorithm)
    if algorithm == ECDSA_P256:
        return _EcdsaP256, _EcdsaP256
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
