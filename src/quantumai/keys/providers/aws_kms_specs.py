"""Our algorithms in AWS KMS: key specs, and how a message is put to `Sign`.

`Sign` takes 1 to 4,096 bytes. Of any other message ML-DSA signs the external mu (FIPS 204, section
6.2), ECDSA and RSA the digest: the signature is the same as that of the message. mu covers the
context too, so a context can be signed although `Sign` has no field for one. Ed25519 (RFC 8032)
reads a message twice and has no such form; its pre-hash variant is another algorithm.
Source: API reference of AWS KMS for Sign, CreateKey and Decapsulate.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass

from quantumai.errors import BadInputError
from quantumai.keys.parameters import (
    ECDSA_P256,
    ECDSA_P384,
    ED25519,
    ML_DSA_44,
    ML_DSA_65,
    ML_DSA_87,
    ML_KEM_512,
    ML_KEM_768,
    ML_KEM_1024,
    RSA_3072_PSS,
)
from quantumai.keys.providers.port import Ability
from quantumai.keys.signatures import ml_dsa_mu
from quantumai.keys.spki import raw_public_bytes

MAX_MESSAGE_BYTES = 4096
KEM_ALGORITHM = "ML_KEM"
_EXTERNAL_MU = "EXTERNAL_MU"


@dataclass(frozen=True)
class AwsKeySpec:
    """What AWS KMS calls the keys of one algorithm; `hash_name` is that of a digest to sign."""

    key_spec: str
    abilities: frozenset[Ability]
    signing_algorithm: str = ""
    hash_name: str = ""

    @property
    def key_usage(self) -> str:
        """The use that a key is made for; it cannot be changed."""
        return "SIGN_VERIFY" if self.signing_algorithm else "ENCAPSULATE_DECAPSULATE"


@dataclass(frozen=True)
class ToSign:
    """Message and message type of one `Sign` request."""

    message: bytes
    message_type: str


_SIGN = frozenset({Ability.SIGN})
_ML_DSA = frozenset({Ability.SIGN, Ability.CONTEXT, Ability.EXTERNAL_MU})
_ML_KEM = frozenset({Ability.DECAPSULATE})
_SHAKE_256 = "ML_DSA_SHAKE_256"

SPECS: Mapping[str, AwsKeySpec] = {
    ML_DSA_44: AwsKeySpec("ML_DSA_44", _ML_DSA, _SHAKE_256),
    ML_DSA_65: AwsKeySpec("ML_DSA_65", _ML_DSA, _SHAKE_256),
    ML_DSA_87: AwsKeySpec("ML_DSA_87", _ML_DSA, _SHAKE_256),
    ML_KEM_512: AwsKeySpec("ML_KEM_512", _ML_KEM),
    ML_KEM_768: AwsKeySpec("ML_KEM_768", _ML_KEM),
    ML_KEM_1024: AwsKeySpec("ML_KEM_1024", _ML_KEM),
    ED25519: AwsKeySpec("ECC_NIST_EDWARDS25519", _SIGN, "ED25519_SHA_512"),
    ECDSA_P256: AwsKeySpec("ECC_NIST_P256", _SIGN, "ECDSA_SHA_256", "sha256"),
    ECDSA_P384: AwsKeySpec("ECC_NIST_P384", _SIGN, "ECDSA_SHA_384", "sha384"),
    RSA_3072_PSS: AwsKeySpec("RSA_3072", _SIGN, "RSASSA_PSS_SHA_256", "sha256"),
}


def to_sign(algorithm: str, spki_der: bytes, message: bytes, context: bytes) -> ToSign:
    """How to put a message to `Sign`.

    Raises `BadInputError` for an Ed25519 message that is empty or has more than 4,096 bytes.
    """
    fits = 1 <= len(message) <= MAX_MESSAGE_BYTES
    if fits and not context:
        return ToSign(message, "RAW")
    if SPECS[algorithm].signing_algorithm == _SHAKE_256:
        mu = ml_dsa_mu(raw_public_bytes(spki_der), io.BytesIO(message), context)
        return ToSign(mu, _EXTERNAL_MU)
    if not SPECS[algorithm].hash_name:
        raise BadInputError(
            f"AWS KMS signs {algorithm} messages of 1 to {MAX_MESSAGE_BYTES} bytes, "
            f"this one has {len(message)}",
            hint="sign a hash of it, or use an ML-DSA key",
        )
    return ToSign(hashlib.new(SPECS[algorithm].hash_name, message).digest(), "DIGEST")


def external_mu(mu: bytes) -> ToSign:
    """An external mu that the caller computed."""
    return ToSign(mu, _EXTERNAL_MU)


def algorithm_of_spec(key_spec: str) -> str:
    """Our name of a key spec; `BadInputError` for one that we do not use."""
    for algorithm, spec in SPECS.items():
        if spec.key_spec == key_spec:
            return algorithm
    raise BadInputError(f"AWS KMS key spec {key_spec[:40]!r} is not used here")
