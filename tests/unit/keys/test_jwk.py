"""JWKs against RFC 9964's own example, `joserfc`, and `cryptography`."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from quantumai.keys.algorithms import PublicKey, spki_of_raw
from quantumai.keys.jwk import public_jwk
from quantumai.keys.parameters import PARAMETER_SETS, Family


def _spki(private: object) -> bytes:
    public = private.public_key()  # type: ignore[attr-defined]
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


# The example keys of RFC 9964, of the all-zero seed: "kid" is their thumbprint as it defines it.
@pytest.mark.parametrize(
    ("kind", "algorithm", "thumbprint"),
    [
        (mldsa.MLDSA44PrivateKey, "ML-DSA-44", "T4xl70S7MT6Zeq6r9V9fPJGVn76wfnXJ21-gyo0Gu6o"),
        (mldsa.MLDSA65PrivateKey, "ML-DSA-65", "Suiu29qbfuaBaR4Ats-c6XQBePB_OpAxAwcTR_0KXVM"),
    ],
)
def test_ml_dsa_has_the_thumbprints_of_the_rfc(kind: type, algorithm: str, thumbprint: str) -> None:
    spki = _spki(kind.from_seed_bytes(bytes(32)))

    jwk = public_jwk(PublicKey.of(algorithm, spki))

    required = {name: jwk[name] for name in ("alg", "kty", "pub")}
    text = json.dumps(required, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).digest()
    assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == thumbprint
    assert jwk["kid"] == hashlib.sha256(spki).hexdigest()


@pytest.mark.parametrize(
    ("algorithm", "private"),
    [
        ("Ed25519", ed25519.Ed25519PrivateKey.generate()),
        ("ECDSA-P256", ec.generate_private_key(ec.SECP256R1())),
        ("ECDSA-P384", ec.generate_private_key(ec.SECP384R1())),
        ("RSA-3072-PSS", rsa.generate_private_key(65537, 3072)),
    ],
)
def test_joserfc_reads_classical_keys_as_the_same_key(algorithm: str, private: object) -> None:
    from joserfc.jwk import import_key

    spki = _spki(private)

    read = import_key(public_jwk(PublicKey.of(algorithm, spki)))

    assert read.raw_value.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == spki
    assert not read.is_private


@pytest.mark.parametrize(
    "algorithm",
    [n for n, e in PARAMETER_SETS.items() if e.family in (Family.SLH_DSA, Family.ML_KEM)],
)
def test_other_post_quantum_keys_are_algorithm_key_pairs(algorithm: str) -> None:
    raw = bytes(PARAMETER_SETS[algorithm].public_key_bytes or 0)

    jwk = public_jwk(PublicKey.of(algorithm, spki_of_raw(algorithm, raw)))

    assert (jwk["kty"], jwk["alg"]) == ("AKP", algorithm)
    assert jwk["use"] == ("enc" if algorithm.startswith("ML-KEM") else "sig")
    assert base64.urlsafe_b64decode(jwk["pub"] + "==") == raw
