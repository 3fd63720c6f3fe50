"""What may be asked of a key, checked before a provider is bothered.

The same sentence then comes from every provider, and a provider sees well-formed requests only.
`abilities` is what the provider says of itself (`KeyProvider.abilities`).
"""

from __future__ import annotations

from collections.abc import Mapping

from quantumai.errors import BadInputError
from quantumai.keys.parameters import MAX_CONTEXT_BYTES, Family, ParameterSet, parameter_set
from quantumai.keys.providers.port import Ability
from quantumai.keys.signatures import MU_BYTES

Abilities = Mapping[str, frozenset[Ability]]


def require_made(abilities: Abilities, algorithm: str) -> ParameterSet:
    """The parameter set, if the provider makes such keys; otherwise `BadInputError`."""
    entry = parameter_set(algorithm)
    if algorithm not in abilities:
        raise BadInputError(
            f"this provider makes no {algorithm} keys", hint=f"it makes {', '.join(abilities)}"
        )
    return entry


def require_signing(abilities: Abilities, algorithm: str, context: bytes) -> ParameterSet:
    """Raise `BadInputError` unless such a key signs, and signs with this context."""
    able = abilities.get(algorithm, frozenset())
    if Ability.SIGN not in able:
        raise BadInputError(
            f"{algorithm} keys make no signatures here", hint="use a key that signs"
        )
    if context and Ability.CONTEXT not in able:
        raise BadInputError(
            f"no context can be given to {algorithm} keys here", hint="leave the context out"
        )
    if len(context) > MAX_CONTEXT_BYTES:
        raise BadInputError(
            f"the context has {len(context)} bytes, at most {MAX_CONTEXT_BYTES} are allowed"
        )
    return parameter_set(algorithm)


def require_mu(abilities: Abilities, algorithm: str, mu: bytes) -> ParameterSet:
    """Raise `BadInputError` unless such a key signs an external mu, and this is one."""
    entry = parameter_set(algorithm)
    if entry.family is not Family.ML_DSA:
        raise BadInputError(f"{algorithm} has no external mu", hint="use an ML-DSA key")
    if Ability.EXTERNAL_MU not in abilities.get(algorithm, frozenset()):
        raise BadInputError(
            "this provider signs no external mu", hint="hand over the message instead"
        )
    if len(mu) != MU_BYTES:
        raise BadInputError(f"an external mu has {MU_BYTES} bytes, this one has {len(mu)}")
    return entry


def require_ciphertext(abilities: Abilities, algorithm: str, ciphertext: bytes) -> ParameterSet:
    """Raise `BadInputError` unless such a key decapsulates, and the length is right."""
    if Ability.DECAPSULATE not in abilities.get(algorithm, frozenset()):
        raise BadInputError(f"{algorithm} keys do not decapsulate here", hint="use an ML-KEM key")
    entry = parameter_set(algorithm)
    if len(ciphertext) != entry.output_bytes:
        raise BadInputError(
            f"an {algorithm} ciphertext has {entry.output_bytes} bytes, "
            f"this one has {len(ciphertext)}"
        )
    return entry
