"""Two principals: a call that destroys or voids is done when a second one has made it too.

The first call is noted as a proposal, with its arguments. The same call by another principal of
the tenant within a day confirms it. A proposal is used up by that.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from quantumai.canonical import canonical_json, sha256_hex
from quantumai.errors import ApprovalNeededError
from quantumai.keys.management.records import Caller
from quantumai.storage.database import Database

OPEN_FOR = timedelta(hours=24)


def confirm_or_propose(
    database: Database, caller: Caller, operation: str, target: str, arguments: Any, now: str
) -> bool:
    """Whether another principal proposed this call; if not, it is noted as the caller's proposal.

    Call it in the transaction that makes the change, and commit either way. `now` is ISO 8601 UTC.
    """
    call = sha256_hex(canonical_json([caller.tenant, operation, target, arguments]))
    row = database.get("kms_proposals", {"call": call})
    if row is not None and row["proposer"] != caller.principal and not _is_over(row, now):
        # Used up: set back in time, since rows are never deleted.
        database.update("kms_proposals", {"call": call}, {"created_at": "1970-01-01T00:00:00Z"})
        return True
    if row is None or _is_over(row, now):
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


def _is_over(row: dict[str, Any], now: str) -> bool:
    return datetime.fromisoformat(now) - datetime.fromisoformat(row["created_at"]) >= OPEN_FOR
