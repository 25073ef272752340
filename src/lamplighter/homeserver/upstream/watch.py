"""What passes through and concerns presence: activity, joins and leaves, the ends of devices.

Lamplighter does not answer these requests. It sees them pass, and acts once the homeserver has said
yes, before the client learns of that: a client that has left a room sees nobody of it from the
moment at which it knows that it has left.

Most of it stands in the path. Of a few paths the body is looked at, if it is small: whether a user
types or has stopped, which markers are set, who is kicked, which devices end. A body that nobody
here understands passes as it came, and says nothing.

A yes to a leave, a kick or a ban is certain, so it ends visibility without a question; the truth is
asked afterwards. A join never counts without the truth. What moves or ends its sender means nothing
if nobody knows who that is, and once it has passed, its token may be worth nothing. So for a token
that was not seen since the start, the homeserver is asked before the request is passed on.
"""

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final, TypeAlias
from urllib.parse import unquote

import msgspec

from lamplighter.clock import Clock, within
from lamplighter.errors import (
    HomeserverTooSlow,
    HomeserverUnreachable,
    MissingToken,
    PassedOn,
    RequestError,
)
from lamplighter.homeserver.upstream.findings import Findings
from lamplighter.homeserver.upstream.forwarding import Watching
from lamplighter.homeserver.upstream.identity import UpstreamIdentity
from lamplighter.homeserver.upstream.rooms import UpstreamRooms
from lamplighter.ids import DeviceId, RoomId, UserId
from lamplighter.ports import Json, Requester, RequestHead
from lamplighter.web.auth import access_token

__all__ = ["WatchRequests"]

_CLIENT: Final = re.compile(r"/_matrix/client/(?:r0|v3|v1|api/v1|unstable)(/.*)")
_ROOM: Final = r"/rooms/(?P<room>[^/]+)"
#: Paths are as they came: any character may be percent-encoded.
_MEMBER: Final = "".join(f"(?:{re.escape(it)}|%{ord(it):02x})" for it in "m.room.member")
#: The largest body that is looked at, in bytes: a list of some hundred devices.
_MOST: Final = 16 * 1024
#: How long a request waits until its sender is known.
_PATIENCE: Final = timedelta(seconds=2)
_NO_SENDER: Final = (
    PassedOn,
    RequestError,
    HomeserverUnreachable,
    HomeserverTooSlow,
    TimeoutError,
)


@dataclass(frozen=True, slots=True)
class _Passed:
    """A request to which the homeserver has said yes."""

    #: None if nobody knows.
    sender: Requester | None
    #: The named parts of the path, decoded.
    named: Mapping[str, str]
    #: Empty where the body was not looked at, or was not understood.
    content: Json

    @property
    def room_id(self) -> RoomId:
        return RoomId(self.named["room"])


