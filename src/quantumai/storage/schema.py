"""Tables and columns that the database has: the one list that the adapter lets through.

The specification's five tables, `jobs`, and those of the KMS (`kms_...`). Migrations create them; a
test holds the two equal.
Values at the port are plain: UUIDs lower-case text, timestamps ISO 8601 UTC text with "Z"
(microseconds at most), numbers int or float, JSON as Python objects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

# Every revision of migrations/versions, oldest first; the last one is what this code expects.
REVISIONS = ("0001", "0002")
HEAD = REVISIONS[-1]


class Kind(StrEnum):
    """What a column holds; decides how its values are checked and converted."""

    TEXT = "text"
    UUID = "uuid"
    TIMESTAMP = "timestamp"
    INTEGER = "integer"  # 32 bits
    BIGINT = "bigint"  # 64 bits
    FLOAT = "float"
    NUMERIC = "numeric"
    JSON = "json"


@dataclass(frozen=True)
class Table:
    """A table's name, its columns in order, and its primary key column."""

    name: str
    key: str
    columns: Mapping[str, Kind]


_T, _U, _AT, _J, _F = Kind.TEXT, Kind.UUID, Kind.TIMESTAMP, Kind.JSON, Kind.FLOAT

TABLES: Mapping[str, Table] = {
    table.name: table
    for table in (
        Table(
            "backends",
            "backend_id",
            {
                "backend_id": _T,
                "vendor": _T,
                "region": _T,
                "cost_per_shot": Kind.NUMERIC,  # USD
                "availability": _F,  # share of time, 0..1
                "capabilities": _J,
                "last_calibration_id": _T,
            },
        ),
        Table(
            "calibration_snapshots",
            "id",
            {
                "id": _T,
                "backend_id": _T,
                "created_at": _AT,
                "gates": _J,
                "readout_errors": _J,
                "raw_metrics": _J,
            },
        ),
        Table(
            "manifests",
            "job_id",
            {
                "job_id": _U,
                "tenant": _T,
                "backend_id": _T,
                "pqc_suite": _T,
                "crypto_mode": _T,
                "calibration_snapshot_id": _T,
                "em_method": _T,
                "signature": _T,
                "s3_path": _T,
                "created_at": _AT,
            },
        ),
        Table(
            "em_results",
            "result_id",
            {
                "result_id": _U,
                "job_id": _U,  # of a row in manifests, which must be there first
                "circuit_family": _T,
                "shots": Kind.INTEGER,
                "unmitigated_fidelity": _F,
                "mitigated_fidelity": _F,
                "em_method": _T,
                "cost_seconds": _F,
                "created_at": _AT,
                "parquet_path": _T,
            },
        ),
        Table(
            "scheduler_decisions",
            "id",
            {
                "id": _U,
                "job_id": _U,
                "chosen_backend": _T,
                "score": _F,
                "reasons": _J,
                "decision_manifest_path": _T,
                "created_at": _AT,
            },
        ),
        Table(
            "jobs",
            "job_id",
            {
                "job_id": _U,
                "tenant": _T,
                "state": _T,  # submitted, scheduled, running, sealing, done or failed
                "request": _J,
                "created_at": _AT,
                "updated_at": _AT,
                "failure_code": _T,
                "failure_reason": _T,
                "manifest_index": Kind.BIGINT,  # leaf of the ledger
                "decision_index": Kind.BIGINT,  # leaf of the ledger
            },
        ),
        Table(
            "kms_names",
            "name_ref",
            {
                "name_ref": _T,  # tenant/name
                "tenant": _T,
                "name": _T,
                "algorithm": _T,
                "purpose": _T,
                "policy": _J,
                "created_at": _AT,
            },
        ),
        Table(
            "kms_keys",
            "version_ref",
            {
                "version_ref": _T,  # tenant/name/version
                "tenant": _T,
                "name": _T,
                "version": Kind.INTEGER,
                "algorithm": _T,
                "purpose": _T,
                "provider": _T,
                "handle": _T,  # the provider's name for the key pair
                "state": _T,
                "former_state": _T,  # the pair of both is a transition that is allowed
                "key_id": _T,  # null while the key is being made
                "spki": _T,  # base64 of the DER
                "created_at": _AT,
                "activated_at": _AT,
                "retired_at": _AT,
                "destroy_at": _AT,
                "compromised_from": Kind.BIGINT,  # leaf of the ledger
                "announcement": _J,  # of a rotation: statement, signed by the former key and this
                "request": _J,  # that has it made: its scope in kms_requests, and how
                "uses": Kind.BIGINT,
                "last_used_at": _AT,
            },
        ),
        Table(
            "kms_requests",
            "scope",
            {
                "scope": _T,  # SHA-256 of tenant, principal, call and idempotency key
                "body_sha256": _T,
                "response": _J,  # null while the call is being done
                "created_at": _AT,
            },
        ),
        Table(
            "kms_proposals",
            "call",
            {
                "call": _T,  # SHA-256 of tenant, call and arguments
                "tenant": _T,
                "operation": _T,
                "target": _T,  # name/version
                "proposer": _T,
                "created_at": _AT,
                "approvals": _J,  # DSSE envelopes of all who signed it; where a quorum has to
            },
        ),
        Table(
            "kms_approvers",
            "approver_ref",
            {
                "approver_ref": _T,  # tenant/principal/key_id
                "tenant": _T,
                "principal": _T,
                "key_id": _T,
                "algorithm": _T,
                "spki": _T,  # base64 of the DER
                "created_at": _AT,
                "removed_at": _AT,
            },
        ),
        Table(
            "kms_audit",
            "sequence",
            {
                "sequence": Kind.BIGINT,  # 0, 1, 2, ... without a gap
                "entry": _T,  # canonical JSON
            },
        ),
    )
}
