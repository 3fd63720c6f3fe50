"""Keys by algorithm name: the public record.

Public keys travel as DER SubjectPublicKeyInfo (`spki`). Names and sizes are in `parameters`,
verification is in `signatures`, ML-KEM in `encapsulation`, private keys are in `software_keys` and
`providers`; what most callers need of names and verification can be imported from here.
"""

from __future__ import annotations

import base64
import binascii

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

__all__ = [
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
    "PublicKey",
    "algorithm_class",
    "algorithm_of_spki",
    "key_id",
    "raw_public_bytes",
    "spki_of_raw",
    "verify_signature",
]


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


def key_id(spki_der: bytes) -> str:
    """SHA-256 of the SubjectPublicKeyInfo, hex."""
    return sha256_hex(spki_der)


def algorithm_class(algorithm: str) -> AlgorithmClass:
    """Class of a known signature algorithm; `BadInputError` otherwise.

    ML-KEM has none here: a key that cannot sign must not count as post-quantum evidence.
    """
    return signature_set(algorithm).algorithm_class
