"""What the KMS says about keys, in plain records that travel as JSON."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

from quantumai.errors import BadInputError
from quantumai.keys.algorithms import PublicKey
from quantumai.keys.management.states import KeyState

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_PRINCIPAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,62}")


class KeyPurpose(StrEnum):
    """What a key is for, fixed for its life."""

    STATEMENT = "statement"  # signs in-toto statements, under a DSSE encoding that the KMS builds
    RAW = "raw"  # signs any bytes; no verifier of ours trusts it for statements
    WRAP = "wrap"  # ML-KEM: wraps and unwraps data keys
    CHECKPOINT = "checkpoint"  # internal: signs heads of the run ledger
    AUDIT = "audit"  # internal: signs heads of the audit log; its use is counted, not logged


@dataclass(frozen=True)
class Caller:
    """Who calls: names of tenant and principal, an id of the request, the TLS group if any.

    Who calls over a network is remote, and does not manage the home's own keys. `approval` is the
    caller's signature over a call that a quorum has to sign (`joint_calls.JointCall.to_sign`).
    """

    tenant: str
    principal: str
    request_id: str = ""
    tls_group: str = ""
    is_remote: bool = False
    approval: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        for what, text in (("tenant", self.tenant), ("principal", self.principal)):
            if not _PRINCIPAL.fullmatch(text):
                raise BadInputError(
                    f"not the name of a {what}: {text[:80]!r}",
                    hint="use letters, digits, '.', '_', '@' and '-', 63 at most",
                )


class Grant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who may do what: names of principals and of operations; "*" stands for all.

    Operations are "sign", "verify", "wrap", "unwrap", "read" (list, show, usage, policy) and
    "manage" (everything that changes the key).
    """

    principals: tuple[str, ...] = ("*",)
    operations: tuple[str, ...] = ("*",)

    def covers(self, principal: str, operation: str) -> bool:
        """Whether the grant allows `principal` the `operation`."""
        by = "*" in self.principals or principal in self.principals
        return by and ("*" in self.operations or operation in self.operations)


class KeyPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a key may be used for, by whom, how often; a call needs one grant that covers it.

    `payload_types` and `predicate_types` limit what a statement key signs. `uses_per_minute` counts
    signatures and unwrappings of one process. Rotation falls due after `rotate_after_days` of
    activity, or `rotate_after_uses` uses of a version.
    """

    grants: tuple[Grant, ...] = (Grant(),)
    payload_types: tuple[str, ...] = ("*",)
    predicate_types: tuple[str, ...] = ("*",)
    uses_per_minute: int | None = None
    rotate_after_days: int | None = None
    rotate_after_uses: int | None = None

    def check(self) -> KeyPolicy:
        """Return self if it makes sense, else raise `BadInputError`."""
        for grant in self.grants:
            if unknown := set(grant.operations) - OPERATIONS - {"*"}:
                raise BadInputError(
                    f"policy: unknown operation {min(unknown)[:40]!r}",
                    hint=f"use one of: {', '.join(sorted(OPERATIONS))}, or *",
                )
        for limit in (self.uses_per_minute, self.rotate_after_days, self.rotate_after_uses):
            if limit is not None and not 1 <= limit <= 2**31:
                raise BadInputError("policy: limits are whole numbers from 1 on")
        return self


OPERATIONS = frozenset({"sign", "verify", "wrap", "unwrap", "read", "manage"})


class KeyVersion(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One version of a key, as far as it is public. Times are ISO 8601 UTC, empty if not reached.

    `handle` is what the provider calls it.
    `compromised_from` is the leaf index of the run ledger from which signatures do not count.
    """

    tenant: str
    name: str
    version: int
    algorithm: str
    purpose: KeyPurpose
    state: KeyState
    provider: str
    handle: str
    created_at: str
    activated_at: str = ""
    retired_at: str = ""
    destroy_at: str = ""
    compromised_from: int | None = None
    public_key: PublicKey | None = None  # None only while it is being made

    @property
    def label(self) -> str:
        """`name/version`, as people call it."""
        return f"{self.name}/{self.version}"

    @property
    def key_id(self) -> str:
        """SHA-256 of the SPKI, hex; empty while the key is being made."""
        return self.public_key.key_id if self.public_key else ""


class Signed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A signature and the key version that made it."""

    name: str
    version: int
    key_id: str
    algorithm: str
    signature: bytes


class Usage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often a key version signed, wrapped or unwrapped, and when last (empty: never)."""

    name: str
    version: int
    uses: int
    last_used_at: str


def check_name(name: str) -> str:
    """Return `name` if a key may be called so, else raise `BadInputError`."""
    if not _NAME.fullmatch(name):
        raise BadInputError(
            f"not a key name: {name[:80]!r}", hint="use a-z, 0-9 and '-', 63 at most"
        )
    return name
