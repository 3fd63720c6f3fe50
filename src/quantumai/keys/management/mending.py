"""Mending what `reconciliation` found, each step audited under the home's own principal.

What was begun is done to its end, never taken back: making and destroying can both be done again.
What is lost or does not match cannot be mended here, and nothing is destroyed that nobody asked
to have destroyed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import msgspec

from quantumai.errors import ConflictError, NotFoundError, QuantumAIError
from quantumai.keys.audit.entry import Outcome
from quantumai.keys.management import ending, lifecycle
from quantumai.keys.management.approvals import approval_needed, confirm_or_propose
from quantumai.keys.management.audited_call import AuditedCall
from quantumai.keys.management.built_in import INTERNAL
from quantumai.keys.management.idempotency import settle
from quantumai.keys.management.joint_calls import JointCall, orphan_destruction
from quantumai.keys.management.parts import KmsParts
from quantumai.keys.management.reconciliation import (
    Finding,
    FindingKind,
    MakesUnnamedKeys,
    is_creation,
    is_vouched,
)
from quantumai.keys.management.records import Caller, KeyPolicy, KeyVersion
from quantumai.keys.management.states import KeyState
from quantumai.keys.providers.port import KeyProvider


@dataclass(frozen=True)
class Mended:
    """A finding that was worked on; `error` is empty if that went well."""

    finding: Finding
    error: str = ""


def mend(
    parts: KmsParts, findings: Iterable[Finding], *, destroy_orphans_for: Caller | None = None
) -> list[Mended]:
    """Mend what can be mended; what fails is said.

    Orphans are destroyed if a second principal asks for it: to the home that made it before its
    database was restored, or to another home in the same token, an orphan is a key.
    """
    rows = {(row.provider, row.handle): row for row in parts.register.all()}
    tried = []
    for finding in findings:
        row = rows.get((finding.provider, finding.handle))
        step = _step(parts, finding, row, destroy_orphans_for)
        if step is not None:
            tried.append(Mended(finding, _error_of(step)))
    return tried


def destruction_of(orphan: Finding) -> JointCall:
    """What two principals have to ask for to have an orphan destroyed."""
    name = f"{orphan.provider} {orphan.handle} {orphan.provider_id}".rstrip()
    return orphan_destruction(name)


def _step(
    parts: KmsParts, finding: Finding, row: KeyVersion | None, caller: Caller | None
) -> Callable[[], None] | None:
    if finding.kind is FindingKind.ORPHAN:
        return None if caller is None else lambda: _destroy_orphan(parts, finding, caller)
    if row is None:
        return None
    if finding.kind is FindingKind.UNFINISHED:
        if is_vouched(parts, row):
            return None
        return lambda: _finish(parts, row) if _can_be_finished(parts, row) else _give_up(parts, row)
    if finding.kind is FindingKind.OVERDUE:
        return lambda: _destroy_due(parts, row)
    if finding.kind is FindingKind.NOT_DESTROYED:
        return lambda: _destroy_again(parts, row)
    return None


def _can_be_finished(parts: KmsParts, row: KeyVersion) -> bool:
    others = parts.register.versions(row.tenant, row.name)
    return is_creation(parts, row) or any(
        other.state not in (KeyState.PRE_ACTIVE, KeyState.DESTROYED) for other in others
    )


def _error_of(step: Callable[[], None]) -> str:
    try:
        step()
    except QuantumAIError as error:
        return str(error)
    return ""


def _finish(parts: KmsParts, row: KeyVersion) -> None:
    """Complete a creation or rotation, unless somebody else has completed it meanwhile."""
    creation = is_creation(parts, row)
    with _audited(parts, row, "create" if creation else "rotate") as call:
        asked = parts.register.row(row.tenant, row.name, row.version)["request"]

        def seal(changed: KeyVersion) -> None:
            answer = msgspec.to_builtins(changed)
            settle(parts.database, asked["scope"], row.created_at, answer)
            call.about(changed)
            call.write_within()

        try:
            if creation:
                lifecycle.activate(parts, row, lifecycle.make_pair(parts, row), seal)
            else:
                former = lifecycle.former_of_next(parts, row.tenant, row.name)
                lifecycle.finish_rotation(parts, former, row, asked["overlap"], seal)
        except ConflictError:
            now = parts.register.version(row.tenant, row.name, row.version)
            if now.state is KeyState.PRE_ACTIVE:
                raise
            call.withdraw()


def _give_up(parts: KmsParts, row: KeyVersion) -> None:
    """End a version that can follow on no former one, as these are all destroyed."""
    with _audited(parts, row, "destroyed") as call:
        parts.provider(row.provider).destroy(row.handle)
        with parts.database.transaction():
            call.about(parts.register.move(row, KeyState.DESTROYED))
            call.write_within()


def _destroy_due(parts: KmsParts, row: KeyVersion) -> None:
    ending.destroy_if_due(parts, row)


def _destroy_again(parts: KmsParts, row: KeyVersion) -> None:
    with _audited(parts, row, "destroyed"):
        parts.provider(row.provider).destroy(row.handle)


def _destroy_orphan(parts: KmsParts, finding: Finding, caller: Caller) -> None:
    asked = destruction_of(finding)
    name = asked.target.encode()
    with AuditedCall(parts.audit, caller, "destroy-orphan", finding.handle, name) as call:
        with parts.database.transaction():
            confirmed = confirm_or_propose(parts.database, KeyPolicy(), caller, asked, parts.now())
            if not confirmed:
                call.write_within(Outcome.APPROVAL_NEEDED, "approval-needed")
        if not confirmed:
            raise approval_needed(caller, asked)
        provider = parts.provider(finding.provider)
        if finding.provider_id:
            _discard(provider, finding.provider_id)
            return
        # No key of this home can be it by now: handles of new keys are never used before.
        provider.destroy(finding.handle)


def _discard(provider: KeyProvider, provider_id: str) -> None:
    if isinstance(provider, MakesUnnamedKeys):
        for orphan in provider.orphans():
            if orphan.key_id == provider_id:
                provider.discard(orphan)
                return
    raise NotFoundError(f"{provider_id} is no orphan any more")


def _audited(parts: KmsParts, row: KeyVersion, operation: str) -> AuditedCall:
    caller = Caller(row.tenant, INTERNAL.principal)
    call = AuditedCall(parts.audit, caller, operation, row.name, row.label.encode())
    call.about(row)
    return call