_Act: TypeAlias = Callable[[_Passed], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Row:
    """What a yes to a request means."""

    #: Of the path after the version.
    path: re.Pattern[str]
    act: _Act
    reads_body: bool = False
    #: Whether it means nothing without its sender.
    asks_before: bool = False


class WatchRequests:
    """Sees what passes; it is a `Watch`."""

    def __init__(
        self,
        identity: UpstreamIdentity,
        rooms: UpstreamRooms,
        findings: Findings,
        clock: Clock,
    ) -> None:
        self._identity = identity
        self._rooms = rooms
        self._findings = findings
        self._clock = clock
        self._acted: Callable[[Requester], None] | None = None
        self._table: Mapping[str, Sequence[_Row]] = {
            "PUT": [
                _row(rf"{_ROOM}/state/(?i:{_MEMBER})/(?P<user>[^/]*)", self._member_set, body=True),
                _row(r"/rooms/[^/]+/(?:send|state|redact)/.*", self._active),
                _row(r"/rooms/[^/]+/typing/[^/]+", self._typed, body=True),
                *self._moves("/[^/]*"),
            ],
            "POST": [
                _row(r"/rooms/[^/]+/receipt/m\.(?:read|fully_read)/[^/]+", self._active),
                _row(r"/rooms/[^/]+/read_markers", self._marked, body=True),
                *self._moves(""),
                _row(r"/rooms/[^/]+/upgrade", self._moved, asks=True),
                _row(r"/logout", self._logged_out, asks=True),
                _row(r"/logout/all", self._logged_out_everywhere, asks=True),
                _row(r"/delete_devices", self._devices_deleted, body=True, asks=True),
                _row(r"/account/password", self._password_changed, body=True, asks=True),
                _row(r"/account/deactivate", self._deactivated, asks=True),
            ],
            "DELETE": [_row(r"/devices/(?P<device>[^/]+)", self._device_deleted, asks=True)],
        }

    def _moves(self, after: str) -> list[_Row]:
        """Return what moves users; Synapse takes it by PUT, too, with a transaction ID."""
        return [
            _row(rf"{_ROOM}/(?:leave|forget){after}", self._left, asks=True),
            _row(rf"{_ROOM}/(?:kick|ban){after}", self._removed, body=True),
            _row(rf"{_ROOM}/(?:join|invite){after}", self._members_changed),
            _row(rf"/(?:join|knock)/[^/]+{after}|/createRoom{after}", self._moved, asks=True),
        ]

    def tell_activity(self, acted: Callable[[Requester], None]) -> None:
        """Call *acted* with each device that does something."""
        self._acted = acted

    def __call__(self, method: str, path: str, query: str, head: RequestHead) -> Watching | None:
        try:
            token = access_token(head.headers, query.encode("latin-1"))
        except MissingToken:
            return None
        rows = self._table.get(method, ())  # none for a GET
        found = _CLIENT.fullmatch(path) if rows else None
        rest = "" if found is None else found[1]
        for row in rows:
            if (matched := row.path.fullmatch(rest)) is not None:
                answered = partial(self._answered, token, query, row.act, matched.groupdict())
                before = partial(self._identify, token, query, head) if row.asks_before else None
                return Watching(answered, _MOST if row.reads_body else 0, before)
        return Watching(partial(self._answered, token, query, None, {}))

    async def _identify(self, token: str, query: str, head: RequestHead) -> None:
        """Make sure that the sender is known, if the homeserver says soon who that is."""
        if self._identity.last_requester(token, query) is None:
            with suppress(*_NO_SENDER):
                asking = self._identity.authenticate(token, query, head)
                await within(self._clock, _PATIENCE, asking)

    async def _answered(
        self,
        token: str,
        query: str,
        act: _Act | None,
        named: Mapping[str, str],
        status: int,
        body: bytes | None,
    ) -> None:
        if status == 401:
            self._identity.forget_token(token)
        if act is None or not 200 <= status < 300:
            return
        sender = self._identity.last_requester(token, query)
        decoded = {name: unquote(value) for name, value in named.items()}
        if sender is None and "room" not in decoded:
            self._identity.forget_token(token)  # whose owner may be asked for at this moment
        else:
            await act(_Passed(sender, decoded, _content(body)))
            await self._findings.told()

    # What a yes means. Each is called before the client has the answer.

    async def _active(self, passed: _Passed) -> None:
        if self._acted is not None and passed.sender is not None:
            self._acted(passed.sender)

    async def _typed(self, passed: _Passed) -> None:
        """Take typing for an activity, and that it has stopped for none: a timer says so."""
        if passed.content.get("typing") is True:
            await self._active(passed)

    async def _marked(self, passed: _Passed) -> None:
        """Take read markers for an activity, unless one of them is private."""
        marks = {name for name, value in passed.content.items() if value is not None}
        if marks & {"m.read", "m.fully_read"} and "m.read.private" not in marks:
            await self._active(passed)

    async def _left(self, passed: _Passed) -> None:
        await self._gone(passed, None if passed.sender is None else passed.sender.user_id)

    async def _removed(self, passed: _Passed) -> None:
        await self._gone(passed, passed.content.get("user_id"))

    async def _member_set(self, passed: _Passed) -> None:
        has_left = passed.content.get("membership") in ("leave", "ban")
        await self._gone(passed, passed.named["user"] if has_left else None)

    async def _gone(self, passed: _Passed, user_id: object) -> None:
        """Let a user be out of the room at once; where nobody knows who it is, ask."""
        if isinstance(user_id, str):
            self._rooms.left(UserId(user_id), passed.room_id)
        else:
            await self._members_changed(passed)

    async def _members_changed(self, passed: _Passed) -> None:
        await self._rooms.hear([passed.room_id])

    async def _moved(self, passed: _Passed) -> None:
        if passed.sender is not None:
            await self._rooms.moved(passed.sender.user_id)

    async def _logged_out(self, passed: _Passed) -> None:
        if passed.sender is not None:
            self._end(passed.sender.user_id, {passed.sender.device_id})

    async def _logged_out_everywhere(self, passed: _Passed) -> None:
        if passed.sender is not None:
            user_id = passed.sender.user_id
            self._end(user_id, self._identity.devices_of(user_id))

    async def _device_deleted(self, passed: _Passed) -> None:
        if passed.sender is not None:
            self._end(passed.sender.user_id, {DeviceId(passed.named["device"])})

    async def _devices_deleted(self, passed: _Passed) -> None:
        if passed.sender is not None:
            self._end(passed.sender.user_id, set(_devices(passed.content)))

    async def _password_changed(self, passed: _Passed) -> None:
        """End the other devices, unless they stay; if the body is not known, ask anew for all."""
        if passed.sender is None:
            return
        user_id, others = passed.sender.user_id, frozenset[DeviceId]()
        if passed.content and passed.content.get("logout_devices") is not False:
            others = self._identity.devices_of(user_id) - {passed.sender.device_id}
        self._end(user_id, others)

    async def _deactivated(self, passed: _Passed) -> None:
        await self._logged_out_everywhere(passed)
        if passed.sender is not None:
            self._findings.user_deactivated(passed.sender.user_id)
            await self._rooms.moved(passed.sender.user_id)

    def _end(self, user_id: UserId, device_ids: AbstractSet[DeviceId]) -> None:
        """End devices of a user, and ask anew who uses the user's tokens."""
        self._identity.forget_user(user_id)
        self._findings.devices_gone(user_id, sorted(device_ids))


def _row(path: str, act: _Act, *, body: bool = False, asks: bool = False) -> _Row:
    return _Row(re.compile(path), act, body, asks)


def _content(body: bytes | None) -> Json:
    """Return what a body says; nothing if it is not understood."""
    try:
        content: Json = msgspec.json.decode(body or b"", type=Json)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return {}
    return content


def _devices(content: Json) -> Iterator[DeviceId]:
    devices = content.get("devices")
    if isinstance(devices, list):
        yield from (DeviceId(it) for it in devices if isinstance(it, str))
