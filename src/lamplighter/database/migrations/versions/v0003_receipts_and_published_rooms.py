"""Receipts, and the rooms that stand in the room directory."""

import sqlalchemy as sa
from alembic import op

from lamplighter.database.dialects import PlainText

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0003"
down_revision = "0002"

ID = PlainText(255)


def upgrade() -> None:
    """Create the tables of both; a room gets a column for the place of its last receipt."""
    op.add_column("rooms", sa.Column("receipts_position", sa.BigInteger()))
    op.create_table(
        "published_rooms",
        sa.Column("room_id", ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["room_id"], ["rooms.room_id"], name=op.f("fk_published_rooms_room_id")
        ),
        sa.PrimaryKeyConstraint("room_id", name=op.f("pk_published_rooms")),
    )
    op.create_table(
        "receipts",
        sa.Column("room_id", ID, nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("type", ID, nullable=False),
        sa.Column("thread_id", ID, nullable=False),
        sa.Column("event_id", ID, nullable=False),
        sa.Column("event_position", sa.BigInteger(), nullable=False),
        sa.Column("ts", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["room_id"], ["rooms.room_id"], name=op.f("fk_receipts_room_id")),
        sa.PrimaryKeyConstraint(
            "room_id", "user_id", "type", "thread_id", name=op.f("pk_receipts")
        ),
    )
    op.create_index(op.f("ix_receipts_room_id_position"), "receipts", ["room_id", "position"])
    op.create_index(op.f("ix_receipts_user_id_position"), "receipts", ["user_id", "position"])
