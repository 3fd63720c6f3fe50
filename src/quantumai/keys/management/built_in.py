"""The keys that a home has by itself, for its manifests, its ledger and its audit log.

Only the home's own sealing signs with them, under a principal that nobody else can take.
"""

from __future__ import annotations

from dataclasses import dataclass

from quantumai.keys.management.records import Caller, Grant, KeyPolicy, KeyPurpose
from quantumai.keys.management.register import HOME_TENANT
from quantumai.keys.parameters import (
    ECDSA_P256,
    ED25519,
    ML_DSA_44,
    ML_DSA_65,
    ML_DSA_87,
    ML_KEM_768,
)

AUTHORITY, STATEMENT, AUDIT = "authority", "statement", "audit"
STATEMENT_CLASSICAL = "statement-ed25519"
LEDGER_CLASSICAL, LEDGER_PQC = "ledger-ed25519", "ledger-ml-dsa-44"
LEDGER_ANCHOR = "ledger-slh-dsa"
MODEL = "model-ecdsa-p256"
TENANT_DATA = "tenant-data"
INTERNAL = Caller(HOME_TENANT, "quantumai")
_ROTATE_AFTER_DAYS = 365
BUILT_IN_POLICY = KeyPolicy(
    rotate_after_days=_ROTATE_AFTER_DAYS,
    grants=(
        Grant((INTERNAL.principal,), ("sign", "wrap", "unwrap")),
        Grant(("*",), ("verify", "read", "manage")),
    ),
)


@dataclass(frozen=True)
class BuiltIn:
    """Algorithm and purpose of a built-in key; the ledger's keys cannot be rotated.

    A key that is `on_demand` is made when something first has to be done with it.
    """

    algorithm: str
    purpose: KeyPurpose
    rotates: bool = True
    on_demand: bool = False


BUILT_IN: dict[str, BuiltIn] = {
    AUTHORITY: BuiltIn(ML_DSA_87, KeyPurpose.STATEMENT),
    STATEMENT: BuiltIn(ML_DSA_65, KeyPurpose.STATEMENT),
    LEDGER_CLASSICAL: BuiltIn(ED25519, KeyPurpose.CHECKPOINT, rotates=False),
    LEDGER_PQC: BuiltIn(ML_DSA_44, KeyPurpose.CHECKPOINT, rotates=False),
    AUDIT: BuiltIn(ML_DSA_65, KeyPurpose.AUDIT),
    STATEMENT_CLASSICAL: BuiltIn(ED25519, KeyPurpose.STATEMENT, on_demand=True),
    # Hash-based, of the category of ML-DSA-65: it holds should lattices fall.
    LEDGER_ANCHOR: BuiltIn("SLH-DSA-SHA2-192s", KeyPurpose.STATEMENT, on_demand=True),
    # For the tools of others: OpenSSF model signing knows elliptic curves only.
    MODEL: BuiltIn(ECDSA_P256, KeyPurpose.STATEMENT, on_demand=True),
    # Each tenant has its own: to destroy it is to erase the tenant's data.
    TENANT_DATA: BuiltIn(ML_KEM_768, KeyPurpose.WRAP, on_demand=True),
}
