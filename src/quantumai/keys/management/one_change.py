"""One call that changes a key: done once, by two principals where it must be, and audited."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from quantumai.canonical import canonical_json
from quantumai.errors import BadInputError, ConflictError, DeniedError
from quantumai.keys.audit.entry import Outcome
from quantumai.keys.management.approvals import approval_needed, confirm_or_propose
from quantumai.keys.management.audited_call import AuditedCall
from quantumai.keys.management.idempotency import AnsweredError, Request, Requests
from quantumai.keys.management.joint_calls import JointCall
from quantumai.keys.management.parts import KmsParts
from quantumai.keys.management.records import Caller, KeyVersion


@dataclass(frozen=True)
class OneChange:
    """The call that is under way; it seals its change when called with what it made of the key."""

    parts: KmsParts
    caller: Caller
    call: AuditedCall
    request: Request

    def __call__(self, changed: KeyVersion) -> None:
        """Put the answer and the audit entry into the transaction of the change."""
        self.request.answer(msgspec.to_builtins(changed))
        self.call.about(changed)
        self.call.write_within()

    def by_two(self, asked: JointCall, change: Callable[[], KeyVersion]) -> KeyVersion:
        """Make a change that needs two principals, or note who asked for it first."""
        database = self.parts.database
        with database.transaction():
            # Else the same call in two processes would confirm and then propose anew.
            self.request.require_open()
            if confirm_or_propose(
                database,
                self.parts.register.policy(self.caller.tenant, asked.target.partition("/")[0]),
                self.caller,
                asked,
                self.parts.now(),
            ):
                return change()
            self.call.write_within(Outcome.APPROVAL_NEEDED, "approval-needed")
        raise approval_needed(self.caller, asked)


def change_once(
    parts: KmsParts,
    requests: Requests,
    call: AuditedCall,
    operation: str,
    arguments: dict[str, Any],
    idempotency_key: str,
    change: Callable[[AuditedCall, OneChange], KeyVersion],
) -> KeyVersion:
    """What `change` makes of a key, or what it made when the same call was done before."""
    caller = call.caller
    with call, requests.one(caller, operation, arguments, idempotency_key) as request:
        earlier = request.begin()
        if earlier is None:
            try:
                return change(call, OneChange(parts, caller, call, request))
            except AnsweredError as answered:
                earlier = answered.answer
            except (ConflictError, DeniedError):
                # It met the same call in another process, which has answered.
                earlier = request.given()
                if earlier is None:
                    raise
        call.outcome = Outcome.REPLAYED
        return call.about(msgspec.convert(earlier, KeyVersion))


def hashable(arguments: dict[str, Any]) -> bytes:
    """The arguments as the audit log hashes them; empty if they have no canonical form.

    A call with such arguments is refused later, but it is audited like any other.
    """
    try:
        return canonical_json(arguments)
    except BadInputError:
        return b""
