"""Two principals: a call that destroys or voids is done when a second one has made it too.

The first call is noted as a proposal, with its arguments. The same call by another principal of
the tenant within a day confirms it. A proposal is used up by that. Where two approvers are
enrolled, both calls carry a signature, which counts once and is kept.
"""

from __future__ import annotations

import base64
from datetime import datetime, timedelta
from typing import Any

from quantumai.errors import ApprovalNeededError, DeniedError
from quantumai.keys.management.approvers import (
    Approver,
    approval_by,
    enrolled,
    makes_quorum,
    require_approval,
)
from quantumai.keys.management.joint_calls import JointCall
from quantumai.keys.management.permission import is_granted
from quantumai.keys.management.records import Caller, KeyPolicy
from quantumai.storage.database import Database, Row

OPEN_FOR = timedelta(hours=24)
_USED_UP = "1970-01-01T00:00:00Z"  # set back in time, since rows are never deleted


def confirm_or_propose(
    database: Database, policy: KeyPolicy, caller: Caller, call: JointCall, now: str
) -> bool:
    """Whether another principal proposed this call; if not, it is noted as the caller's proposal.

    Who proposed it must still be allowed to by the key's policy, and its key still be enrolled.
    Call it in the transaction that makes the change, and commit either way. `now` is ISO 8601 UTC.
    Raises `DeniedError` where a quorum has to sign and the caller's signature is missing, does not
    fit or was used before.
    """
    reference = {"call": call.digest(caller.tenant)}
    row = database.get("kms_proposals", reference)
    kept: list[Any] = (row and row["approvals"]) or []
    approvers = enrolled(database, caller.tenant)
    if row is not None and not _stands(row, policy, caller.tenant, call, approvers, now):
        row = None
    is_repeated = row is not None and row["proposer"] == caller.principal
    if makes_quorum(approvers):
        approval = require_approval(approvers, caller, call, now)
        if approval in kept and not is_repeated:
            raise DeniedError(
                "this approval was used already",
                hint="sign anew: hedged signatures of the same bytes differ",
            )
        kept = [*kept, approval]
    if is_repeated:
        return False
    values: Row = {"approvals": kept}
    if row is not None:
        database.update("kms_proposals", reference, values | {"created_at": _USED_UP})
        return True
    values |= {
        "tenant": caller.tenant,
        "operation": call.operation,
        "target": call.target,
        "proposer": caller.principal,
        "created_at": now,
    }
    database.upsert("kms_proposals", reference | values)
    return False


def approval_needed(caller: Caller, call: JointCall) -> ApprovalNeededError:
    """The error that tells the first principal what happened."""
    return ApprovalNeededError(
        f"{call.operation} of {call.target} is noted for {caller.principal}: nothing is done yet",
        hint="another principal has to make the same call within 24 hours",
    )


def _stands(
    row: Row,
    policy: KeyPolicy,
    tenant: str,
    call: JointCall,
    approvers: tuple[Approver, ...],
    now: str,
) -> bool:
    """Whether a proposal is open, and who made it could still make it."""
    proposer, made_at = row["proposer"], row["created_at"]
    if datetime.fromisoformat(now) - datetime.fromisoformat(made_at) >= OPEN_FOR:
        return False
    if not is_granted(policy, Caller(tenant, proposer), "manage"):
        return False
    if not makes_quorum(approvers):
        return True
    if not row["approvals"]:
        return False  # of a time when names were enough
    signature = base64.b64decode(row["approvals"][-1]["signatures"][0]["sig"])
    signed = Caller(tenant, proposer, approval=signature)
    return approval_by(approvers, signed, call, made_at) is not None
