"""Servers that are left alone for a while."""

import sqlalchemy as sa
from alembic import op

from lamplighter.database.dialects import PlainText

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the table of destinations."""
    op.create_table(
        "destinations",
        sa.Column("server_name", PlainText(255), nullable=False),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.Column("retry_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("server_name", name=op.f("pk_destinations")),
    )
