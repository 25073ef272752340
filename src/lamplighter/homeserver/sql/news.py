"""News: what a write of the directory, or a typing notice, means to every node.

A node does nothing else because of a write than what its news say: it forgets access tokens, notes
who has news, and tells the listeners. On one node the writer hears its own news at once. On many
nodes news are bytes: they go through the stream, and every node hears them there, the writer too.

Written news have numbers without gaps: the positions of the stream of rooms before and after the
write. So a node knows when it has missed some. An example: node a writes 8, node b writes 9, and b
is the faster one to tell. Every node hears `before=8, position=9` first, keeps it, and hears 8 and
then 9 once `before=7, position=8` has come.
"""

from typing import Final, TypeAlias

import msgspec

from lamplighter.ids import DeviceId, RoomId, UserId
from lamplighter.ports import MembershipChange

__all__ = [
    "DevicesOf",
    "News",
    "TypingEnded",
    "TypingNews",
    "TypingNotice",
    "Written",
    "decode_news",
    "encode_news",
]

#: A user and some of the user's devices.
DevicesOf: TypeAlias = tuple[UserId, tuple[DeviceId, ...]]


class Written(msgspec.Struct, frozen=True, array_like=True, tag="written"):
    """What one write means."""

    #: The last position in the stream of rooms before the write, and with it. They are the same for
    #: a write that has taken no position, which only a single node makes news of.
    before: int
    position: int
    #: Users who have news.
    news_for: frozenset[UserId] = frozenset()
    memberships: tuple[MembershipChange, ...] = ()
    #: The hashes of access tokens that have ended.
    ended_tokens: tuple[str, ...] = ()
    devices_gone: tuple[DevicesOf, ...] = ()
    #: Devices that go on existing, with another access token.
    tokens_revoked: tuple[DevicesOf, ...] = ()
    deactivated: tuple[UserId, ...] = ()
    #: Rooms whose members have news.
    news_in: tuple[RoomId, ...] = ()

    @property
    def says_something(self) -> bool:
        """Whether any node has something to do because of the write."""
        return bool(
            self.news_for
            or self.news_in
            or self.memberships
            or self.ended_tokens
            or self.devices_gone
            or self.tokens_revoked
            or self.deactivated
        )


class TypingNotice(msgspec.Struct, frozen=True, array_like=True, tag="typing"):
    """A user types in a room from now on, for so many milliseconds; or has stopped, at 0."""

    room_id: RoomId
    user_id: UserId
    milliseconds: int


class TypingEnded(msgspec.Struct, frozen=True, array_like=True, tag="typed"):
    """The time of a notice is over: of the one that was heard at *begun*, not of a later one."""

    room_id: RoomId
    user_id: UserId
    begun: int


#: What is in memory only.
TypingNews: TypeAlias = TypingNotice | TypingEnded
News: TypeAlias = Written | TypingNews

_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final[msgspec.msgpack.Decoder[News]] = msgspec.msgpack.Decoder(News)


def encode_news(news: News) -> bytes:
    """Return *news* as they go to other nodes."""
    return _encoder.encode(news)


def decode_news(payload: bytes) -> News:
    """Return what `encode_news` was given; raise `ValueError` for news of another version."""
    return _decoder.decode(payload)
