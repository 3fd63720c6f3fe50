"""Key pairs inside a token: how they are made, and what is demanded of them.

Templates are fixed here: no caller's attribute reaches the token. PKCS#11 3.2, section 4.9 (private
keys).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quantumai.errors import InsecureRefusedError
from quantumai.keys import parameters
from quantumai.keys.parameters import Family, ParameterSet, parameter_set
from quantumai.keys.providers.pkcs11_numbers import CURVES, KINDS, SET_NUMBERS

if TYPE_CHECKING:
    from pkcs11 import PrivateKey, PublicKey, Session

_RSA_BITS = 3072
# The probe is about the kind of object, so its keys are the quickest of their kind.
_PROBE_RSA_BITS = 2048
_PROBES = (
    parameters.ML_DSA_44,
    "SLH-DSA-SHA2-128f",
    parameters.ML_KEM_512,
    parameters.ED25519,
    parameters.ECDSA_P256,
    parameters.RSA_3072_PSS,
)


def generate_pair(
    session: Session, algorithm: str, label: str, object_id: bytes
) -> tuple[PublicKey, PrivateKey]:
    """Make a key pair in the token and demand that it never was and never will be readable.

    A pair that does not keep the demands is destroyed and `InsecureRefusedError` raised.
    """
    return _generate(session, parameter_set(algorithm), label, object_id, stored=True)


def probe_token(session: Session, algorithms: frozenset[str]) -> None:
    """Make a key of each kind that lives only in this session, and try to get it out.

    Raises `InsecureRefusedError` if the token lets one out.
    """
    for algorithm in _PROBES:
        if algorithm in algorithms:
            entry = parameter_set(algorithm)
            public, private = _generate(
                session, entry, "quantumai-probe", b"quantumai-probe", stored=False
            )
            try:
                _require_no_readable_copy(private)
            finally:
                private.destroy()
                public.destroy()


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


def secret_attributes() -> tuple[Any, ...]:
    """The attributes that hold a private key or a part of one."""
    from pkcs11 import Attribute

    return (
        Attribute.VALUE,
        Attribute.SEED,
        Attribute.PRIVATE_EXPONENT,
        Attribute.PRIME_1,
        Attribute.PRIME_2,
        Attribute.EXPONENT_1,
        Attribute.EXPONENT_2,
        Attribute.COEFFICIENT,
    )


def probe_unreadable(private: PrivateKey) -> None:
    """Try to read the secret parts; `InsecureRefusedError` if the token hands one out.

    Early releases of kryoptic gave VALUE and SEED of ML-DSA keys to anyone logged in.
    """
    from pkcs11 import AttributeSensitive, AttributeTypeInvalid

    for attribute in secret_attributes():
        try:
            _ = private[attribute]
        except (AttributeSensitive, AttributeTypeInvalid):
            continue
        raise InsecureRefusedError(
            f"the token hands out private keys: {attribute.name} can be read",
            hint="use a newer version of the token, and new keys",
        )


def _generate(
    session: Session, entry: ParameterSet, label: str, object_id: bytes, *, stored: bool
) -> tuple[PublicKey, PrivateKey]:
    from pkcs11 import Attribute, MechanismFlag

    public_template = {
        Attribute.PRIVATE: False,
        Attribute.COPYABLE: False,
        Attribute.MODIFIABLE: False,
    } | _parameters(entry)
    bits = (_RSA_BITS if stored else _PROBE_RSA_BITS) if entry.family is Family.RSA_PSS else None
    kind = KINDS[entry.family]
    # For ML-KEM python-pkcs11 itself adds what such a key is for.
    signing = MechanismFlag.SIGN | MechanismFlag.VERIFY
    public, private = session.generate_keypair(
        kind.type_member,
        bits,
        mechanism=kind.generate_mechanism,
        id=object_id,
        label=label,
        store=stored,
        capabilities=signing if entry.signs else MechanismFlag(0),
        public_template=public_template,
        private_template=_private_template(),
    )
    try:
        require_sealed(private, stored=stored)
        probe_unreadable(private)
    except BaseException:
        private.destroy()
        public.destroy()
        raise
    return public, private


def _parameters(entry: ParameterSet) -> dict[Any, Any]:
    from pkcs11 import Attribute

    if entry.name in CURVES:
        return {Attribute.EC_PARAMS: CURVES[entry.name]}
    if entry.name in SET_NUMBERS:
        return {Attribute.PARAMETER_SET: SET_NUMBERS[entry.name]}
    return {}


def _private_template() -> dict[Any, bool]:
    from pkcs11 import Attribute

    return {
        Attribute.PRIVATE: True,
        Attribute.SENSITIVE: True,
        Attribute.EXTRACTABLE: False,
        Attribute.COPYABLE: False,
        Attribute.MODIFIABLE: False,
    }


def _require_no_readable_copy(private: PrivateKey) -> None:
    from pkcs11 import Attribute, PKCS11Error

    for change in ({Attribute.EXTRACTABLE: True}, {Attribute.SENSITIVE: False}):
        try:
            private.copy(change)
        except PKCS11Error:
            continue
        raise InsecureRefusedError(
            "the token makes readable copies of keys",
            hint="use a newer version of the token, and new keys",
        )
