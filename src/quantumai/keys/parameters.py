"""The parameter sets by name: family, object identifier, sizes and class. Nothing is computed here.

Sources: FIPS 203 (ML-KEM), FIPS 204 (ML-DSA), FIPS 205 (SLH-DSA) for names and sizes; RFC 9935,
RFC 9881, RFC 9909 and RFC 8410 for the object identifiers. All sizes are in bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from quantumai.errors import BadInputError

ML_DSA_44 = "ML-DSA-44"
ML_DSA_65 = "ML-DSA-65"
ML_DSA_87 = "ML-DSA-87"
ML_KEM_512 = "ML-KEM-512"
ML_KEM_768 = "ML-KEM-768"
ML_KEM_1024 = "ML-KEM-1024"
ED25519 = "Ed25519"
ECDSA_P256 = "ECDSA-P256"
ECDSA_P384 = "ECDSA-P384"
RSA_3072_PSS = "RSA-3072-PSS"

MAX_CONTEXT_BYTES = 255


class AlgorithmClass(StrEnum):
    """Whether an algorithm is believed to withstand a quantum computer."""

    CLASSICAL = "classical"
    POST_QUANTUM = "post-quantum"


class Family(StrEnum):
    """What the parameter sets of one kind have in common: how a key is read and used."""

    ML_DSA = "ML-DSA"
    SLH_DSA = "SLH-DSA"
    ML_KEM = "ML-KEM"
    ED25519 = "Ed25519"
    ECDSA = "ECDSA"
    RSA_PSS = "RSA-PSS"


@dataclass(frozen=True)
class ParameterSet:
    """One algorithm name and what is fixed by it.

    `public_key_bytes` is the length of the bare key (for ECDSA the uncompressed point), None for
    RSA. `output_bytes` is that of a signature or a KEM ciphertext, None where it varies (ECDSA's
    DER). `oid` is that of the key's AlgorithmIdentifier, `curve_oid` its only parameter.
    """

    name: str
    family: Family
    oid: str
    public_key_bytes: int | None
    output_bytes: int | None
    curve_oid: str | None = None

    @property
    def algorithm_class(self) -> AlgorithmClass:
        """Class of the family."""
        quantum_safe = self.family in (Family.ML_DSA, Family.SLH_DSA, Family.ML_KEM)
        return AlgorithmClass.POST_QUANTUM if quantum_safe else AlgorithmClass.CLASSICAL

    @property
    def signs(self) -> bool:
        """Whether it is a signature algorithm; the others encapsulate."""
        return self.family is not Family.ML_KEM

    @property
    def takes_context(self) -> bool:
        """Whether signatures may carry a context of at most 255 bytes (FIPS 204, FIPS 205)."""
        return self.family in (Family.ML_DSA, Family.SLH_DSA)


_NIST = "2.16.840.1.101.3.4"
# FIPS 205, table 2: bytes of a public key and of a signature.
_SLH_DSA_SIZES = {
    "128s": (32, 7856),
    "128f": (32, 17088),
    "192s": (48, 16224),
    "192f": (48, 35664),
    "256s": (64, 29792),
    "256f": (64, 49856),
}


def _slh_dsa() -> tuple[ParameterSet, ...]:
    """The twelve sets in the order of their identifiers, 20 to 31 (RFC 9909, section 3)."""
    variants = [(h, v) for h in ("SHA2", "SHAKE") for v in _SLH_DSA_SIZES]
    return tuple(
        ParameterSet(
            f"SLH-DSA-{hash_name}-{variant}",
            Family.SLH_DSA,
            f"{_NIST}.3.{arc}",
            *_SLH_DSA_SIZES[variant],
        )
        for arc, (hash_name, variant) in enumerate(variants, start=20)
    )


PARAMETER_SETS: dict[str, ParameterSet] = {
    entry.name: entry
    for entry in (
        ParameterSet(ML_DSA_44, Family.ML_DSA, f"{_NIST}.3.17", 1312, 2420),
        ParameterSet(ML_DSA_65, Family.ML_DSA, f"{_NIST}.3.18", 1952, 3309),
        ParameterSet(ML_DSA_87, Family.ML_DSA, f"{_NIST}.3.19", 2592, 4627),
        *_slh_dsa(),
        ParameterSet(ML_KEM_512, Family.ML_KEM, f"{_NIST}.4.1", 800, 768),
        ParameterSet(ML_KEM_768, Family.ML_KEM, f"{_NIST}.4.2", 1184, 1088),
        ParameterSet(ML_KEM_1024, Family.ML_KEM, f"{_NIST}.4.3", 1568, 1568),
        ParameterSet(ED25519, Family.ED25519, "1.3.101.112", 32, 64),
        ParameterSet(
            ECDSA_P256, Family.ECDSA, "1.2.840.10045.2.1", 65, None, "1.2.840.10045.3.1.7"
        ),
        ParameterSet(ECDSA_P384, Family.ECDSA, "1.2.840.10045.2.1", 97, None, "1.3.132.0.34"),
        ParameterSet(RSA_3072_PSS, Family.RSA_PSS, "1.2.840.113549.1.1.1", None, 384),
    )
}
SIGNATURE_ALGORITHMS = tuple(name for name, entry in PARAMETER_SETS.items() if entry.signs)
KEM_ALGORITHMS = tuple(name for name, entry in PARAMETER_SETS.items() if not entry.signs)


def parameter_set(name: str) -> ParameterSet:
    """The parameter set of this exact name. Raises `BadInputError` for any other."""
    try:
        return PARAMETER_SETS[name]
    except KeyError:
        raise BadInputError(
            f"unknown algorithm {name[:80]!r}", hint=f"use one of: {', '.join(PARAMETER_SETS)}"
        ) from None


def signature_set(name: str) -> ParameterSet:
    """Like `parameter_set`, for algorithms that sign only."""
    found = PARAMETER_SETS.get(name)
    if found is not None and found.signs:
        return found
    what = f"{name} makes no signatures" if found else f"unknown signature algorithm {name[:80]!r}"
    raise BadInputError(what, hint=f"use one of: {', '.join(SIGNATURE_ALGORITHMS)}")
