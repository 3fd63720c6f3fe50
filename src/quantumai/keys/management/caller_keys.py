"""The port `KeyManagement` in process for one caller: changing keys, and reading of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from quantumai.errors import BadInputError, DeniedError
from quantumai.keys.management import ending, enrolment, joint_calls, lifecycle
from quantumai.keys.management.approvers import Approver
from quantumai.keys.management.audited_call import AuditedCall
from quantumai.keys.management.built_in import BUILT_IN
from quantumai.keys.management.idempotency import Requests
from quantumai.keys.management.key_use import KeyUser
from quantumai.keys.management.one_change import OneChange, change_once, hashable
from quantumai.keys.management.parts import KmsParts
from quantumai.keys.management.permission import is_granted
from quantumai.keys.management.records import (
    Caller,
    KeyPolicy,
    KeyPurpose,
    KeyVersion,
    Usage,
    check_name,
)
from quantumai.keys.management.states import KeyState, require_transition

_PUBLIC_PURPOSES = (KeyPurpose.RAW, KeyPurpose.STATEMENT, KeyPurpose.WRAP)


class CallerKeys(KeyUser):
    """`KeyManagement` for one caller: what changes keys stands here, their use in `KeyUser`."""

    def __init__(self, parts: KmsParts, requests: Requests, caller: Caller) -> None:
        super().__init__(parts, caller)
        self._requests = requests

    def create(
        self,
        name: str,
        algorithm: str,
        purpose: KeyPurpose,
        *,
        policy: KeyPolicy | None = None,
        idempotency_key: str = "",
    ) -> KeyVersion:
        """See `KeyManagement.create`."""
        wanted = policy or KeyPolicy()
        arguments = {
            "name": name[:80],
            "algorithm": algorithm[:80],
            "purpose": str(purpose),
            "policy": msgspec.to_builtins(wanted),
        }

        def change(call: AuditedCall, seal: OneChange) -> KeyVersion:
            check_name(name)
            wanted.check()
            lifecycle.require_fit(algorithm, purpose)
            if name in BUILT_IN or purpose not in _PUBLIC_PURPOSES:
                raise DeniedError(f"{name} for {purpose} is a key of the home itself")
            return lifecycle.create(
                self._parts,
                self._caller.tenant,
                name,
                algorithm,
                purpose,
                wanted,
                seal,
                seal.request,
            )

        return self._change("create", name, arguments, idempotency_key, change)

    def rotate(
        self, name: str, *, provider: str = "", overlap: bool = False, idempotency_key: str = ""
    ) -> KeyVersion:
        """See `KeyManagement.rotate`."""
        arguments = {"name": name[:80], "provider": provider[:80], "overlap": overlap}

        def change(call: AuditedCall, seal: OneChange) -> KeyVersion:
            self._managed(call, name)
            if name in BUILT_IN and not BUILT_IN[name].rotates:
                raise DeniedError(
                    f"{name} is not rotated: a ledger with new keys is a new ledger",
                    hint="for a new ledger, start a new home",
                )
            return lifecycle.rotate(
                self._parts,
                self._caller.tenant,
                name,
                provider,
                overlap,
                seal,
                request=seal.request,
            )

        return self._change("rotate", name, arguments, idempotency_key, change)

    def rotate_due(self) -> list[KeyVersion]:
        """Rotate every key that its policy says is due; return the new versions."""
        due = [
            key.name
            for key in self.list()
            if key.state is KeyState.ACTIVE
            and lifecycle.is_due(self._parts, key)
            and BUILT_IN.get(key.name, BUILT_IN["statement"]).rotates
        ]
        return [self.rotate(name) for name in dict.fromkeys(due)]

    def retire(self, name: str, version: int, *, idempotency_key: str = "") -> KeyVersion:
        """See `KeyManagement.retire`."""

        def change(call: AuditedCall, seal: OneChange) -> KeyVersion:
            return lifecycle.retire(self._parts, self._managed(call, name, version), seal)

        return self._change("retire", name, _target(name, version), idempotency_key, change)

    def disable(self, name: str, version: int = 0, *, idempotency_key: str = "") -> KeyVersion:
        """See `KeyManagement.disable`."""

        def change(call: AuditedCall, seal: OneChange) -> KeyVersion:
            return lifecycle.disable(self._parts, self._managed(call, name, version), seal)

        return self._change("disable", name, _target(name, version), idempotency_key, change)

    def enable(self, name: str, version: int = 0, *, idempotency_key: str = "") -> KeyVersion:
        """See `KeyManagement.enable`."""

        def change(call: AuditedCall, seal: OneChange) -> KeyVersion:
            key = self._managed(call, name, version, KeyState.DISABLED)
            return lifecycle.enable(self._parts, key, seal)

        return self._change("enable", name, _target(name, version), idempotency_key, change)

    def mark_compromised(
        self,
        name: str,
        version: int = 0,
        *,
        from_index: int | None = None,
        idempotency_key: str = "",
    ) -> KeyVersion:
        """See `KeyManagement.mark_compromised`."""

        def change(call: AuditedCall, seal: OneChange) -> KeyVersion:
            if from_index is not None and not 0 <= from_index < 2**53:
                raise BadInputError(f"leaf index {from_index} is out of range")
            key = self._managed(call, name, version)
            ending.require_voidable(self._parts, key, from_index)
            return seal.by_two(
                joint_calls.compromise(key.label, from_index),
                lambda: ending.mark_compromised(self._parts, key, from_index, seal),
            )

        arguments = _target(name, version) | {"from_index": from_index}
        return self._change("compromised", name, arguments, idempotency_key, change)

    def schedule_destruction(
        self, name: str, version: int = 0, *, waiting_days: int = 7, idempotency_key: str = ""
    ) -> KeyVersion:
        """See `KeyManagement.schedule_destruction`."""

        def change(call: AuditedCall, seal: OneChange) -> KeyVersion:
            if not 1 <= waiting_days <= ending.LONGEST_WAIT_DAYS:
                raise BadInputError(f"the waiting period is 1 to {ending.LONGEST_WAIT_DAYS} days")
            key = self._managed(call, name, version)
            require_transition(key.state, KeyState.DESTROY_SCHEDULED, key.label)
            return seal.by_two(
                joint_calls.destruction(key.label, waiting_days),
                lambda: ending.schedule_destruction(self._parts, key, waiting_days, seal),
            )

        arguments = _target(name, version) | {"waiting_days": waiting_days}
        return self._change("destroy", name, arguments, idempotency_key, change)

    def cancel_destruction(
        self, name: str, version: int = 0, *, idempotency_key: str = ""
    ) -> KeyVersion:
        """See `KeyManagement.cancel_destruction`."""

        def change(call: AuditedCall, seal: OneChange) -> KeyVersion:
            key = self._managed(call, name, version, KeyState.DESTROY_SCHEDULED)
            return ending.cancel_destruction(self._parts, key, seal)

        return self._change("cancel-destroy", name, _target(name, version), idempotency_key, change)

    def set_policy(self, name: str, policy: KeyPolicy, *, idempotency_key: str = "") -> KeyPolicy:
        """See `KeyManagement.set_policy`."""
        wanted = msgspec.to_builtins(policy)

        def change(call: AuditedCall, seal: OneChange) -> KeyVersion:
            policy.check()
            key = self._managed(call, name)
            if name in BUILT_IN:
                raise DeniedError(f"the policy of {name} is fixed: it is a key of the home itself")

            def replace() -> KeyVersion:
                self._parts.register.set_policy(key.tenant, name, policy)
                seal(key)
                return key

            return seal.by_two(joint_calls.policy_change(name, policy), replace)

        self._change("set-policy", name, {"name": name[:80]} | wanted, idempotency_key, change)
        return policy

    def policy(self, name: str) -> KeyPolicy:
        """See `KeyManagement.policy`."""
        with self._read("policy", name) as call:
            self._permitted(call, name, "read")
            return self._parts.register.policy(self._caller.tenant, name)

    def list(self) -> tuple[KeyVersion, ...]:
        """See `KeyManagement.list`."""
        with self._read("list", ""):
            found = self._parts.register.all(self._caller.tenant)
            names = {key.name for key in found}
            readable = {name for name in names if self._is_readable(name)}
            return tuple(key for key in found if key.name in readable)

    def show(self, name: str, version: int = 0) -> KeyVersion:
        """See `KeyManagement.show`."""
        with self._read("show", name) as call:
            return self._permitted(call, name, "read", version)

    def usage(self, name: str) -> tuple[Usage, ...]:
        """See `KeyManagement.usage`."""
        with self._read("usage", name) as call:
            self._permitted(call, name, "read")
            return self._parts.register.usage(self._caller.tenant, name)

    def enroll_approver(self, principal: str, spki_der: bytes) -> Approver:
        """See `enrolment.enroll_approver`; approvers are managed in process alone."""
        return enrolment.enroll_approver(self._parts, self._caller, principal, spki_der)

    def remove_approver(self, principal: str, key_id: str) -> None:
        """See `enrolment.remove_approver`."""
        enrolment.remove_approver(self._parts, self._caller, principal, key_id)

    def approvers(self) -> tuple[Approver, ...]:
        """Who approves, with which keys."""
        return enrolment.approvers(self._parts, self._caller)

    def _is_readable(self, name: str) -> bool:
        policy = self._parts.register.policy(self._caller.tenant, name)
        return is_granted(policy, self._caller, "read")

    def _read(self, operation: str, name: str) -> AuditedCall:
        return AuditedCall(
            self._parts.audit, self._caller, operation, name, hashable({"name": name[:80]})
        )

    def _managed(
        self, call: AuditedCall, name: str, version: int = 0, state: KeyState | None = None
    ) -> KeyVersion:
        """A version that the caller may change; for version 0 the newest in `state`, if any is."""
        key = self._permitted(call, name, "manage", version)
        if self._caller.is_remote and name in BUILT_IN:
            raise DeniedError(
                f"{name} is a key of the home itself", hint="manage it on its machine"
            )
        if version or state is None:
            return key
        fitting = [
            v for v in self._parts.register.versions(self._caller.tenant, name) if v.state is state
        ]
        return call.about(fitting[-1]) if fitting else key

    def _change(
        self,
        operation: str,
        name: str,
        arguments: dict[str, Any],
        idempotency_key: str,
        change: Callable[[AuditedCall, OneChange], KeyVersion],
    ) -> KeyVersion:
        """Make a change once, with its answer and its audit entry in its own transaction."""
        call = AuditedCall(self._parts.audit, self._caller, operation, name, hashable(arguments))
        return change_once(
            self._parts, self._requests, call, operation, arguments, idempotency_key, change
        )


def _target(name: str, version: int) -> dict[str, Any]:
    return {"name": name[:80], "version": version}
