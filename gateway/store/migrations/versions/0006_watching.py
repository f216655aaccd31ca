"""For those who watch: which rows have changed, who did what, and how much happened."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"

Id = sa.String(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")
Name = sa.String(100)
Microseconds = sa.BigInteger()


def upgrade() -> None:
    for table in ("events", "runs"):
        op.add_column(table, sa.Column("changed", sa.BigInteger(), nullable=False, server_default=sa.text("0")))
        op.create_index(f"{table}_changed", table, ["changed", "id"])
    _create_audit()
    _create_counts()


def _create_audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", Id, nullable=False),
        sa.Column("at", Microseconds, nullable=False),
        sa.Column("actor", Name, nullable=False),
        sa.Column("address", sa.String(length=45)),
        sa.Column("action", sa.String(length=20), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("name", sa.Text()),
        sa.Column("reason", sa.Text()),
        sa.Column("asked", sa.LargeBinary()),
        sa.Column("outcome", sa.Text()),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def _create_counts() -> None:
    op.create_table(
        "counts",
        sa.Column("period", Microseconds, nullable=False),
        sa.Column("source", Name, nullable=False),
        sa.Column("trigger", Name, nullable=False),
        sa.Column("target", Name, nullable=False),
        sa.Column("what", sa.String(length=20), nullable=False),
        sa.Column("writer", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("last_event_id", sa.String(length=36)),
        sa.PrimaryKeyConstraint("period", "source", "trigger", "target", "what", "writer"),
        sqlite_with_rowid=False,
    )
