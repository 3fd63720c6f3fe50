"""The specification's five tables as they stand there, and the table of jobs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None

# SQLite has neither type; TEXT keeps it from turning a JSON number or a UUID into a number.
_JSON = JSONB().with_variant(sa.Text(), "sqlite")
_UUID = sa.Uuid(as_uuid=False).with_variant(sa.Text(), "sqlite")
_STATES = ("submitted", "scheduled", "running", "sealing", "done", "failed")


def upgrade() -> None:
    op.create_table(
        "backends",
        sa.Column("backend_id", sa.Text, primary_key=True),
        sa.Column("vendor", sa.Text),
        sa.Column("region", sa.Text),
        sa.Column("cost_per_shot", sa.Numeric),
        sa.Column("availability", sa.Float),
        sa.Column("capabilities", _JSON),
        sa.Column("last_calibration_id", sa.Text),
    )
    op.create_table(
        "calibration_snapshots",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("backend_id", sa.Text, sa.ForeignKey("backends.backend_id")),
        sa.Column("created_at", sa.TIMESTAMP),
        sa.Column("gates", _JSON),
        sa.Column("readout_errors", _JSON),
        sa.Column("raw_metrics", _JSON),
    )
    op.create_table(
        "manifests",
        sa.Column("job_id", _UUID, primary_key=True),
        sa.Column("tenant", sa.Text),
        sa.Column("backend_id", sa.Text),
        sa.Column("pqc_suite", sa.Text),
        sa.Column("crypto_mode", sa.Text),
        sa.Column("calibration_snapshot_id", sa.Text),
        sa.Column("em_method", sa.Text),
        sa.Column("signature", sa.Text),
        sa.Column("s3_path", sa.Text),
        sa.Column("created_at", sa.TIMESTAMP),
    )
    op.create_table(
        "em_results",
        sa.Column("result_id", _UUID, primary_key=True),
        sa.Column("job_id", _UUID, sa.ForeignKey("manifests.job_id")),
        sa.Column("circuit_family", sa.Text),
        sa.Column("shots", sa.Integer),
        sa.Column("unmitigated_fidelity", sa.Float),
        sa.Column("mitigated_fidelity", sa.Float),
        sa.Column("em_method", sa.Text),
        sa.Column("cost_seconds", sa.Float),
        sa.Column("created_at", sa.TIMESTAMP),
        sa.Column("parquet_path", sa.Text),
    )
    op.create_table(
        "scheduler_decisions",
        sa.Column("id", _UUID, primary_key=True),
        sa.Column("job_id", _UUID),
        sa.Column("chosen_backend", sa.Text),
        sa.Column("score", sa.Float),
        sa.Column("reasons", _JSON),
        sa.Column("decision_manifest_path", sa.Text),
        sa.Column("created_at", sa.TIMESTAMP),
    )
    op.create_table(
        "jobs",
        sa.Column("job_id", _UUID, primary_key=True),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("request", _JSON, nullable=False),
        sa.Column("created_at", sa.TIMESTAMP, nullable=False),
        sa.Column("updated_at", sa.TIMESTAMP, nullable=False),
        sa.Column("failure_code", sa.Text),
        sa.Column("failure_reason", sa.Text),
        sa.Column("manifest_index", sa.BigInteger),
        sa.Column("decision_index", sa.BigInteger),
        sa.CheckConstraint(
            f"state IN ({', '.join(repr(state) for state in _STATES)})", name="jobs_state"
        ),
    )
    for table, columns in (
        ("calibration_snapshots", ["backend_id", "created_at"]),
        ("manifests", ["tenant", "created_at"]),
        ("em_results", ["job_id"]),
        ("scheduler_decisions", ["job_id"]),
        ("jobs", ["state"]),
        ("jobs", ["tenant", "created_at"]),
    ):
        op.create_index(f"ix_{table}_{'_'.join(columns)}", table, columns)
