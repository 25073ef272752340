"""Of whom visibility has ended, and whom modules name."""

import sqlalchemy as sa
from alembic import op

from lamplighter.database.dialects import PlainText

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the table of viewers."""
    op.create_table(
        "visibility",
        sa.Column("viewer", PlainText(255), nullable=False),
        sa.Column("content", PlainText(), nullable=False),
        sa.PrimaryKeyConstraint("viewer", name=op.f("pk_visibility")),
    )
