"""The first tables."""

import sqlalchemy as sa
from alembic import op

from lamplighter.database.dialects import PlainText

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0001"
down_revision = None

ID = PlainText(255)


def upgrade() -> None:
    """Create everything."""
    _create_accounts()
    _create_presence_and_stream()
    _create_rooms()
    _create_members()
    _create_transactions()


def _create_accounts() -> None:
    op.create_table(
        "users",
        sa.Column("user_id", ID, nullable=False),
        sa.Column("password_hash", PlainText()),
        sa.Column("created_ts", sa.BigInteger(), nullable=False),
        sa.Column("is_admin", sa.Boolean(), nullable=False),
        sa.Column("is_deactivated", sa.Boolean(), nullable=False),
        sa.Column("displayname", PlainText()),
        sa.Column("avatar_url", PlainText()),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_users")),
    )
    op.create_table(
        "devices",
        sa.Column("user_id", ID, nullable=False),
        sa.Column("device_id", ID, nullable=False),
        sa.Column("token_hash", PlainText(64), nullable=False),
        sa.Column("display_name", PlainText()),
        sa.Column("last_seen_ts", sa.BigInteger()),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name=op.f("fk_devices_user_id")),
        sa.PrimaryKeyConstraint("user_id", "device_id", name=op.f("pk_devices")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_devices_token_hash")),
    )
    op.create_table(
        "filters",
        sa.Column("user_id", ID, nullable=False),
        sa.Column("filter_id", ID, nullable=False),
        sa.Column("definition", PlainText(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name=op.f("fk_filters_user_id")),
        sa.PrimaryKeyConstraint("user_id", "filter_id", name=op.f("pk_filters")),
    )


def _create_presence_and_stream() -> None:
    op.create_table(
        "presence",
        sa.Column("user_id", ID, nullable=False),
        sa.Column("state", PlainText(64), nullable=False),
        sa.Column("word", PlainText(16), nullable=False),
        sa.Column("last_active_ts", sa.BigInteger(), nullable=False),
        sa.Column("last_federation_update_ts", sa.BigInteger(), nullable=False),
        sa.Column("last_user_sync_ts", sa.BigInteger(), nullable=False),
        sa.Column("status_msg", PlainText()),
        sa.Column("currently_active", sa.Boolean(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_presence")),
    )
    op.create_table(
        "stream",
        sa.Column("incarnation", ID, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("incarnation", name=op.f("pk_stream")),
    )


def _create_rooms() -> None:
    op.create_table(
        "rooms",
        sa.Column("room_id", ID, nullable=False),
        sa.Column("last_position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("room_id", name=op.f("pk_rooms")),
    )
    op.create_table(
        "events",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("event_id", ID, nullable=False),
        sa.Column("room_id", ID, nullable=False),
        sa.Column("type", ID, nullable=False),
        sa.Column("state_key", ID),
        sa.Column("sender", ID, nullable=False),
        sa.Column("origin_server_ts", sa.BigInteger(), nullable=False),
        sa.Column("content", PlainText(), nullable=False),
        sa.Column("unsigned", PlainText(), nullable=False),
        sa.ForeignKeyConstraint(["room_id"], ["rooms.room_id"], name=op.f("fk_events_room_id")),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_events")),
        sa.UniqueConstraint("event_id", name=op.f("uq_events_event_id")),
    )
    op.create_index(op.f("ix_events_room_id_position"), "events", ["room_id", "position"])
    op.create_index(
        op.f("ix_events_room_id_type_state_key_position"),
        "events",
        ["room_id", "type", "state_key", "position"],
    )
    op.create_table(
        "current_state",
        sa.Column("room_id", ID, nullable=False),
        sa.Column("type", ID, nullable=False),
        sa.Column("state_key", ID, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["position"], ["events.position"], name=op.f("fk_current_state_position")
        ),
        sa.ForeignKeyConstraint(
            ["room_id"], ["rooms.room_id"], name=op.f("fk_current_state_room_id")
        ),
        sa.PrimaryKeyConstraint("room_id", "type", "state_key", name=op.f("pk_current_state")),
    )


def _create_members() -> None:
    op.create_table(
        "memberships",
        sa.Column("room_id", ID, nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("membership", PlainText(16), nullable=False),
        sa.Column("since_position", sa.BigInteger(), nullable=False),
        sa.Column("since_ts", sa.BigInteger(), nullable=False),
        sa.Column("left_position", sa.BigInteger()),
        sa.Column("displayname", PlainText()),
        sa.Column("avatar_url", PlainText()),
        sa.ForeignKeyConstraint(
            ["room_id"], ["rooms.room_id"], name=op.f("fk_memberships_room_id")
        ),
        sa.PrimaryKeyConstraint("room_id", "user_id", name=op.f("pk_memberships")),
    )
    op.create_index(
        op.f("ix_memberships_user_id_membership"),
        "memberships",
        ["user_id", "membership"],
    )
    op.create_table(
        "aliases",
        sa.Column("alias", ID, nullable=False),
        sa.Column("room_id", ID, nullable=False),
        sa.Column("creator", ID, nullable=False),
        sa.ForeignKeyConstraint(["room_id"], ["rooms.room_id"], name=op.f("fk_aliases_room_id")),
        sa.PrimaryKeyConstraint("alias", name=op.f("pk_aliases")),
    )
    op.create_table(
        "account_data",
        sa.Column("user_id", ID, nullable=False),
        sa.Column("room_id", ID, nullable=False),
        sa.Column("type", ID, nullable=False),
        sa.Column("content", PlainText(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.user_id"], name=op.f("fk_account_data_user_id")
        ),
        sa.PrimaryKeyConstraint("user_id", "room_id", "type", name=op.f("pk_account_data")),
    )
    op.create_index(
        op.f("ix_account_data_user_id_position"),
        "account_data",
        ["user_id", "position"],
    )


def _create_transactions() -> None:
    op.create_table(
        "transactions",
        sa.Column("user_id", ID, nullable=False),
        sa.Column("device_id", ID, nullable=False),
        sa.Column("room_id", ID, nullable=False),
        sa.Column("type", ID, nullable=False),
        sa.Column("txn_id", ID, nullable=False),
        sa.Column("event_id", ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["event_id"], ["events.event_id"], name=op.f("fk_transactions_event_id")
        ),
        sa.ForeignKeyConstraint(
            ["user_id", "device_id"],
            ["devices.user_id", "devices.device_id"],
            name=op.f("fk_transactions_user_id_device_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "user_id", "device_id", "room_id", "type", "txn_id", name=op.f("pk_transactions")
        ),
    )
    op.create_index(op.f("ix_transactions_event_id"), "transactions", ["event_id"])
