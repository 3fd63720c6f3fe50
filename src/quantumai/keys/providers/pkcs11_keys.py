"""Key pairs inside a token: how they are made, what is demanded of them, how they sign.

Templates are fixed here: no caller's attribute reaches the token. PKCS#11 3.2 sections 4.9 (private
keys), 6.3 (EC), 6.67 (ML-DSA).
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from quantumai.errors import InsecureRefusedError, KeyUnavailableError
from quantumai.keys import algorithms

if TYPE_CHECKING:
    from pkcs11 import PrivateKey, PublicKey, Session
    from pkcs11.types import SignMixin

# CKP_ML_DSA_44, _65, _87
_PARAMETER_SETS = {algorithms.ML_DSA_44: 1, algorithms.ML_DSA_65: 2, algorithms.ML_DSA_87: 3}
# DER object identifiers: 1.3.101.112 (RFC 8410), prime256v1 (RFC 5480)
_CURVES = {
    algorithms.ED25519: bytes.fromhex("06032b6570"),
    algorithms.ECDSA_P256: bytes.fromhex("06082a8648ce3d030107"),
}
_POINT_BYTES = {algorithms.ED25519: 32, algorithms.ECDSA_P256: 65}


@dataclass(frozen=True)
class Mechanisms:
    """Mechanism numbers that an algorithm needs: key pair generation and signing."""

    generate: int
    sign: int


MECHANISMS = {
    algorithms.ML_DSA_44: Mechanisms(0x1C, 0x1D),
    algorithms.ML_DSA_65: Mechanisms(0x1C, 0x1D),
    algorithms.ML_DSA_87: Mechanisms(0x1C, 0x1D),
    algorithms.ED25519: Mechanisms(0x1055, 0x1057),
    algorithms.ECDSA_P256: Mechanisms(0x1040, 0x1041),
}


def supported_algorithms(mechanisms: frozenset[int]) -> tuple[str, ...]:
    """Which of our algorithms a token with these mechanisms can make and use."""
    return tuple(
        name for name, needs in MECHANISMS.items() if {needs.generate, needs.sign} <= mechanisms
    )


def generate_pair(
    session: Session, algorithm: str, label: str, object_id: bytes, *, store: bool = True
) -> tuple[PublicKey, PrivateKey]:
    """Make a key pair and demand that it never was and never will be readable.

    A pair that does not keep the demands is destroyed and `InsecureRefusedError` raised.
    """
    from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag

    options: dict[str, Any] = {
        "id": object_id,
        "label": label,
        "store": store,
        "capabilities": MechanismFlag.SIGN | MechanismFlag.VERIFY,
        "public_template": {
            Attribute.PRIVATE: False,
            Attribute.COPYABLE: False,
            Attribute.MODIFIABLE: False,
        },
        "private_template": _private_template(),
    }
    if algorithm in _PARAMETER_SETS:
        options["public_template"][Attribute.PARAMETER_SET] = _PARAMETER_SETS[algorithm]
        public, private = session.generate_keypair(KeyType.ML_DSA, **options)
    else:
        edwards = algorithm == algorithms.ED25519
        domain = session.create_domain_parameters(
            KeyType.EC_EDWARDS if edwards else KeyType.EC,
            {Attribute.EC_PARAMS: _CURVES[algorithm]},
            local=True,
        )
        mechanism = Mechanism.EC_EDWARDS_KEY_PAIR_GEN if edwards else Mechanism.EC_KEY_PAIR_GEN
        public, private = domain.generate_keypair(mechanism=mechanism, **options)
    try:
        require_sealed(private, stored=store)
        probe_unreadable(private)
    except BaseException:
        private.destroy()
        public.destroy()
        raise
    return public, private


def _private_template() -> dict[Any, bool]:
    from pkcs11 import Attribute

    return {
        Attribute.PRIVATE: True,
        Attribute.SENSITIVE: True,
        Attribute.EXTRACTABLE: False,
        Attribute.COPYABLE: False,
        Attribute.MODIFIABLE: False,
    }


def require_sealed(private: PrivateKey, *, stored: bool = True) -> None:
    """Demand that a private key was made inside and is sealed for good.

    Raises `InsecureRefusedError` and names what is wrong.
    """
    from pkcs11 import Attribute, PKCS11Error

    demanded = {
        Attribute.TOKEN: stored,
        Attribute.PRIVATE: True,
        Attribute.SENSITIVE: True,
        Attribute.EXTRACTABLE: False,
        Attribute.COPYABLE: False,
        Attribute.MODIFIABLE: False,
        Attribute.LOCAL: True,
        Attribute.ALWAYS_SENSITIVE: True,
        Attribute.NEVER_EXTRACTABLE: True,
    }
    for attribute, wanted in demanded.items():
        try:
            found = bool(private[attribute])
        except PKCS11Error:
            found = not wanted
        if found is not wanted:
            raise InsecureRefusedError(
                f"a key in the token is not sealed: {attribute.name} is {found}",
                hint="make a new key; do not use this one",
            )


def probe_unreadable(private: PrivateKey) -> None:
    """Try to read the secret parts; `InsecureRefusedError` if the token hands one out.

    Early releases of kryoptic gave VALUE and SEED of ML-DSA keys to anyone logged in.
    """
    from pkcs11 import Attribute, AttributeSensitive, AttributeTypeInvalid

    for attribute in (Attribute.VALUE, Attribute.SEED, Attribute.PRIVATE_EXPONENT):
        try:
            _ = private[attribute]
        except (AttributeSensitive, AttributeTypeInvalid):
            continue
        raise InsecureRefusedError(
            f"the token hands out private keys: {attribute.name} can be read",
            hint="use a newer version of the token, and new keys",
        )


def probe_token(session: Session, algorithm: str) -> None:
    """Make a key that lives only in this session and try to get it out of the token."""
    from pkcs11 import Attribute, PKCS11Error

    public, private = generate_pair(session, algorithm, "quantumai-probe", b"probe", store=False)
    try:
        for change in ({Attribute.EXTRACTABLE: True}, {Attribute.SENSITIVE: False}):
            try:
                private.copy(change)
            except PKCS11Error:
                continue
            raise InsecureRefusedError(
                "the token makes readable copies of keys",
                hint="use a newer version of the token, and new keys",
            )
    finally:
        private.destroy()
        public.destroy()


def spki_of_object(public: PublicKey) -> tuple[str, bytes]:
    """Algorithm and DER SubjectPublicKeyInfo of a public key object in the token."""
    from pkcs11 import Attribute, KeyType

    if public[Attribute.KEY_TYPE] == KeyType.ML_DSA:
        wanted = public[Attribute.PARAMETER_SET]
        algorithm = next(name for name, number in _PARAMETER_SETS.items() if number == wanted)
        return algorithm, algorithms.spki_of_raw(algorithm, bytes(public[Attribute.VALUE]))
    parameters = bytes(public[Attribute.EC_PARAMS])
    found = [name for name, oid in _CURVES.items() if oid == parameters]
    if not found:
        raise KeyUnavailableError("a key in the token is on a curve that is not supported")
    point = bytes(public[Attribute.EC_POINT])
    size = _POINT_BYTES[found[0]]
    # A DER OCTET STRING; some tokens give Edwards points bare.
    if len(point) == size + 2 and point[:2] == bytes([4, size]):
        point = point[2:]
    return found[0], algorithms.spki_of_raw(found[0], point)


def sign_with(private: SignMixin, algorithm: str, message: bytes) -> bytes:
    """Sign inside the token; ECDSA comes out in DER (RFC 3279), as everywhere else."""
    from pkcs11 import Mechanism

    if algorithm == algorithms.ECDSA_P256:
        from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

        raw = private.sign(sha256(message).digest(), mechanism=Mechanism.ECDSA)
        half = len(raw) // 2
        return encode_dss_signature(
            int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big")
        )
    mechanism = Mechanism.EDDSA if algorithm == algorithms.ED25519 else Mechanism.ML_DSA
    return bytes(private.sign(message, mechanism=mechanism))
