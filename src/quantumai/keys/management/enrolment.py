"""Enrolling approvers and removing them: free until two have keys, then by two of them.

Only a local caller may. A removal that would leave fewer than two is refused: the rule that a
quorum signs cannot be switched off again.
"""

from __future__ import annotations

from collections.abc import Callable

from quantumai.errors import BadInputError, ConflictError, DeniedError, NotFoundError
from quantumai.keys.algorithms import (
    AlgorithmClass,
    PublicKey,
    algorithm_class,
    algorithm_of_spki,
    key_id,
)
from quantumai.keys.audit.entry import Outcome
from quantumai.keys.management.approvals import approval_needed, confirm_or_propose
from quantumai.keys.management.approvers import Approver, enrolled, makes_quorum
from quantumai.keys.management.audited_call import AuditedCall
from quantumai.keys.management.built_in import INTERNAL
from quantumai.keys.management.joint_calls import JointCall, enrolment, removal
from quantumai.keys.management.one_change import hashable
from quantumai.keys.management.parts import KmsParts
from quantumai.keys.management.records import Caller, KeyPolicy

Change = Callable[[], object]


def approver_key(spki_der: bytes) -> PublicKey:
    """The record of a key that may sign approvals. Raises `BadInputError` for any other."""
    algorithm = algorithm_of_spki(spki_der)
    if algorithm_class(algorithm) is not AlgorithmClass.POST_QUANTUM:
        raise BadInputError(
            f"an approver's key is post-quantum, and {algorithm} is not",
            hint="make an ML-DSA or SLH-DSA key",
        )
    return PublicKey.of(algorithm, spki_der)


def enroll_approver(parts: KmsParts, caller: Caller, principal: str, spki_der: bytes) -> Approver:
    """Let a key sign the approvals of `principal`. Two principals, once two have keys.

    Raises `BadInputError` for a key that is not post-quantum, and `ConflictError` for one that is
    or was an approver's already, or that this home holds itself.
    """
    tenant, made_at = caller.tenant, parts.now()

    def enroll() -> Change:
        if Caller(tenant, principal).principal == INTERNAL.principal:
            raise BadInputError(f"the principal {principal} is the home itself")
        key = approver_key(spki_der)
        _require_fresh(parts, tenant, key)
        row = {
            "approver_ref": _reference(tenant, principal, key.key_id),
            "tenant": tenant,
            "principal": principal,
            "key_id": key.key_id,
            "algorithm": key.algorithm,
            "spki": key.spki,
            "created_at": made_at,
        }
        return lambda: parts.database.insert("kms_approvers", row)

    _change(parts, caller, enrolment(principal, key_id(spki_der)), enroll)
    return Approver(principal, approver_key(spki_der), made_at)


def remove_approver(parts: KmsParts, caller: Caller, principal: str, key: str) -> None:
    """Take a key (by its id) from an approver, also for what it has approved but is not done yet.

    Two principals, once two have keys. Raises `NotFoundError`, and `DeniedError` if fewer than two
    approvers would be left of a quorum.
    """

    def remove() -> Change:
        before = enrolled(parts.database, caller.tenant)
        after = tuple(a for a in before if (a.principal, a.public_key.key_id) != (principal, key))
        if after == before:
            raise NotFoundError(
                f"{principal[:63]} has no key {key[:64]} to approve with",
                hint="`qai kms approvers list` shows them",
            )
        if makes_quorum(before) and not makes_quorum(after):
            raise DeniedError("two approvers at least have to stay", hint="add another one before")
        row = {"approver_ref": _reference(caller.tenant, principal, key)}
        return lambda: parts.database.update("kms_approvers", row, {"removed_at": parts.now()})

    _change(parts, caller, removal(principal, key), remove)


def approvers(parts: KmsParts, caller: Caller) -> tuple[Approver, ...]:
    """Who approves, with which keys."""
    with AuditedCall(parts.audit, caller, "approvers", "", hashable({})):
        return enrolled(parts.database, caller.tenant)


def _change(
    parts: KmsParts, caller: Caller, call: JointCall, prepare: Callable[[], Change]
) -> None:
    """Do what `prepare` finds in order, at once or by two, in one transaction with its entry."""
    payload = hashable({"principal": call.target} | call.arguments)
    with AuditedCall(parts.audit, caller, call.operation, call.target, payload) as audited:
        if caller.is_remote:
            raise DeniedError("approvers are managed on the home's machine")
        with parts.database.transaction():
            change = prepare()
            is_first = not makes_quorum(enrolled(parts.database, caller.tenant))
            if is_first or confirm_or_propose(
                parts.database, KeyPolicy(), caller, call, parts.now()
            ):
                change()
                audited.write_within()
                return
            audited.write_within(Outcome.APPROVAL_NEEDED, "approval-needed")
        raise approval_needed(caller, call)


def _require_fresh(parts: KmsParts, tenant: str, key: PublicKey) -> None:
    # Shared by two, one key would be a quorum by itself.
    if parts.database.select("kms_approvers", {"tenant": tenant, "key_id": key.key_id}):
        raise ConflictError(
            "this key is or was an approver's already", hint="each approver has keys of its own"
        )
    if parts.database.select("kms_keys", {"key_id": key.key_id}):
        raise ConflictError(
            "this home holds the key itself: whoever has the home could approve with it",
            hint="make the key in another home, or with another tool",
        )


def _reference(tenant: str, principal: str, key: str) -> str:
    return f"{tenant}/{principal}/{key}"
