"""Keys by algorithm name: the public record, and private keys in software.

Public keys travel as DER SubjectPublicKeyInfo (`spki`). Names and sizes are in `parameters`,
verification is in `signatures`, ML-KEM in `encapsulation`; what most callers need of them can be
imported from here.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Protocol

import msgspec

from quantumai.canonical import sha256_hex
from quantumai.errors import BadInputError
from quantumai.keys.parameters import (
    ECDSA_P256,
    ECDSA_P384,
    ED25519,
    KEM_ALGORITHMS,
    ML_DSA_44,
    ML_DSA_65,
    ML_DSA_87,
    ML_KEM_512,
    ML_KEM_768,
    ML_KEM_1024,
    RSA_3072_PSS,
    SIGNATURE_ALGORITHMS,
    AlgorithmClass,
    signature_set,
)
from quantumai.keys.signatures import verify_signature
from quantumai.keys.spki import algorithm_of_spki, raw_public_bytes, spki_of_raw

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "ALGORITHMS",
    "ECDSA_P256",
    "ECDSA_P384",
    "ED25519",
    "KEM_ALGORITHMS",
    "ML_DSA_44",
    "ML_DSA_65",
    "ML_DSA_87",
    "ML_KEM_512",
    "ML_KEM_768",
    "ML_KEM_1024",
    "RSA_3072_PSS",
    "SIGNATURE_ALGORITHMS",
    "AlgorithmClass",
    "PrivateKey",
    "PublicKey",
    "algorithm_class",
    "algorithm_of_spki",
    "from_seed",
    "generate",
    "key_id",
    "raw_public_bytes",
    "spki_of",
    "spki_of_raw",
    "verify_signature",
]

# Those that `generate` makes in software, each from a 32-byte seed.
ALGORITHMS = (ML_DSA_44, ML_DSA_65, ML_DSA_87, ED25519, ECDSA_P256)


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
    """Class of a known signature algorithm; `BadInputError` otherwise.

    ML-KEM has none here: a key that cannot sign must not count as post-quantum evidence.
    """
    return signature_set(algorithm).algorithm_class


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

    if algorithm not in ALGORITHMS:
        raise BadInputError(
            f"cannot make {algorithm[:80]!r} keys in software",
            hint=f"use one of: {', '.join(ALGORITHMS)}",
        )
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
