"""Schedules, their leader, and what runs know of the tick they come from."""

import re
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"

Id = sa.String(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")
Microseconds = sa.BigInteger()
_FLAG = re.compile("(claimable|continuous)")


def where(condition: str) -> dict[str, Any]:
    """The condition of a partial index, as each database writes it."""
    return {
        "sqlite_where": sa.text(_FLAG.sub(r"\1 IS 1", condition)),
        "postgresql_where": sa.text(_FLAG.sub(r"\1 IS true", condition)),
    }


def upgrade() -> None:
    _extend_runs()
    _create_leadership()
    _create_schedules()
    _create_skips()


def _extend_runs() -> None:
    op.add_column("runs", sa.Column("scheduled_for", Microseconds))
    op.add_column("runs", sa.Column("missed", sa.Integer()))
    op.add_column("runs", sa.Column("expires_at", Microseconds))
    op.add_column("runs", sa.Column("fresh_for", Microseconds))
    op.create_index(
        "runs_succeeded",
        "runs",
        ["target", "key", "started_at"],
        **where("state = 'succeeded' AND \"key\" IS NOT NULL"),
    )
    op.create_index("runs_expiring", "runs", ["expires_at"], **where("state = 'queued' AND expires_at IS NOT NULL"))
    op.create_index("runs_to_be_fresh", "runs", ["target", "due_at"], **where("claimable AND fresh_for IS NOT NULL"))


def _create_leadership() -> None:
    op.create_table(
        "leadership",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("node_id", Id, nullable=False),
        sa.Column("node", sa.String(length=100), nullable=False),
        sa.Column("lease_until", Microseconds, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )


def _create_schedules() -> None:
    op.create_table(
        "schedules",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("origin", sa.String(length=4), nullable=False),
        sa.Column("definition", sa.LargeBinary(), nullable=False),
        sa.Column("timing", sa.String(length=64), nullable=False),
        sa.Column("timezone", sa.String(length=100), nullable=False),
        sa.Column("zone_rules", sa.String(length=64), nullable=False),
        sa.Column("continuous", sa.Boolean(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("anchor", Microseconds, nullable=False),
        sa.Column("cursor", Microseconds, nullable=False),
        sa.Column("next_at", Microseconds),
        sa.Column("ticks", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_tick_at", Microseconds),
        sa.Column("last_run_id", Id),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("paused_until", Microseconds),
        sa.Column("paused_by", sa.String(length=100)),
        sa.Column("pause_reason", sa.Text()),
        sa.Column("created_at", Microseconds, nullable=False),
        sa.Column("updated_at", Microseconds, nullable=False),
        sa.Column("updated_by", sa.String(length=100)),
        sa.Column("removed_at", Microseconds),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_index("schedules_next", "schedules", ["next_at"], **where("next_at IS NOT NULL"))
    op.create_index("schedules_continuous", "schedules", ["last_run_id"], **where("continuous"))


def _create_skips() -> None:
    op.create_table(
        "skips",
        sa.Column("schedule", sa.String(length=100), nullable=False),
        sa.Column("from", Microseconds, nullable=False),
        sa.Column("to", Microseconds, nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("schedule", "from"),
        sqlite_with_rowid=False,
    )
