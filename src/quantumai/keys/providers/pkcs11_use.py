"""Using keys inside a token: public halves, signatures, and ML-KEM's shared secrets.

Mechanisms and templates are fixed here, as for making keys.
"""

from __future__ import annotations

import ctypes
import struct
from hashlib import sha256, sha384
from typing import TYPE_CHECKING, Any

from quantumai.errors import BadInputError, KeyUnavailableError
from quantumai.keys.algorithms import PublicKey
from quantumai.keys.parameters import ECDSA_P256, PARAMETER_SETS, Family, ParameterSet
from quantumai.keys.providers.pkcs11_numbers import CURVES, KINDS, SET_NUMBERS
from quantumai.keys.spki import spki_of_raw

if TYPE_CHECKING:
    from pkcs11 import PublicKey as TokenPublicKey

_HEDGE_PREFERRED = 0  # CKH_HEDGE_PREFERRED
_SECRET_BITS = 256
# Measured: kryoptic 1.5.4 answers more with a device error, as if it were broken.
MOST_MESSAGE_BYTES = 2**20


def public_key_of(public: TokenPublicKey) -> PublicKey:
    """The record of a public key object. Raises `KeyUnavailableError` if it is none of ours."""
    entry = _entry_of(public)
    return PublicKey.of(entry.name, _spki(entry, public))


def sign_with(private: Any, entry: ParameterSet, message: bytes, context: bytes) -> bytes:
    """Sign inside the token; ECDSA comes out in DER (RFC 3279), as everywhere else.

    Raises `BadInputError` for a message over 1 MiB that the token would have to hash itself.
    """
    from pkcs11 import MGF, Mechanism

    mechanism = KINDS[entry.family].use_mechanism
    if entry.family is Family.ECDSA:
        hashed = (sha256 if entry.name == ECDSA_P256 else sha384)(message)
        return _der_of(private.sign(hashed.digest(), mechanism=mechanism))
    if entry.family is Family.RSA_PSS:
        pss = (Mechanism.SHA256, MGF.SHA256, 32)
        digest = sha256(message).digest()
        return bytes(private.sign(digest, mechanism=mechanism, mechanism_param=pss))
    if len(message) > MOST_MESSAGE_BYTES:
        raise BadInputError(
            f"{entry.name} keys in a token sign at most {MOST_MESSAGE_BYTES} bytes, "
            f"this one has {len(message)}",
            hint="sign a digest of the message",
        )
    if not context:
        return bytes(private.sign(message, mechanism=mechanism))
    # CK_SIGN_ADDITIONAL_CONTEXT; the buffer has to live until the signature is made.
    buffer = ctypes.create_string_buffer(context, len(context))
    packed = struct.pack("LPL", _HEDGE_PREFERRED, ctypes.addressof(buffer), len(context))
    return bytes(private.sign(message, mechanism=mechanism, mechanism_param=packed))


def decapsulate_with(private: Any, ciphertext: bytes) -> bytes:
    """The 32-byte shared secret of an ML-KEM ciphertext.

    The token makes it a secret key object of the session, and its value is read here, because the
    KMS derives the key that wraps data from it. So the template asks for a readable object. That is
    decided here, for this one object, which is destroyed at once; the private key stays inside.
    """
    from pkcs11 import Attribute, KeyType, MechanismFlag

    secret = private.decapsulate_key(
        ciphertext,
        KeyType.GENERIC_SECRET,
        _SECRET_BITS,
        mechanism=KINDS[Family.ML_KEM].use_mechanism,
        capabilities=MechanismFlag(0),
        store=False,
        template={Attribute.SENSITIVE: False, Attribute.EXTRACTABLE: True},
    )
    try:
        return bytes(secret[Attribute.VALUE])
    finally:
        secret.destroy()


def _entry_of(public: TokenPublicKey) -> ParameterSet:
    from pkcs11 import Attribute

    key_type = int(public[Attribute.KEY_TYPE])
    family = next((f for f, kind in KINDS.items() if kind.key_type == key_type), None)
    if family is Family.RSA_PSS:
        return next(e for e in PARAMETER_SETS.values() if e.family is family)
    numbers: dict[str, Any] = SET_NUMBERS
    attribute = Attribute.PARAMETER_SET
    if family in (Family.ECDSA, Family.ED25519):
        numbers, attribute = CURVES, Attribute.EC_PARAMS
    number = public[attribute] if family else None
    for name, known in numbers.items():
        if known == number and PARAMETER_SETS[name].family is family:
            return PARAMETER_SETS[name]
    raise KeyUnavailableError("a key in the token is of a kind that is not supported")


def _spki(entry: ParameterSet, public: TokenPublicKey) -> bytes:
    from pkcs11 import Attribute

    if entry.family is Family.RSA_PSS:
        return _rsa_spki(
            *(bytes(public[a]) for a in (Attribute.MODULUS, Attribute.PUBLIC_EXPONENT))
        )
    if entry.name not in CURVES:
        return spki_of_raw(entry.name, bytes(public[Attribute.VALUE]))
    point, size = bytes(public[Attribute.EC_POINT]), entry.public_key_bytes
    # A DER OCTET STRING; some tokens give Edwards points bare.
    if size is not None and len(point) == size + 2 and point[:2] == bytes([4, size]):
        point = point[2:]
    return spki_of_raw(entry.name, point)


def _rsa_spki(modulus: bytes, exponent: bytes) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    numbers = RSAPublicNumbers(int.from_bytes(exponent, "big"), int.from_bytes(modulus, "big"))
    public = numbers.public_key()
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _der_of(raw: bytes) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    half = len(raw) // 2
    return encode_dss_signature(
        int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big")
    )
