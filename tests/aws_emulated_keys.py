"""Key pairs of the AWS KMS emulation: made and used by `cryptography` and `pqcrypto`, not by ours.

This is an EMULATION, written from AWS's API reference. It shows that our requests have the form
that the reference demands and that the answers make sense, and nothing about AWS's service itself.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from quantumai.keys.spki import spki_of_raw

SHA256, SHA384 = hashes.SHA256(), hashes.SHA384()


class EmulatedKey:
    """One key pair; `algorithms` are the signing or encapsulation algorithms that AWS allows."""

    algorithms: tuple[str, ...] = ()
    usage = "SIGN_VERIFY"

    def __init__(self, private: Any) -> None:
        self._private = private

    def public_key(self) -> bytes:
        public = self._private.public_key()
        return bytes(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))

    def sign(self, message: bytes, message_type: str) -> bytes:
        """Raises `ValueError` for a message type or length that AWS refuses."""
        raise NotImplementedError


class MlDsa(EmulatedKey):
    algorithms = ("ML_DSA_SHAKE_256",)

    def sign(self, message: bytes, message_type: str) -> bytes:
        if message_type == "RAW":
            return bytes(self._private.sign(message))
        if message_type != "EXTERNAL_MU" or len(message) != 64:
            raise ValueError("ML-DSA takes RAW, or EXTERNAL_MU of 64 bytes")
        return bytes(self._private.sign_mu(message))


class Ed25519(EmulatedKey):
    algorithms = ("ED25519_SHA_512", "ED25519_PH_SHA_512")

    def sign(self, message: bytes, message_type: str) -> bytes:
        if message_type != "RAW":
            raise ValueError("ED25519_SHA_512 requires RAW")
        return bytes(self._private.sign(message))


class Ecdsa(EmulatedKey):
    @property
    def _hash(self) -> hashes.HashAlgorithm:
        return SHA256 if self._private.curve.key_size == 256 else SHA384

    @property
    def algorithms(self) -> tuple[str, ...]:  # type: ignore[override]
        return (f"ECDSA_SHA_{self._private.curve.key_size}",)

    def sign(self, message: bytes, message_type: str) -> bytes:
        return bytes(
            self._private.sign(message, ec.ECDSA(_form(self._hash, message, message_type)))
        )


class RsaPss(EmulatedKey):
    algorithms = ("RSASSA_PSS_SHA_256",)

    def sign(self, message: bytes, message_type: str) -> bytes:
        pss = padding.PSS(padding.MGF1(SHA256), salt_length=32)
        return bytes(self._private.sign(message, pss, _form(SHA256, message, message_type)))


class MlKem(EmulatedKey):
    algorithms = ("ML_KEM",)
    usage = "ENCAPSULATE_DECAPSULATE"

    def __init__(self, size: int) -> None:
        self._size = size
        importlib.import_module("pqcrypto.kem")
        self._kem = importlib.import_module(f"pqcrypto.kem.ml_kem_{size}")
        self._public, self._secret = (bytes(half) for half in self._kem.keygen())

    def public_key(self) -> bytes:
        return spki_of_raw(f"ML-KEM-{self._size}", self._public)

    def encapsulate(self) -> tuple[bytes, bytes]:
        ciphertext, secret = self._kem.encaps(self._public)
        return bytes(secret), bytes(ciphertext)

    def decapsulate(self, ciphertext: bytes) -> bytes:
        return bytes(self._kem.decaps(self._secret, ciphertext))


def _form(hash_: hashes.HashAlgorithm, message: bytes, message_type: str) -> Any:
    if message_type == "RAW":
        return hash_
    if message_type != "DIGEST" or len(message) != hash_.digest_size:
        raise ValueError("the digest has another length than the hash")
    return Prehashed(hash_)


KEY_SPECS: dict[str, Callable[[], EmulatedKey]] = {
    "ML_DSA_44": lambda: MlDsa(mldsa.MLDSA44PrivateKey.generate()),
    "ML_DSA_65": lambda: MlDsa(mldsa.MLDSA65PrivateKey.generate()),
    "ML_DSA_87": lambda: MlDsa(mldsa.MLDSA87PrivateKey.generate()),
    "ML_KEM_512": lambda: MlKem(512),
    "ML_KEM_768": lambda: MlKem(768),
    "ML_KEM_1024": lambda: MlKem(1024),
    "ECC_NIST_EDWARDS25519": lambda: Ed25519(ed25519.Ed25519PrivateKey.generate()),
    "ECC_NIST_P256": lambda: Ecdsa(ec.generate_private_key(ec.SECP256R1())),
    "ECC_NIST_P384": lambda: Ecdsa(ec.generate_private_key(ec.SECP384R1())),
    "RSA_3072": lambda: RsaPss(rsa.generate_private_key(65537, 3072)),
}
