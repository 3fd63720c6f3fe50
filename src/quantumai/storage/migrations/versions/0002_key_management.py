"""The tables of the KMS: names, key versions, requests, proposals, approvers, the audit log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"

_JSON = JSONB().with_variant(sa.Text(), "sqlite")
_STATES = (
    "pre-active",
    "active",
    "verify-only",
    "disabled",
    "compromised",
    "destroy-scheduled",
    "destroyed",
)
# The table of quantumai.keys.management.states as it was; a test holds the newest one equal.
_TRANSITIONS = (
    "pre-active>active",
    "pre-active>destroyed",
    "active>verify-only",
    "active>disabled",
    "active>compromised",
    "active>destroy-scheduled",
    "verify-only>disabled",
    "verify-only>compromised",
    "verify-only>destroy-scheduled",
    "disabled>active",
    "disabled>verify-only",
    "disabled>compromised",
    "disabled>destroy-scheduled",
    "compromised>destroy-scheduled",
    "destroy-scheduled>disabled",
    "destroy-scheduled>compromised",
    "destroy-scheduled>destroyed",
)


_FALSE_MOVE = "NEW.state <> OLD.state AND NEW.former_state IS DISTINCT FROM OLD.state"
_MESSAGE = "kms_keys: the former state is another"
_ON_SQLITE = (
    "CREATE TRIGGER kms_keys_moves BEFORE UPDATE ON kms_keys FOR EACH ROW "
    f"WHEN {_FALSE_MOVE.replace('IS DISTINCT FROM', 'IS NOT')} "
    f"BEGIN SELECT RAISE(ABORT, '{_MESSAGE}'); END"
)
_REFUSE_ON_POSTGRESQL = (
    "CREATE FUNCTION kms_keys_refuse() RETURNS trigger LANGUAGE plpgsql AS "
    f"$$ BEGIN RAISE EXCEPTION '{_MESSAGE}' USING ERRCODE = '23514'; END $$"
)
_ON_POSTGRESQL = (
    "CREATE TRIGGER kms_keys_moves BEFORE UPDATE ON kms_keys FOR EACH ROW "
    f"WHEN ({_FALSE_MOVE}) EXECUTE FUNCTION kms_keys_refuse()"
)
_MOVES = {"sqlite": (_ON_SQLITE,), "postgresql": (_REFUSE_ON_POSTGRESQL, _ON_POSTGRESQL)}


def _one_of(values: tuple[str, ...]) -> str:
    return f"({', '.join(repr(value) for value in values)})"


def upgrade() -> None:
    op.create_table(
        "kms_names",
        sa.Column("name_ref", sa.Text, primary_key=True),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("algorithm", sa.Text, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("policy", _JSON, nullable=False),
        sa.Column("created_at", sa.TIMESTAMP, nullable=False),
    )
    op.create_table(
        "kms_keys",
        sa.Column("version_ref", sa.Text, primary_key=True),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("algorithm", sa.Text, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("handle", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("former_state", sa.Text),
        sa.Column("key_id", sa.Text),
        sa.Column("spki", sa.Text),
        sa.Column("created_at", sa.TIMESTAMP, nullable=False),
        sa.Column("activated_at", sa.TIMESTAMP),
        sa.Column("retired_at", sa.TIMESTAMP),
        sa.Column("destroy_at", sa.TIMESTAMP),
        sa.Column("compromised_from", sa.BigInteger),
        sa.Column("announcement", _JSON),
        sa.Column("request", _JSON),
        sa.Column("uses", sa.BigInteger, nullable=False),
        sa.Column("last_used_at", sa.TIMESTAMP),
        sa.UniqueConstraint("provider", "handle", name="kms_keys_handle"),
        sa.CheckConstraint(f"state IN {_one_of(_STATES)}", name="kms_keys_state"),
        sa.CheckConstraint(
            # A check whose outcome is null lets a row pass, so null is said in full.
            "(former_state IS NULL AND state = 'pre-active') OR (former_state IS NOT NULL AND "
            f"(former_state || '>' || state) IN {_one_of(_TRANSITIONS)})",
            name="kms_keys_transition",
        ),
        # A key that may sign has a public key to check its signatures with.
        sa.CheckConstraint(
            "state IN ('pre-active', 'destroyed') OR spki IS NOT NULL", name="kms_keys_spki"
        ),
    )
    op.create_table(
        "kms_requests",
        sa.Column("scope", sa.Text, primary_key=True),
        sa.Column("body_sha256", sa.Text, nullable=False),
        sa.Column("response", _JSON),
        sa.Column("created_at", sa.TIMESTAMP, nullable=False),
    )
    op.create_table(
        "kms_proposals",
        sa.Column("call", sa.Text, primary_key=True),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("operation", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("proposer", sa.Text, nullable=False),
        sa.Column("created_at", sa.TIMESTAMP, nullable=False),
        sa.Column("approvals", _JSON),
    )
    op.create_table(
        "kms_approvers",
        sa.Column("approver_ref", sa.Text, primary_key=True),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("principal", sa.Text, nullable=False),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("algorithm", sa.Text, nullable=False),
        sa.Column("spki", sa.Text, nullable=False),
        sa.Column("created_at", sa.TIMESTAMP, nullable=False),
        sa.Column("removed_at", sa.TIMESTAMP),
        sa.UniqueConstraint("tenant", "key_id", name="kms_approvers_key"),
    )
    op.create_table(
        "kms_audit",
        # No sequence of the database's own: a gap would be a lost entry.
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("entry", sa.Text, nullable=False),
    )
    op.create_index("ix_kms_keys_tenant_name", "kms_keys", ["tenant", "name"])
    op.create_index("ix_kms_keys_key_id", "kms_keys", ["key_id"])
    # The constraint checks the pair that is written; this, that its first half is true.
    for statement in _MOVES[op.get_bind().dialect.name]:
        op.execute(statement)
