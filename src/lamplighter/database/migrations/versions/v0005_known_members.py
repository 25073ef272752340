"""Who is joined to which room of another homeserver."""

import sqlalchemy as sa
from alembic import op

from lamplighter.database.dialects import PlainText

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Create the table of known members."""
    op.create_table(
        "known_members",
        sa.Column("room_id", PlainText(255), nullable=False),
        sa.Column("user_id", PlainText(255), nullable=False),
        sa.Column("since_ts", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("room_id", "user_id", name=op.f("pk_known_members")),
    )
