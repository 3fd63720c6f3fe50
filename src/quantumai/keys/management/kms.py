"""The KMS in process: `Kms.of(caller)` is the port `KeyManagement` for that caller."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime

from quantumai.errors import DeniedError, QuantumAIError
from quantumai.keys.audit.log import AuditLog
from quantumai.keys.management import ending
from quantumai.keys.management.built_in import INTERNAL
from quantumai.keys.management.caller_keys import CallerKeys
from quantumai.keys.management.idempotency import Requests
from quantumai.keys.management.internal_keys import InternalKeys
from quantumai.keys.management.parts import KmsParts
from quantumai.keys.management.permission import RateLimits
from quantumai.keys.management.records import (
    Caller,
    KeyVersion,
)
from quantumai.keys.management.register import KeyRegister
from quantumai.keys.management.states import KeyState
from quantumai.keys.management.wrapping_key import WrappingKey
from quantumai.keys.providers.port import KeyProvider
from quantumai.storage.database import Database


def open_kms(
    database: Database,
    providers: Sequence[KeyProvider],
    clock: Callable[[], datetime],
    monotonic_s: Callable[[], float] = time.monotonic,
    audit_database: Database | None = None,
) -> Kms:
    """The KMS over a database at the expected schema; the first provider makes new keys.

    With `audit_database`, another connection to the same database, calls that read need not wait
    for the disk to have the audit entries of others.
    """
    register = KeyRegister(database)
    apart = None
    if audit_database is not None:
        apart = AuditLog(audit_database, clock, KeyRegister(audit_database).count_uses)
    return Kms(
        KmsParts(
            database=database,
            register=register,
            audit=AuditLog(database, clock, register.count_uses, apart=apart),
            providers={provider.name: provider for provider in providers},
            default_provider=providers[0].name,
            rates=RateLimits(monotonic_s),
            clock=clock,
        )
    )


class Kms:
    """Keys of all tenants of a home, over providers, register and audit log."""

    def __init__(self, parts: KmsParts) -> None:
        self.parts = parts
        self._requests = Requests(parts.database, parts.clock)

    def of(self, caller: Caller) -> CallerKeys:
        """The keys as one caller may use them. Raises `DeniedError` for our own principal."""
        if caller.principal == INTERNAL.principal:
            raise DeniedError(f"the principal {INTERNAL.principal} is the home itself")
        return CallerKeys(self.parts, self._requests, caller)

    def internal(self) -> InternalKeys:
        """The keys as the home itself uses them, to seal; for provenance alone."""
        return InternalKeys(self.parts, self._requests, INTERNAL)

    def wrapping_key(self, tenant: str) -> WrappingKey:
        """The key under a tenant's data keys, for the home's own encryption alone."""
        caller = Caller(tenant, INTERNAL.principal)
        return WrappingKey(InternalKeys(self.parts, self._requests, caller))

    def destroy_due(self) -> list[KeyVersion]:
        """Destroy what is due; return the versions that are gone now.

        What fails is audited and does not hold up the others; the first error is raised at the end.
        """
        gone, errors = [], []
        for key in self.parts.register.all():
            if key.state is not KeyState.DESTROY_SCHEDULED:
                continue
            try:
                if ending.destroy_if_due(self.parts, key):
                    gone.append(key)
            except QuantumAIError as error:
                errors.append(error)
        if errors:
            raise errors[0]
        return gone
