"""How keys end: compromise and destruction, each in one transaction with its audit entry.

A key is destroyed in the token first and struck out in the register after; both can be done again.
Once the day of destruction has come nobody can take it back, so no key that the register lists as
usable is gone.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta

from quantumai.errors import BadInputError, ConflictError, DeniedError
from quantumai.keys.management.audited_call import AuditedCall
from quantumai.keys.management.built_in import INTERNAL
from quantumai.keys.management.lifecycle import Seal
from quantumai.keys.management.parts import KmsParts
from quantumai.keys.management.records import Caller, KeyVersion
from quantumai.keys.management.states import KeyState, require_transition

LONGEST_WAIT_DAYS = 90


def schedule_destruction(parts: KmsParts, key: KeyVersion, days: int, seal: Seal) -> KeyVersion:
    """Forbid every use and set the day of destruction; inside the caller's transaction."""
    destroy_at = (parts.clock() + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
    scheduled = parts.register.move(key, KeyState.DESTROY_SCHEDULED, destroy_at=destroy_at)
    seal(scheduled)
    return scheduled


def cancel_destruction(parts: KmsParts, key: KeyVersion, seal: Seal) -> KeyVersion:
    """Take back a scheduled destruction, until its day has come."""
    if key.state is not KeyState.DESTROY_SCHEDULED:
        raise DeniedError(f"key {key.label} is {key.state}; no destruction is scheduled")
    with parts.database.transaction():
        if _is_to_go(parts, key):
            raise DeniedError(
                f"the waiting period of key {key.label} is over", hint="it may be gone already"
            )
        row = parts.register.row(key.tenant, key.name, key.version)
        void = row["former_state"] == KeyState.COMPROMISED
        wanted = KeyState.COMPROMISED if void else KeyState.DISABLED
        kept = parts.register.move(key, wanted, destroy_at=None)
        seal(kept)
    return kept


def mark_compromised(
    parts: KmsParts, key: KeyVersion, from_index: int | None, seal: Seal
) -> KeyVersion:
    """Void a key; inside the caller's transaction. One that is gone, or about to be, stays so."""
    require_voidable(parts, key, from_index)
    if key.state is KeyState.COMPROMISED or _is_to_go(parts, key):
        void = parts.register.set(key, compromised_from=from_index)
    else:
        void = parts.register.move(
            key, KeyState.COMPROMISED, compromised_from=from_index, destroy_at=None
        )
    seal(void)
    return void


def require_voidable(parts: KmsParts, key: KeyVersion, from_index: int | None) -> None:
    """Raise unless a key can be marked compromised so."""
    if _is_to_go(parts, key):
        if from_index is None:
            raise BadInputError(
                f"key {key.label} is gone, or about to be",
                hint="say from which ledger leaf it is void",
            )
    elif key.state is not KeyState.COMPROMISED:
        require_transition(key.state, KeyState.COMPROMISED, key.label)


def destroy_if_due(parts: KmsParts, key: KeyVersion) -> bool:
    """Destroy a key whose waiting period is over: first in the token, then in the register.

    False if it is not to go yet, or another process was first.
    """
    caller = Caller(key.tenant, INTERNAL.principal)
    payload = key.label.encode()
    with AuditedCall(parts.audit, caller, "destroyed", key.name, payload) as call:
        if _take_due(parts, key):
            parts.provider(call.about(key).provider).destroy(key.handle)
            with suppress(ConflictError), parts.database.transaction():
                retired_at = key.retired_at or parts.now()
                call.about(parts.register.move(key, KeyState.DESTROYED, retired_at=retired_at))
                call.write_within()
                return True
        call.withdraw()
    return False


def is_overdue(parts: KmsParts, key: KeyVersion) -> bool:
    """Whether the waiting period of a key is over and it is not struck out."""
    return key.state is not KeyState.DESTROYED and _is_to_go(parts, key)


def _is_to_go(parts: KmsParts, key: KeyVersion) -> bool:
    """Whether a key is destroyed or its waiting period is over: nobody can take that back."""
    if key.state is KeyState.DESTROY_SCHEDULED and key.destroy_at:
        return datetime.fromisoformat(key.destroy_at) <= parts.clock()
    return key.state is KeyState.DESTROYED


def _take_due(parts: KmsParts, key: KeyVersion) -> bool:
    """Whether a key is to be destroyed now; from then on no cancellation can get in between."""
    with parts.database.transaction():
        now = parts.register.version(key.tenant, key.name, key.version)
        if now.state is not KeyState.DESTROY_SCHEDULED or not _is_to_go(parts, now):
            return False
        # Written, so that a cancellation in another transaction meets this one.
        parts.register.set(now, destroy_at=now.destroy_at)
    return True
