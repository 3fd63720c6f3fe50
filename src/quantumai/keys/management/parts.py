"""What the KMS is made of, handed to everything in this folder that works on keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from quantumai.errors import BadInputError, KeyUnavailableError
from quantumai.keys.algorithms import PublicKey
from quantumai.keys.audit.log import AuditLog
from quantumai.keys.management.permission import RateLimits
from quantumai.keys.management.records import KeyVersion
from quantumai.keys.management.register import KeyRegister
from quantumai.keys.parameters import parameter_set
from quantumai.keys.providers.known import KNOWN_PROVIDERS, known_provider, require_possible
from quantumai.keys.providers.port import Ability, KeyProvider
from quantumai.keys.signatures import verify_signature
from quantumai.storage.database import Database


@dataclass(frozen=True)
class KmsParts:
    """Database, register, audit log, providers by name, the one for new keys, and the clock."""

    database: Database
    register: KeyRegister
    audit: AuditLog
    providers: Mapping[str, KeyProvider]
    default_provider: str
    rates: RateLimits
    clock: Callable[[], datetime]

    def now(self) -> str:
        """The time as ISO 8601 UTC text, to the second."""
        return self.clock().strftime("%Y-%m-%dT%H:%M:%SZ")

    def provider(self, name: str) -> KeyProvider:
        """A provider of this home. Raises `BadInputError` for any other."""
        found = self.providers.get(name)
        if found is None:
            if name in KNOWN_PROVIDERS:
                known_provider(name)
            raise BadInputError(
                f"this home has no key provider {name[:40]!r}",
                hint=f"it has: {', '.join(sorted(self.providers))}",
            )
        return found

    def provider_for(self, algorithm: str, name: str = "") -> KeyProvider:
        """The provider for new keys, or the one named, if it makes such keys.

        Raises `BadInputError` otherwise.
        """
        parameter_set(algorithm)
        wanted = name or self.default_provider
        if wanted in KNOWN_PROVIDERS:
            require_possible(wanted, algorithm)
        provider = self.provider(wanted)
        makes = provider.abilities()
        if algorithm not in makes:
            raise BadInputError(
                f"provider {provider.name} makes no {algorithm} keys",
                hint=f"it makes {', '.join(makes)}",
            )
        return provider

    def signed(
        self, key: KeyVersion, public: PublicKey, message: bytes, context: bytes = b""
    ) -> bytes:
        """A signature by a key version, verified before it leaves: tokens err.

        It is verified against `public`, which the register noted when the key was made.
        """
        provider = self.provider(key.provider)
        if context and Ability.CONTEXT not in provider.abilities().get(key.algorithm, ()):
            raise BadInputError(f"provider {provider.name} signs {key.algorithm} without contexts")
        signature = provider.sign(key.handle, message, context)
        if not verify_signature(public.algorithm, public.spki_der, message, signature, context):
            self.refuse(provider, key)
        return signature

    def sign_as(self, key: KeyVersion, message: bytes) -> tuple[str, bytes]:
        """Key id and verified signature of a version that has its public key."""
        if key.public_key is None:
            raise KeyUnavailableError(f"key {key.label} is still being made")
        return key.key_id, self.signed(key, key.public_key, message)

    def refuse(self, provider: KeyProvider, key: KeyVersion) -> None:
        """Give up what the provider answered. Raises `KeyUnavailableError`."""
        provider.renew()
        raise KeyUnavailableError(
            f"key {key.label} made a signature that does not verify", hint="try again"
        )
