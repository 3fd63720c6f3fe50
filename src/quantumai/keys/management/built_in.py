"""The keys that a home has by itself, for its manifests, its ledger and its audit log.

Only the home's own sealing signs with them, under a principal that nobody else can take.
"""

from __future__ import annotations

from dataclasses import dataclass

from quantumai.keys.management.records import Caller, Grant, KeyPolicy, KeyPurpose
from quantumai.keys.management.register import HOME_TENANT
from quantumai.keys.parameters import ED25519, ML_DSA_44, ML_DSA_65, ML_DSA_87

AUTHORITY, STATEMENT, AUDIT = "authority", "statement", "audit"
LEDGER_CLASSICAL, LEDGER_PQC = "ledger-ed25519", "ledger-ml-dsa-44"
INTERNAL = Caller(HOME_TENANT, "quantumai")
_ROTATE_AFTER_DAYS = 365
BUILT_IN_POLICY = KeyPolicy(
    rotate_after_days=_ROTATE_AFTER_DAYS,
    grants=(
        Grant((INTERNAL.principal,), ("sign",)),
        Grant(("*",), ("verify", "read", "manage")),
    ),
)


@dataclass(frozen=True)
class BuiltIn:
    """Algorithm and purpose of a built-in key; the ledger's keys cannot be rotated."""

    algorithm: str
    purpose: KeyPurpose
    rotates: bool = True


BUILT_IN: dict[str, BuiltIn] = {
    AUTHORITY: BuiltIn(ML_DSA_87, KeyPurpose.STATEMENT),
    STATEMENT: BuiltIn(ML_DSA_65, KeyPurpose.STATEMENT),
    LEDGER_CLASSICAL: BuiltIn(ED25519, KeyPurpose.CHECKPOINT, rotates=False),
    LEDGER_PQC: BuiltIn(ML_DSA_44, KeyPurpose.CHECKPOINT, rotates=False),
    AUDIT: BuiltIn(ML_DSA_65, KeyPurpose.AUDIT),
}
