"""Two principals: a call that destroys or voids is done when a second one has made it too.

The first call is noted as a proposal, with its arguments. The same call by another principal of
the tenant within a day confirms it. A proposal is used up by that.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from quantumai.canonical import canonical_json, sha256_hex
from quantumai.errors import ApprovalNeededError
from quantumai.keys.management.permission import is_granted
from quantumai.keys.management.records import Caller, KeyPolicy
from quantumai.storage.database import Database

OPEN_FOR = timedelta(hours=24)


def confirm_or_propose(
    database: Database,
    policy: KeyPolicy,
    caller: Caller,
    operation: str,
    target: str,
    arguments: Any,
    now: str,
) -> bool:
    """Whether another principal proposed this call; if not, it is noted as the caller's proposal.

    Who proposed it must still be allowed to by the key's policy. Call it in the transaction that
    makes the change, and commit either way. `now` is ISO 8601 UTC.
    """
    call = sha256_hex(canonical_json([caller.tenant, operation, target, arguments]))
    row = database.get("kms_proposals", {"call": call})
    if row is not None and not _stands(row, policy, caller.tenant, now):
        row = None
    if row is not None and row["proposer"] != caller.principal:
        # Used up: set back in time, since rows are never deleted.
        database.update("kms_proposals", {"call": call}, {"created_at": "1970-01-01T00:00:00Z"})
        return True
    if row is None:
        database.upsert(
            "kms_proposals",
            {
                "call": call,
                "tenant": caller.tenant,
                "operation": operation,
                "target": target,
                "proposer": caller.principal,
                "created_at": now,
            },
        )
    return False


def approval_needed(caller: Caller, operation: str, target: str) -> ApprovalNeededError:
    """The error that tells the first principal what happened."""
    return ApprovalNeededError(
        f"{operation} of {target} is noted for {caller.principal}: nothing is done yet",
        hint="another principal has to make the same call within 24 hours",
    )


def _stands(row: dict[str, Any], policy: KeyPolicy, tenant: str, now: str) -> bool:
    age = datetime.fromisoformat(now) - datetime.fromisoformat(row["created_at"])
    return age < OPEN_FOR and is_granted(policy, Caller(tenant, row["proposer"]), "manage")
