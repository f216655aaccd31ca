"""Finds what is old enough to go."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_index("skips_by_end", "skips", ["to"])
    op.create_index("alarms_by_age", "alarms", ["latest"])
