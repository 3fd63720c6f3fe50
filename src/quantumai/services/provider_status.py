"""What stands behind the keys of a home: each provider, its validation, what it can do."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from quantumai.keys.providers.port import KeyProvider
from quantumai.keys.providers.token_status import capability_words
from quantumai.services.home_token import has_token
from quantumai.services.wiring import open_providers, open_token_keys

ALGORITHMS_TESTED = (
    "FIPS 203/204/205 algorithms, tested with vectors on the development token; "
    "no CMVP certificate claimed"
)
_PKCS11 = "pkcs11"


@dataclass(frozen=True)
class ProviderStatus:
    """One provider; `capabilities` has for every algorithm what can be done, or "no".

    `token` has what a PKCS#11 token says of itself, and is empty for other providers.
    """

    provider: str
    validation: str
    keys: int
    capabilities: dict[str, str]
    token: dict[str, str | int] = field(default_factory=dict)


def home_providers(
    root: Path, environment: Mapping[str, str] | None = None
) -> tuple[ProviderStatus, ...]:
    """The providers of the home `root`, in the order in which new keys would be made.

    Each is asked, and a token is probed first: raises `KeyUnavailableError` for one that does not
    answer and `InsecureRefusedError` for one that lets private keys out.
    """
    settings = os.environ if environment is None else environment
    return tuple(
        _token_status(root) if provider.name == _PKCS11 and has_token(root) else _status(provider)
        for provider in open_providers(root, settings)
    )


def _status(provider: KeyProvider) -> ProviderStatus:
    provider.check()
    capabilities = capability_words(provider.abilities())
    return ProviderStatus(provider.name, provider.validation, len(provider.keys()), capabilities)


def _token_status(root: Path) -> ProviderStatus:
    found = asdict(open_token_keys(root).status())
    general = {name: found.pop(name) for name in ("validation", "keys", "capabilities")}
    return ProviderStatus(_PKCS11, **general, token=found)
