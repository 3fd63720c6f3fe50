"""The keys as the home itself uses them, to sign manifests, its ledger and its audit log."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from quantumai.errors import ConflictError
from quantumai.keys.audit.head import AuditHead
from quantumai.keys.dsse_encoding import (
    IN_TOTO_PAYLOAD_TYPE,
    pre_authentication_encoding,
    require_statement,
)
from quantumai.keys.management import lifecycle
from quantumai.keys.management.audited_call import AuditedCall
from quantumai.keys.management.built_in import AUDIT, BUILT_IN, BUILT_IN_POLICY
from quantumai.keys.management.caller_keys import CallerKeys
from quantumai.keys.management.key_use import public_half, signed
from quantumai.keys.management.records import (
    KeyPurpose,
    KeyVersion,
    Signed,
)
from quantumai.keys.management.states import KeyState, KeyUse, require_use


class InternalKeys(CallerKeys):
    """What the home's own sealing may do beside: its built-in keys, ledger and audit heads."""

    @property
    def tenant(self) -> str:
        """Whose keys these are."""
        return self._caller.tenant

    def version(self, name: str, number: int) -> KeyVersion:
        """One version; a look that is not audited. Raises `NotFoundError`."""
        return self._parts.register.version(self._caller.tenant, name, number)

    def ensure(self, name: str) -> KeyVersion:
        """The current version of a built-in key, made on first use, by any process."""
        wanted = BUILT_IN[name]
        found = self._parts.register.versions(self._caller.tenant, name)
        if found and found[-1].state is not KeyState.PRE_ACTIVE:
            return self._parts.register.version(self._caller.tenant, name, 0)
        arguments = {"name": name, "algorithm": wanted.algorithm, "purpose": str(wanted.purpose)}

        def change(call: AuditedCall, seal: lifecycle.Seal) -> KeyVersion:
            return lifecycle.create(
                self._parts,
                self._caller.tenant,
                name,
                wanted.algorithm,
                wanted.purpose,
                BUILT_IN_POLICY,
                seal,
            )

        with suppress(ConflictError):  # another process made it meanwhile
            self._change("create", name, arguments, "", change)
        return self._parts.register.version(self._caller.tenant, name, 0)

    def sign_checkpoint(self, name: str, message: bytes) -> bytes:
        """Sign the head of a ledger, as a signed note wants it (C2SP signed-note)."""
        with self._use("sign", name, message) as call:
            key = self._ready(call, name, KeyUse.SIGN, KeyPurpose.CHECKPOINT)
            return self._parts.signed(key, public_half(key), message)

    def sign_audit_head(self, predicate_type: str, payload: bytes) -> Signed:
        """Sign a head of the audit log; counted and not logged, or it would never come to rest."""
        require_statement(IN_TOTO_PAYLOAD_TYPE, predicate_type, payload)
        key = self._parts.register.version(self._caller.tenant, AUDIT, 0)
        require_use(key.state, KeyUse.SIGN, key.label)
        message = pre_authentication_encoding(IN_TOTO_PAYLOAD_TYPE, payload)
        signature = self._parts.signed(key, public_half(key), message)
        with self._parts.database.transaction():
            self._parts.register.add_uses(key.tenant, AUDIT, key.version, 1, self._parts.now())
        return signed(key, signature)

    def audit_head(self, least: AuditHead | None = None) -> AuditHead:
        """Size and root of the audit log now; see `AuditLog.head`."""
        return self._parts.audit.head(least)

    def validation(self, key: KeyVersion) -> str:
        """The validation that stands behind the provider of a key."""
        return self._parts.provider(key.provider).validation

    def announcement(self, key: KeyVersion) -> Any | None:
        """The signed announcement of the rotation that brought a version, if there was one."""
        return self._parts.register.row(key.tenant, key.name, key.version)["announcement"]

    def every_version(self) -> tuple[KeyVersion, ...]:
        """All keys of the home's tenant; a look that is not audited, as sealing needs many."""
        return self._parts.register.all(self._caller.tenant)
