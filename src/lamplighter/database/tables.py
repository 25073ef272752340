"""Every table, for SQLite and PostgreSQL alike.

Instants are milliseconds since the epoch. JSON is stored as the text in which it is sent. User IDs
in rooms may be of any server; those of `users`, and of tables that refer to it, are our own. A row
that is news for clients has a `position`: its place in the one stream that `stream` counts.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    MetaData,
    Table,
)

from lamplighter.database.dialects import PlainText

__all__ = [
    "account_data",
    "aliases",
    "current_state",
    "destinations",
    "devices",
    "events",
    "filters",
    "findings",
    "known_members",
    "memberships",
    "metadata",
    "news",
    "presence",
    "published_rooms",
    "receipts",
    "rooms",
    "stream",
    "transactions",
    "users",
    "visibility",
]

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

#: Matrix identifiers, event types and state keys are at most 255 bytes long.
_Id: Final = PlainText(255)

#: One row: which database this is, and the last position that was given out.
stream = Table(
    "stream",
    metadata,
    Column("incarnation", _Id, primary_key=True),
    Column("position", BigInteger, nullable=False),
)

#: What a write means to the nodes of a cluster, for ten minutes; a single node stores none.
news = Table(
    "news",
    metadata,
    #: The last position of the write.
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    #: `homeserver.sql.news.Written`.
    Column("payload", LargeBinary, nullable=False),
    Column("written_ts", BigInteger, nullable=False),
)

users = Table(
    "users",
    metadata,
    Column("user_id", _Id, primary_key=True),
    #: Encoded argon2; null where nobody can log in by password.
    Column("password_hash", PlainText()),
    Column("created_ts", BigInteger, nullable=False),
    Column("is_admin", Boolean, nullable=False),
    Column("is_deactivated", Boolean, nullable=False),
    Column("displayname", PlainText()),
    Column("avatar_url", PlainText()),
)

devices = Table(
    "devices",
    metadata,
    Column("user_id", _Id, ForeignKey("users.user_id"), primary_key=True),
    Column("device_id", _Id, primary_key=True),
    #: SHA-256 of the access token, in hexadecimal.
    Column("token_hash", PlainText(64), nullable=False, unique=True),
    Column("display_name", PlainText()),
    Column("last_seen_ts", BigInteger),
)

filters = Table(
    "filters",
    metadata,
    Column("user_id", _Id, ForeignKey("users.user_id"), primary_key=True),
    Column("filter_id", _Id, primary_key=True),
    Column("definition", PlainText(), nullable=False),
)

account_data = Table(
    "account_data",
    metadata,
    Column("user_id", _Id, ForeignKey("users.user_id"), primary_key=True),
    #: Empty for global account data.
    Column("room_id", _Id, primary_key=True),
    Column("type", _Id, primary_key=True),
    Column("content", PlainText(), nullable=False),
    Column("position", BigInteger, nullable=False),
    Index(None, "user_id", "position"),
)

rooms = Table(
    "rooms",
    metadata,
    Column("room_id", _Id, primary_key=True),
    #: The place of the room's last event.
    Column("last_position", BigInteger, nullable=False),
    #: The place of the room's last receipt; null as long as there is none.
    Column("receipts_position", BigInteger),
)

#: The rooms that stand in the room directory, for everybody to find.
published_rooms = Table(
    "published_rooms",
    metadata,
    Column("room_id", _Id, ForeignKey("rooms.room_id"), primary_key=True),
)

#: Up to which event a user has read a room, or one of its threads.
receipts = Table(
    "receipts",
    metadata,
    Column("room_id", _Id, ForeignKey("rooms.room_id"), primary_key=True),
    Column("user_id", _Id, primary_key=True),
    #: `m.read`, which members see, or `m.read.private`.
    Column("type", _Id, primary_key=True),
    #: Empty for a receipt that belongs to no thread.
    Column("thread_id", _Id, primary_key=True),
    Column("event_id", _Id, nullable=False),
    #: The place of that event, up to which the user has read.
    Column("event_position", BigInteger, nullable=False),
    Column("ts", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
    Index(None, "room_id", "position"),
    Index(None, "user_id", "position"),
)

events = Table(
    "events",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("event_id", _Id, nullable=False, unique=True),
    Column("room_id", _Id, ForeignKey("rooms.room_id"), nullable=False),
    Column("type", _Id, nullable=False),
    #: Null for message events.
    Column("state_key", _Id),
    Column("sender", _Id, nullable=False),
    Column("origin_server_ts", BigInteger, nullable=False),
    Column("content", PlainText(), nullable=False),
    Column("unsigned", PlainText(), nullable=False),
    Index(None, "room_id", "position"),
    Index(None, "room_id", "type", "state_key", "position"),
)

current_state = Table(
    "current_state",
    metadata,
    Column("room_id", _Id, ForeignKey("rooms.room_id"), primary_key=True),
    Column("type", _Id, primary_key=True),
    Column("state_key", _Id, primary_key=True),
    Column("position", BigInteger, ForeignKey("events.position"), nullable=False),
)

memberships = Table(
    "memberships",
    metadata,
    Column("room_id", _Id, ForeignKey("rooms.room_id"), primary_key=True),
    Column("user_id", _Id, primary_key=True),
    Column("membership", PlainText(16), nullable=False),
    #: Where and when the present kind of membership began; a new display name moves neither.
    Column("since_position", BigInteger, nullable=False),
    Column("since_ts", BigInteger, nullable=False),
    #: Where the user's last stay ended; null for a user who never was in the room, or is in it.
    Column("left_position", BigInteger),
    Column("displayname", PlainText()),
    Column("avatar_url", PlainText()),
    Index(None, "user_id", "membership"),
)

aliases = Table(
    "aliases",
    metadata,
    Column("alias", _Id, primary_key=True),
    Column("room_id", _Id, ForeignKey("rooms.room_id"), nullable=False),
    Column("creator", _Id, nullable=False),
)

#: What a device has sent under which transaction ID.
transactions = Table(
    "transactions",
    metadata,
    Column("user_id", _Id, primary_key=True),
    Column("device_id", _Id, primary_key=True),
    Column("room_id", _Id, primary_key=True),
    Column("type", _Id, primary_key=True),
    Column("txn_id", _Id, primary_key=True),
    Column("event_id", _Id, ForeignKey("events.event_id"), nullable=False, index=True),
    ForeignKeyConstraint(
        ["user_id", "device_id"], ["devices.user_id", "devices.device_id"], ondelete="CASCADE"
    ),
)

presence = Table(
    "presence",
    metadata,
    Column("user_id", _Id, primary_key=True),
    Column("state", PlainText(64), nullable=False),
    #: What determines the state: the name of a `presence.machine.StateSource`.
    Column("word", PlainText(16), nullable=False),
    Column("last_active_ts", BigInteger, nullable=False),
    Column("last_federation_update_ts", BigInteger, nullable=False),
    Column("last_user_sync_ts", BigInteger, nullable=False),
    Column("status_msg", PlainText()),
    Column("currently_active", Boolean, nullable=False),
    #: Its place in the stream of presence changes, which is not the one of `stream`.
    Column("position", BigInteger, nullable=False),
)

#: Servers that did not answer, and when they are tried again.
destinations = Table(
    "destinations",
    metadata,
    Column("server_name", _Id, primary_key=True),
    Column("failures", BigInteger, nullable=False),
    Column("retry_at", BigInteger, nullable=False),
)

#: The users who are no longer visible to a viewer, and those whom modules name: JSON.
#: The row of the empty viewer holds which rooms count, and since when.
visibility = Table(
    "visibility",
    metadata,
    Column("viewer", _Id, primary_key=True),
    Column("content", PlainText(), nullable=False),
)

#: Who is joined to which room of another homeserver, as far as this server knows.
known_members = Table(
    "known_members",
    metadata,
    Column("room_id", _Id, primary_key=True),
    Column("user_id", _Id, primary_key=True),
    #: When this server came to know it; of many nodes, when they were told.
    Column("since_ts", BigInteger, nullable=False),
)

#: Joins and leaves that the nodes of a cluster have found out at another homeserver and told each
#: other, for ten minutes; a single node stores none.
findings = Table(
    "findings",
    metadata,
    #: Where they were told in the log.
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    #: `homeserver.upstream.findings` writes and reads it.
    Column("payload", LargeBinary, nullable=False),
)
