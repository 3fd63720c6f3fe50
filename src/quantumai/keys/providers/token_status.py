"""What can be said of a token: what it is, what it can do, what validation stands behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from quantumai.keys.parameters import PARAMETER_SETS
from quantumai.keys.providers.pkcs11_token import TokenInformation
from quantumai.keys.providers.port import Ability
from quantumai.keys.providers.token_settings import TokenSettings


@dataclass(frozen=True)
class TokenStatus:
    """What `qai kms token status` shows.

    `capabilities` has what can be done with each algorithm ("sign, context") or "no". `slots` is
    how many slots show the token, `sessions` how many work at once, `halves` how many objects of
    ours lack the other half of their pair (an interrupted process left them; they are no keys).
    """

    label: str
    manufacturer: str
    model: str
    library: str
    validation: str
    slots: int
    sessions: int
    keys: int
    halves: int
    capabilities: dict[str, str]


def describe(
    token: TokenInformation,
    settings: TokenSettings,
    abilities: Mapping[str, frozenset[Ability]],
    *,
    keys: int,
    halves: int,
) -> TokenStatus:
    """The status of a token that has been asked what it is and what it can do."""
    return TokenStatus(
        label=token.label,
        manufacturer=token.manufacturer,
        model=token.model,
        library=settings.library,
        validation=settings.stated_validation(),
        slots=token.slots,
        sessions=settings.slots,
        keys=keys,
        halves=halves,
        capabilities=capability_words(abilities),
    )


def capability_words(abilities: Mapping[str, frozenset[Ability]]) -> dict[str, str]:
    """What can be done with each algorithm ("sign, context"), or "no"."""
    return {
        name: ", ".join(each for each in Ability if each in abilities.get(name, ())) or "no"
        for name in PARAMETER_SETS
    }
