"""Signatures checked by libraries themselves, from a public key, without our code.

A library that is wrong agrees with itself, so who made a signature is not asked about it. Soft keys
and the AWS emulation sign by `cryptography`, soft SLH-DSA keys by `pqcrypto`; a token by itself.
"Arithmetic" is `textbook_signatures`, which takes from `cryptography` only how a key is read.
"""

from __future__ import annotations

import base64
import hashlib
import importlib
from collections.abc import Callable
from typing import Any

import slhdsa
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from tests import textbook_signatures as textbook

PSS = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
# pqcrypto takes no longer ML-DSA messages.
_LONG = 2**20

Verifier = Callable[[bytes, bytes], bool]


def software_maker(algorithm: str) -> str:
    """The library by which soft keys and the AWS emulation sign."""
    return "pqcrypto" if algorithm.startswith("SLH-DSA") else "cryptography"


def verifiers(algorithm: str, spki_der: bytes, context: bytes = b"") -> dict[str, Verifier]:
    """The two libraries that can verify, by name; each is given a message and a signature."""
    if algorithm.startswith("SLH-DSA"):
        raw = _raw(spki_der)
        parameters = algorithm.removeprefix("SLH-DSA-").lower().replace("-", "_")
        public = slhdsa.PublicKey.from_digest(raw, getattr(slhdsa, parameters))
        return {
            "pqcrypto": lambda m, s: _pqcrypto_verifies(algorithm, raw, m, s, context),
            "slh-dsa": lambda m, s: bool(public.verify_pure(m, s, context)),
        }
    ours = {"cryptography": lambda m, s: _cryptography_verifies(algorithm, spki_der, m, s, context)}
    if algorithm.startswith("ML-DSA"):
        raw = _raw(spki_der)
        return ours | {"pqcrypto": lambda m, s: _pqcrypto_verifies(algorithm, raw, m, s, context)}
    return ours | {"arithmetic": _arithmetic(algorithm, spki_der)}


def library_verifies(
    algorithm: str, pem: bytes, message: bytes, signature: bytes, context: bytes = b""
) -> bool:
    """Whether a library that makes no signatures in these tests takes this one.

    That is `pqcrypto` for ML-DSA, `slh-dsa` for SLH-DSA and arithmetic for all others. ML-DSA over
    more than 1 MiB is the exception: `cryptography` alone can verify it, and may have made it.
    """
    found, maker = verifiers(algorithm, _der(pem), context), software_maker(algorithm)
    is_long = algorithm.startswith("ML-DSA") and len(message) > _LONG
    (verify,) = [found[name] for name in found if (name == maker) is is_long]
    return verify(message, signature)


def raw_of_pem(pem: bytes) -> bytes:
    """The bare key of a post-quantum SubjectPublicKeyInfo, whose header has a fixed length."""
    return _raw(_der(pem))


def key_id_of_pem(pem: bytes) -> str:
    """SHA-256 of the SubjectPublicKeyInfo, hex."""
    return hashlib.sha256(_der(pem)).hexdigest()


def _der(pem: bytes) -> bytes:
    return base64.b64decode(b"".join(pem.split(b"\n")[1:-2]))


def _raw(der: bytes) -> bytes:
    """SEQUENCE, SEQUENCE, OID of 11 bytes, BIT STRING (RFC 9881, RFC 9909, RFC 9935)."""
    start = der.index(bytes.fromhex("0609608648016503")) + 11  # the OID itself
    assert der[start] == 0x03
    long_form = der[start + 1] & 0x7F if der[start + 1] & 0x80 else 0
    return der[start + 2 + long_form + 1 :]


def _cryptography_verifies(
    algorithm: str, spki_der: bytes, message: bytes, signature: bytes, context: bytes
) -> bool:
    key: Any = load_der_public_key(spki_der)
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


def _pqcrypto_verifies(
    algorithm: str, public: bytes, message: bytes, signature: bytes, context: bytes
) -> bool:
    from pqcrypto.pqcrypto import InvalidSignatureError

    importlib.import_module("pqcrypto.sign")
    module: Any = importlib.import_module("pqcrypto.sign." + algorithm.lower().replace("-", "_"))
    try:
        module.verify(public, message, signature, context)
    except InvalidSignatureError:
        return False
    return True


def _arithmetic(algorithm: str, spki_der: bytes) -> Verifier:
    key: Any = load_der_public_key(spki_der)
    if algorithm == "RSA-3072-PSS":
        numbers = key.public_numbers()
        return lambda m, s: textbook.rsa_pss_verifies(numbers.n, numbers.e, m, s)
    if algorithm == "Ed25519":
        raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
        return lambda m, s: textbook.ed25519_verifies(raw, m, s)
    point = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    curve = textbook.P256 if algorithm == "ECDSA-P256" else textbook.P384
    return lambda m, s: textbook.ecdsa_verifies(curve, point, m, s)
