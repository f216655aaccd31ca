"""Alembic asks for this file; `gateway.store.migrate` has set up everything before it is read."""

from alembic import context

with context.begin_transaction():
    context.run_migrations()
