"""The kinds of key provider that users ask for: what each has, and why some have no post-quantum
keys. Two of them have no adapter of their own, so that the answer to a wish is one clear sentence.

As documented by their makers in November 2026. What a provider can do is asked of the provider
itself (`KeyProvider.abilities`); this table is for refusing before there is one.
"""

from __future__ import annotations

from dataclasses import dataclass

from quantumai.errors import BadInputError
from quantumai.keys.parameters import AlgorithmClass, Family, parameter_set


@dataclass(frozen=True)
class KnownProvider:
    """One kind of provider; `no_pqc` says why it has no post-quantum keys, `instead` what to do."""

    kind: str
    families: frozenset[Family]
    validation: str
    has_adapter: bool = True
    no_pqc: str = ""
    instead: str = ""


KNOWN_PROVIDERS = {
    entry.kind: entry
    for entry in (
        KnownProvider("soft", frozenset(Family), "none"),
        KnownProvider(
            "pkcs11",
            frozenset(Family),
            "that of the token; the development token has no CMVP certificate",
        ),
        KnownProvider(
            "aws-kms",
            frozenset(Family) - {Family.SLH_DSA},
            "FIPS 140-3 level 3 HSMs, according to AWS",
        ),
        KnownProvider(
            "aws-cloudhsm",
            frozenset({Family.ECDSA, Family.RSA_PSS}),
            "FIPS 140-3 level 3 HSMs, according to AWS",
            has_adapter=False,
            no_pqc="its library is PKCS#11 2.40, which has no post-quantum mechanisms",
            instead="for classical keys use provider pkcs11 with the library of CloudHSM, "
            "for post-quantum keys aws-kms or a PKCS#11 3.2 token",
        ),
        KnownProvider(
            "azure-managed-hsm",
            frozenset({Family.ECDSA, Family.RSA_PSS}),
            "FIPS 140-3 level 3 HSMs, according to Microsoft",
            has_adapter=False,
            no_pqc="Azure offers RSA, EC and symmetric keys only",
            instead="use aws-kms or a PKCS#11 3.2 token; there is no adapter for Azure",
        ),
    )
}


def known_provider(kind: str) -> KnownProvider:
    """The entry of a kind that has an adapter. Raises `BadInputError` for any other kind."""
    entry = _entry(kind)
    if not entry.has_adapter:
        raise BadInputError(f"there is no adapter of its own for {kind}", hint=entry.instead)
    return entry


def require_possible(kind: str, algorithm: str) -> None:
    """Raise `BadInputError` if no provider of this kind has keys of `algorithm`."""
    entry, wanted = _entry(kind), parameter_set(algorithm)
    if wanted.family in entry.families:
        return
    if wanted.algorithm_class is AlgorithmClass.POST_QUANTUM and entry.no_pqc:
        raise BadInputError(f"{kind} makes no {algorithm} keys: {entry.no_pqc}", hint=entry.instead)
    has = ", ".join(sorted(entry.families))
    raise BadInputError(f"{kind} makes no {algorithm} keys", hint=f"it has {has}")


def _entry(kind: str) -> KnownProvider:
    try:
        return KNOWN_PROVIDERS[kind]
    except KeyError:
        raise BadInputError(
            f"unknown key provider {kind[:80]!r}",
            hint=f"use one of: {', '.join(k for k, e in KNOWN_PROVIDERS.items() if e.has_adapter)}",
        ) from None
