"""Signatures checked by libraries themselves, from a public key in PEM, without our code."""

from __future__ import annotations

import base64
import hashlib
import importlib
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding

PSS = padding.PSS(padding.MGF1(hashes.SHA256()), 32)


def library_verifies(
    algorithm: str, pem: bytes, message: bytes, signature: bytes, context: bytes = b""
) -> bool:
    """Whether `cryptography` takes the signature; for SLH-DSA, whether `pqcrypto` does."""
    if algorithm.startswith("SLH-DSA"):
        return _pqcrypto_verifies(algorithm, raw_of_pem(pem), message, signature, context)
    key: Any = serialization.load_pem_public_key(pem)
    arguments: tuple[Any, ...] = {
        "ML-DSA": (context,),
        "ECDSA-P256": (ec.ECDSA(hashes.SHA256()),),
        "ECDSA-P384": (ec.ECDSA(hashes.SHA384()),),
        "RSA-3072-PSS": (PSS, hashes.SHA256()),
        "Ed25519": (),
    }[algorithm if not algorithm.startswith("ML-DSA") else "ML-DSA"]
    try:
        key.verify(signature, message, *arguments)
    except InvalidSignature:
        return False
    return True


def raw_of_pem(pem: bytes) -> bytes:
    """The bare key of a post-quantum SubjectPublicKeyInfo, whose header has a fixed length.

    SEQUENCE, SEQUENCE, OID of 11 bytes, BIT STRING (RFC 9881, RFC 9909, RFC 9935).
    """
    der = _der(pem)
    start = der.index(bytes.fromhex("0609608648016503")) + 11  # the OID itself
    assert der[start] == 0x03
    long_form = der[start + 1] & 0x7F if der[start + 1] & 0x80 else 0
    return der[start + 2 + long_form + 1 :]


def key_id_of_pem(pem: bytes) -> str:
    """SHA-256 of the SubjectPublicKeyInfo, hex."""
    return hashlib.sha256(_der(pem)).hexdigest()


def _der(pem: bytes) -> bytes:
    return base64.b64decode(b"".join(pem.split(b"\n")[1:-2]))


def _pqcrypto_verifies(
    algorithm: str, public: bytes, message: bytes, signature: bytes, context: bytes
) -> bool:
    from pqcrypto.pqcrypto import InvalidSignatureError

    module: Any = importlib.import_module("pqcrypto.sign." + algorithm.lower().replace("-", "_"))
    try:
        module.verify(public, message, signature, context)
    except InvalidSignatureError:
        return False
    return True
