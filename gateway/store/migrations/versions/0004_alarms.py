"""What is wrong, and who was told of it."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

Microseconds = sa.BigInteger()


def where(condition: str) -> dict[str, Any]:
    """The condition of a partial index."""
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def upgrade() -> None:
    op.create_table(
        "alarms",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("what", sa.String(length=20), nullable=False),
        sa.Column("since", Microseconds, nullable=False),
        sa.Column("latest", Microseconds, nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("raised", sa.Boolean(), nullable=False),
        sa.Column("told", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name", "key", "kind", "what"),
        sqlite_with_rowid=False,
    )
    op.create_index("runs_successes", "runs", ["target", "finished_at"], **where("state = 'succeeded'"))
    op.create_index("events_with_errors", "events", ["id"], **where("verbs LIKE '%error%'"))
