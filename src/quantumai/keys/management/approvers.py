"""Approvers: principals with enrolled post-quantum keys, and whether one of them signed a call."""

from __future__ import annotations

import base64
from datetime import datetime, timedelta
from typing import Any

import msgspec

from quantumai.errors import DeniedError
from quantumai.keys.algorithms import PublicKey
from quantumai.keys.dsse_encoding import IN_TOTO_PAYLOAD_TYPE
from quantumai.keys.management.joint_calls import JointCall
from quantumai.keys.management.records import Caller
from quantumai.keys.signatures import verify_signature
from quantumai.storage.database import Database

_QUORUM = 2


class Approver(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A principal with the key that signs its approvals; it may have several."""

    principal: str
    public_key: PublicKey
    created_at: str  # ISO 8601 UTC


def enrolled(database: Database, tenant: str) -> tuple[Approver, ...]:
    """The approvers of a tenant, by principal and key id; those removed are left out."""
    rows = database.select("kms_approvers", {"tenant": tenant, "removed_at": None}, "approver_ref")
    return tuple(
        Approver(
            row["principal"],
            PublicKey(row["key_id"], row["algorithm"], row["spki"]).check(),
            row["created_at"],
        )
        for row in rows
    )


def makes_quorum(approvers: tuple[Approver, ...]) -> bool:
    """Whether these are two principals at least: names alone then approve nothing."""
    return len({approver.principal for approver in approvers}) >= _QUORUM


def approval_by(
    approvers: tuple[Approver, ...], caller: Caller, call: JointCall, now: str
) -> dict[str, Any] | None:
    """The caller's approval as a DSSE envelope; None if no key of the caller signed this call.

    It has to be of the day of `now` (ISO 8601 UTC) or of the day before.
    """
    today = datetime.fromisoformat(now).date()
    for day in (today.isoformat(), (today - timedelta(days=1)).isoformat()):
        message = call.to_sign(caller.tenant, caller.principal, day)
        for key in (a.public_key for a in approvers if a.principal == caller.principal):
            if verify_signature(key.algorithm, key.spki_der, message, caller.approval):
                payload = call.statement(caller.tenant, caller.principal, day)
                return {
                    "payloadType": IN_TOTO_PAYLOAD_TYPE,
                    "payload": _base64(payload),
                    "signatures": [{"keyid": key.key_id, "sig": _base64(caller.approval)}],
                }
    return None


def require_approval(
    approvers: tuple[Approver, ...], caller: Caller, call: JointCall, now: str
) -> dict[str, Any]:
    """Like `approval_by`. Raises `DeniedError` that says how to make one if there is none."""
    if found := approval_by(approvers, caller, call, now):
        return found
    what = f"{call.operation} of {call.target}"
    if not any(approver.principal == caller.principal for approver in approvers):
        raise DeniedError(
            f"{caller.principal} is no approver: {what} takes two with post-quantum keys",
            hint="`qai kms approvers list` shows who is; two of them can add another",
        )
    raise DeniedError(
        f"{what} is not approved: it takes a post-quantum signature by {caller.principal}"
        if not caller.approval
        else f"the approval is no signature of today or yesterday by {caller.principal} of {what}",
        hint="sign what --approval-request FILE writes with an enrolled key, and give the "
        "signature by --approval SIG, over HTTP in the header Approval",
    )


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
