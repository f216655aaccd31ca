"""The first tables: events, runs, keys, attempts, nodes, targets."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

Id = sa.String(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")
Microseconds = sa.BigInteger()


def where(condition: str) -> dict[str, Any]:
    """The condition of a partial index, as each database writes it."""
    return {
        "sqlite_where": sa.text(condition.replace("claimable", "claimable IS 1")),
        "postgresql_where": sa.text(condition.replace("claimable", "claimable IS true")),
    }


def upgrade() -> None:
    _create_attempts()
    _create_events()
    _create_keys()
    _create_nodes()
    _create_run_events()
    _create_runs()
    _create_targets()


def _create_attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("run_id", Id, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("node", sa.String(length=100)),
        sa.Column("started_at", Microseconds, nullable=False),
        sa.Column("finished_at", Microseconds, nullable=False),
        sa.Column("outcome", sa.String(length=20), nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("reason", sa.Text()),
        sa.Column("log", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "number"),
        sqlite_with_rowid=False,
    )


def _create_events() -> None:
    op.create_table(
        "events",
        sa.Column("id", Id, nullable=False),
        sa.Column("source", sa.String(length=100), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text()),
        sa.Column("sender_id", sa.Text()),
        sa.Column("time", Microseconds, nullable=False),
        sa.Column("received_at", Microseconds, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("details", sa.LargeBinary(), nullable=False),
        sa.Column("decisions", sa.LargeBinary(), nullable=False),
        sa.Column("verbs", sa.String(length=100), nullable=False),
        sa.Column("delivery_scope", sa.String(length=100)),
        sa.Column("delivery_id", sa.Text()),
        sa.Column("delivery_until", Microseconds),
        sa.Column("deliveries", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "delivery_key", "events", ["delivery_id", "delivery_scope"], unique=True, **where("delivery_id IS NOT NULL")
    )


def _create_keys() -> None:
    op.create_table(
        "keys",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("target", sa.String(length=100), nullable=False),
        sa.Column("run_id", Id, nullable=False),
        sa.Column("held_until", Microseconds),
        sa.PrimaryKeyConstraint("key", "target"),
        sqlite_with_rowid=False,
    )


def _create_nodes() -> None:
    op.create_table(
        "nodes",
        sa.Column("id", Id, nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("version", sa.String(length=40), nullable=False),
        sa.Column("config_hash", sa.String(length=64), nullable=False),
        sa.Column("labels", sa.LargeBinary(), nullable=False),
        sa.Column("targets", sa.LargeBinary(), nullable=False),
        sa.Column("started_at", Microseconds, nullable=False),
        sa.Column("lease_until", Microseconds),
        sa.PrimaryKeyConstraint("id"),
    )


def _create_run_events() -> None:
    op.create_table(
        "run_events",
        sa.Column("run_id", Id, nullable=False),
        sa.Column("event_id", Id, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "event_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_run_events_event_id", "run_events", ["event_id"])


def _create_runs() -> None:
    op.create_table(
        "runs",
        sa.Column("id", Id, nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("target", sa.String(length=100), nullable=False),
        sa.Column("trigger", sa.String(length=100)),
        sa.Column("schedule", sa.String(length=100)),
        sa.Column("key", sa.Text()),
        sa.Column("lane", sa.Text()),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("claimable", sa.Boolean(), nullable=False),
        sa.Column("behind", Id),
        sa.Column("created_at", Microseconds, nullable=False),
        sa.Column("due_at", Microseconds, nullable=False),
        sa.Column("not_before", Microseconds),
        sa.Column("started_at", Microseconds),
        sa.Column("attempt_started_at", Microseconds),
        sa.Column("finished_at", Microseconds),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("losses", sa.Integer(), nullable=False),
        sa.Column("node_id", Id),
        sa.Column("cancelling", sa.Boolean(), nullable=False),
        sa.Column("event_id", Id),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("origin_event_id", Id),
        sa.Column("depth", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("output", sa.LargeBinary()),
        sa.Column("requested_by", sa.String(length=100)),
        sa.Column("retried_from", Id),
        sa.Column("superseded_by", Id),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("runs_behind", "runs", ["behind"], **where("behind IS NOT NULL"))
    op.create_index("runs_claimable", "runs", ["target", "priority", "due_at", "id"], **where("claimable"))
    op.create_index(
        "runs_in_lane",
        "runs",
        ["target", "lane", "priority", "due_at", "id"],
        **where("lane IS NOT NULL AND state IN ('queued', 'retrying')"),
    )
    op.create_index(
        "runs_in_lane_by_age",
        "runs",
        ["target", "lane", "created_at", "id"],
        **where("lane IS NOT NULL AND state IN ('queued', 'retrying')"),
    )
    op.create_index("runs_running", "runs", ["target", "lane", "node_id"], **where("state = 'running'"))
    op.create_index(
        "runs_unfinished_event", "runs", ["event_id"], **where("state IN ('queued', 'running', 'retrying')")
    )


def _create_targets() -> None:
    op.create_table(
        "targets",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("paused_until", Microseconds),
        sa.Column("paused_by", sa.String(length=100)),
        sa.Column("pause_reason", sa.Text()),
        sa.Column("breaker_failures", sa.Integer(), nullable=False),
        sa.Column("breaker_pause", Microseconds),
        sa.Column("open_until", Microseconds),
        sa.PrimaryKeyConstraint("name"),
    )
