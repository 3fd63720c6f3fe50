"""Public keys as JSON Web Keys.

ML-DSA: key type AKP of RFC 9964. SLH-DSA and ML-KEM: the same key type, as the drafts
draft-ietf-cose-sphincs-plus and draft-ietf-jose-pqc-kem have it, with the names of FIPS 205 and
FIPS 203; not all of these names are registered yet. Ed25519: RFC 8037, with the name of RFC 9864.
ECDSA and RSA: RFC 7518, section 6.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from quantumai.keys.parameters import ECDSA_P256, ECDSA_P384, Family
from quantumai.keys.spki import parse_spki

if TYPE_CHECKING:
    from quantumai.keys.algorithms import PublicKey

_CURVES = {ECDSA_P256: ("P-256", "ES256"), ECDSA_P384: ("P-384", "ES384")}


def public_jwk(key: PublicKey) -> dict[str, str]:
    """The JWK of a public key; `kid` is its key id, `use` is "sig" or, for ML-KEM, "enc".

    Raises `BadInputError` if the record's SPKI cannot be read.
    """
    entry, raw = parse_spki(key.check().spki_der)
    named = {"kid": key.key_id, "use": "sig" if entry.signs else "enc"}
    if entry.family is Family.ECDSA:
        curve, algorithm = _CURVES[entry.name]
        half = len(raw) // 2  # an uncompressed point is 0x04, x, y
        x, y = _base64url(raw[1 : 1 + half]), _base64url(raw[1 + half :])
        return named | {"kty": "EC", "crv": curve, "alg": algorithm, "x": x, "y": y}
    if entry.family is Family.ED25519:
        return named | {"kty": "OKP", "crv": "Ed25519", "alg": "Ed25519", "x": _base64url(raw)}
    if entry.family is Family.RSA_PSS:
        return named | {"kty": "RSA", "alg": "PS256"} | _rsa_numbers(key.spki_der)
    return named | {"kty": "AKP", "alg": entry.name, "pub": _base64url(raw)}


def _rsa_numbers(spki_der: bytes) -> dict[str, str]:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    key = load_der_public_key(spki_der)
    assert isinstance(key, RSAPublicKey)
    numbers = key.public_numbers()
    return {"n": _integer(numbers.n), "e": _integer(numbers.e)}


def _integer(value: int) -> str:
    return _base64url(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
