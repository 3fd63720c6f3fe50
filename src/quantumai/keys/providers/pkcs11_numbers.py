"""PKCS#11's numbers for our algorithms, by family and by parameter set.

From the header of PKCS#11 3.2 (pkcs11t.h); python-pkcs11 0.10 lacks those of SLH-DSA.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from quantumai.keys import parameters
from quantumai.keys.parameters import PARAMETER_SETS, Family, ParameterSet
from quantumai.keys.providers.port import Ability

if TYPE_CHECKING:
    from pkcs11 import KeyType, Mechanism
    from pkcs11.attributes import AttributeMapper

_E = TypeVar("_E", bound=IntEnum)


@dataclass(frozen=True)
class KeyKind:
    """A family's key type and its mechanisms: to generate pairs, and to sign or decapsulate."""

    name: str
    key_type: int
    generate: int
    use: int

    @property
    def type_member(self) -> KeyType:
        """The key type as python-pkcs11 wants it."""
        from pkcs11 import KeyType

        return _member(KeyType, self.name, self.key_type)

    @property
    def generate_mechanism(self) -> Mechanism:
        """The mechanism that makes pairs."""
        from pkcs11 import Mechanism

        return _member(Mechanism, f"{self.name}_KEY_PAIR_GEN", self.generate)

    @property
    def use_mechanism(self) -> Mechanism:
        """The mechanism that signs or decapsulates."""
        from pkcs11 import Mechanism

        return _member(Mechanism, self.name, self.use)


KINDS = {
    Family.ML_DSA: KeyKind("ML_DSA", 0x4A, 0x1C, 0x1D),
    Family.SLH_DSA: KeyKind("SLH_DSA", 0x4B, 0x2D, 0x2E),
    Family.ML_KEM: KeyKind("ML_KEM", 0x49, 0x0F, 0x17),
    Family.ED25519: KeyKind("EC_EDWARDS", 0x40, 0x1055, 0x1057),
    Family.ECDSA: KeyKind("EC", 0x03, 0x1040, 0x1041),
    Family.RSA_PSS: KeyKind("RSA", 0x00, 0x00, 0x0D),
}
# CKP_ML_DSA_44 and so on. SLH-DSA's go by size, then by hash.
SET_NUMBERS = {
    parameters.ML_DSA_44: 1,
    parameters.ML_DSA_65: 2,
    parameters.ML_DSA_87: 3,
    parameters.ML_KEM_512: 1,
    parameters.ML_KEM_768: 2,
    parameters.ML_KEM_1024: 3,
    **{
        f"SLH-DSA-{hash_name}-{size}": 1 + 2 * place + (hash_name == "SHAKE")
        for place, size in enumerate(("128s", "128f", "192s", "192f", "256s", "256f"))
        for hash_name in ("SHA2", "SHAKE")
    },
}
# DER object identifiers: RFC 8410, RFC 5480.
CURVES = {
    parameters.ED25519: bytes.fromhex("06032b6570"),
    parameters.ECDSA_P256: bytes.fromhex("06082a8648ce3d030107"),
    parameters.ECDSA_P384: bytes.fromhex("06052b81040022"),
}


def abilities_of(mechanisms: frozenset[int]) -> dict[str, frozenset[Ability]]:
    """What a token with these mechanisms can do, by algorithm.

    PKCS#11 3.2 has no mechanism for an external mu, so that ability is nowhere.
    """
    return {
        name: _abilities(entry)
        for name, entry in PARAMETER_SETS.items()
        if {KINDS[entry.family].generate, KINDS[entry.family].use} <= mechanisms
    }


def _abilities(entry: ParameterSet) -> frozenset[Ability]:
    if not entry.signs:
        return frozenset({Ability.DECAPSULATE})
    return frozenset({Ability.SIGN, Ability.CONTEXT} if entry.takes_context else {Ability.SIGN})


@cache
def attribute_mapper() -> AttributeMapper:
    """python-pkcs11's table of attributes, made to read key types and labels that it refuses."""
    from pkcs11 import Attribute
    from pkcs11.attributes import AttributeMapper, handle_str, handle_ulong

    mapper = AttributeMapper()
    mapper.register_handler(Attribute.KEY_TYPE, *handle_ulong)
    mapper.register_handler(
        Attribute.LABEL, handle_str[0], lambda label: label.decode(errors="replace")
    )
    return mapper


def _member(kind: type[_E], name: str, number: int) -> _E:
    """The member of an enumeration with this number, or one made for it and known only here."""
    try:
        return kind(number)
    except ValueError:
        made = int.__new__(kind, number)
        made._name_, made._value_ = name, number
        return made
