"""Alembic's entry: migrates the connection that `storage.migration` hands in, nothing else."""

from __future__ import annotations

from alembic import context

# The caller owns the transaction, SQLite's included: all revisions are applied, or none.
context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
