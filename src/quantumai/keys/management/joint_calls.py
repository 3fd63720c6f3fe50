"""The calls that take two principals, and the statement that each of the two signs of one.

Where a quorum is in force an approval is a signature over the DSSE encoding of an in-toto statement
that says what is to be done, who approves it, and on which day: it approves nothing else, and is
worth nothing to anybody who finds it later.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from quantumai.canonical import canonical_json, sha256_hex
from quantumai.keys.dsse_encoding import (
    IN_TOTO_PAYLOAD_TYPE,
    IN_TOTO_STATEMENT,
    pre_authentication_encoding,
)
from quantumai.keys.management.records import KeyPolicy

APPROVAL_TYPE = "urn:quantumai:approval:v1"


@dataclass(frozen=True)
class JointCall:
    """What two principals have to ask for alike; the arguments are plain JSON data."""

    operation: str
    target: str
    arguments: dict[str, Any]

    def digest(self, tenant: str) -> str:
        """SHA-256 of tenant and call, hex. Raises `BadInputError` if they are not JSON."""
        return sha256_hex(canonical_json([tenant, self.operation, self.target, self.arguments]))

    def statement(self, tenant: str, principal: str, day: str) -> bytes:
        """What `principal` says to approve the call on `day` (UTC, such as 2026-03-04)."""
        return canonical_json(
            {
                "_type": IN_TOTO_STATEMENT,
                "subject": [{"name": self.target, "digest": {"sha256": self.digest(tenant)}}],
                "predicateType": APPROVAL_TYPE,
                "predicate": {
                    "tenant": tenant,
                    "operation": self.operation,
                    "target": self.target,
                    "arguments": self.arguments,
                    "principal": principal,
                    "day": day,
                },
            }
        )

    def to_sign(self, tenant: str, principal: str, day: str) -> bytes:
        """The bytes that an approver signs: pure ML-DSA or SLH-DSA, with an empty context."""
        payload = self.statement(tenant, principal, day)
        return pre_authentication_encoding(IN_TOTO_PAYLOAD_TYPE, payload)


def destruction(label: str, waiting_days: int) -> JointCall:
    """To destroy the key version `label` (name/version) after a waiting period."""
    return JointCall("destroy", label, {"waiting_days": waiting_days})


def compromise(label: str, from_index: int | None) -> JointCall:
    """To void the key version `label` from a ledger leaf on."""
    return JointCall("compromised", label, {"from_index": from_index})


def policy_change(name: str, policy: KeyPolicy) -> JointCall:
    """To replace the policy of a key."""
    return JointCall("set-policy", name, msgspec.to_builtins(policy))


def emergency_rotation(name: str, from_index: int | None) -> JointCall:
    """To void all versions of a key, and to let the root vouch for the next."""
    return JointCall("emergency-rotate", name, {"from_index": from_index})


def orphan_destruction(orphan: str) -> JointCall:
    """To destroy a key pair that the home does not know."""
    return JointCall("destroy-orphan", orphan, {})


def enrolment(principal: str, key_id: str) -> JointCall:
    """To let a key (by the SHA-256 of its SPKI) sign a principal's approvals."""
    return JointCall("enroll-approver", principal, {"key_id": key_id})


def removal(principal: str, key_id: str) -> JointCall:
    """To let a key sign a principal's approvals no longer."""
    return JointCall("remove-approver", principal, {"key_id": key_id})
