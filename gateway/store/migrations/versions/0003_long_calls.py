"""Calls that last: the handles of jobs, progress, logs while they grow; pauses of more than targets; rates."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"

Id = sa.String(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")
Microseconds = sa.BigInteger()


def where(condition: str) -> dict[str, Any]:
    """The condition of a partial index, as each database writes it."""
    return {
        "sqlite_where": sa.text(condition.replace("IS false", "IS 0")),
        "postgresql_where": sa.text(condition),
    }


def upgrade() -> None:
    op.add_column("runs", sa.Column("origins", sa.Text(), nullable=False, server_default=sa.text("''")))
    op.add_column("runs", sa.Column("paused", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("runs", sa.Column("waited", Microseconds, nullable=False, server_default=sa.text("0")))
    op.add_column("runs", sa.Column("handle", sa.LargeBinary()))
    op.add_column("runs", sa.Column("following", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("runs", sa.Column("progress", sa.LargeBinary()))
    op.add_column("attempts", sa.Column("dropped", sa.Integer(), nullable=False, server_default=sa.text("0")))
    op.add_column("targets", sa.Column("next_call_at", Microseconds))
    _create_lane_index_anew()
    _create_live_logs()
    _create_pauses()
    _create_paused_runs()


def _create_lane_index_anew() -> None:
    op.drop_index("runs_in_lane", "runs")
    op.create_index(
        "runs_in_lane",
        "runs",
        ["target", "lane", "priority", "due_at", "id"],
        **where("lane IS NOT NULL AND state IN ('queued', 'retrying') AND paused IS false"),
    )


def _create_live_logs() -> None:
    op.create_table(
        "live_logs",
        sa.Column("run_id", Id, nullable=False),
        sa.Column("attempt", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "attempt", "number"),
        sqlite_with_rowid=False,
    )


def _create_pauses() -> None:
    op.create_table(
        "pauses",
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("paused_at", Microseconds, nullable=False),
        sa.Column("paused_until", Microseconds),
        sa.Column("paused_by", sa.String(length=100), nullable=False),
        sa.Column("pause_reason", sa.Text()),
        sa.PrimaryKeyConstraint("kind", "name", "key"),
        sqlite_with_rowid=False,
    )


def _create_paused_runs() -> None:
    op.create_table(
        "paused_runs",
        sa.Column("pause", sa.Text(), nullable=False),
        sa.Column("run_id", Id, nullable=False),
        sa.PrimaryKeyConstraint("pause", "run_id"),
        sqlite_with_rowid=False,
    )
