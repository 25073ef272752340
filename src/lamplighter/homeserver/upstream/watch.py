"""What passes through and concerns presence: activity, joins and leaves, the ends of devices.

Lamplighter does not answer these requests. It sees them pass, and acts once the homeserver has said
yes, before the client learns of that: a client that has left a room sees nobody of it from the
moment at which it knows that it has left.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Final, TypeAlias
from urllib.parse import unquote

from lamplighter.errors import MissingToken
from lamplighter.homeserver.upstream.identity import UpstreamIdentity
from lamplighter.homeserver.upstream.rooms import UpstreamRooms
from lamplighter.ids import DeviceId, RoomId, UserId
from lamplighter.ports import DirectoryListener, Headers, Requester
from lamplighter.web.auth import access_token

__all__ = ["WatchRequests"]

_CLIENT: Final = re.compile(r"/_matrix/client/(?:r0|v3|v1|api/v1|unstable)(/.*)")
_ROOM: Final = r"/rooms/(?P<room>[^/]+)"
#: Paths are as they came: any character may be percent-encoded.
_MEMBER: Final = "".join(f"(?:{re.escape(it)}|%{ord(it):02x})" for it in "m.room.member")

#: What is done with the requester and the named parts of the path.
_Act: TypeAlias = Callable[[Requester, Mapping[str, str]], Awaitable[None]]


class WatchRequests:
    """Sees what passes; it is a `Watch`."""

    def __init__(
        self,
        identity: UpstreamIdentity,
        rooms: UpstreamRooms,
        forget_devices: Callable[[UserId, frozenset[DeviceId]], None],
    ) -> None:
        self._identity = identity
        self._rooms = rooms
        self._forget_devices = forget_devices
        self._listener: DirectoryListener | None = None
        self._acted: Callable[[Requester], None] | None = None
        #: By method: the path after the version, and what a success means.
        self._table: Mapping[str, Sequence[tuple[re.Pattern[str], _Act]]] = {
            "PUT": [
                (re.compile(rf"{_ROOM}/state/(?i:{_MEMBER})/[^/]*"), self._members_changed),
                (re.compile(r"/rooms/[^/]+/(?:send|state|redact|typing)/.*"), self._active),
                *self._moves("/[^/]*"),
            ],
            "POST": [
                (re.compile(r"/rooms/[^/]+/receipt/m\.read/[^/]+"), self._active),
                *self._moves(""),
                (re.compile(r"/rooms/[^/]+/upgrade"), self._moved),
                (re.compile(r"/logout"), self._logged_out),
                (re.compile(r"/logout/all"), self._logged_out_everywhere),
                (re.compile(r"/account/password|/delete_devices"), self._tokens_ended),
                (re.compile(r"/account/deactivate"), self._deactivated),
            ],
            "DELETE": [(re.compile(r"/devices/(?P<device>[^/]+)"), self._device_deleted)],
        }

    def _moves(self, end: str) -> list[tuple[re.Pattern[str], _Act]]:
        """Return what moves users; Synapse takes it by PUT, too, with a transaction ID."""
        return [
            (re.compile(rf"{_ROOM}/leave{end}"), self._left),
            (re.compile(rf"{_ROOM}/(?:join|invite|kick|ban){end}"), self._members_changed),
            (re.compile(rf"/(?:join|knock)/[^/]+{end}|/createRoom{end}"), self._moved),
        ]

    def listen(self, listener: DirectoryListener) -> None:
        """Tell *listener* of devices that end."""
        self._listener = listener

    def tell_activity(self, acted: Callable[[Requester], None]) -> None:
        """Call *acted* with each device that does something."""
        self._acted = acted

    def __call__(
        self, method: str, path: str, query: str, headers: Headers
    ) -> Callable[[int], Awaitable[None]] | None:
        try:
            token = access_token(headers, query.encode("latin-1"))
        except MissingToken:
            return None
        found = _CLIENT.fullmatch(path)
        rest = "" if found is None else found[1]
        for pattern, act in self._table.get(method, ()):
            if (matched := pattern.fullmatch(rest)) is not None:
                return partial(self._answered, token, query, act, matched.groupdict())
        return partial(self._answered, token, query, None, {})

    async def _answered(
        self, token: str, query: str, act: _Act | None, named: Mapping[str, str], status: int
    ) -> None:
        if status == 401:
            self._identity.forget_token(token)
        requester = self._identity.last_requester(token, query)
        if act is None or not 200 <= status < 300:
            return
        decoded = {name: unquote(value) for name, value in named.items()}
        if requester is not None:
            await act(requester, decoded)
        elif "room" in decoded:  # by whom is not known, so who is there now is asked
            await self._rooms.hear([RoomId(decoded["room"])])
        else:
            self._identity.forget_token(token)  # whose owner may be asked for at this moment

    # What a success means. Each is called before the client has the answer.

    async def _active(self, requester: Requester, _named: Mapping[str, str]) -> None:
        if self._acted is not None:
            self._acted(requester)

    async def _left(self, requester: Requester, named: Mapping[str, str]) -> None:
        self._rooms.left(requester.user_id, RoomId(named["room"]))

    async def _members_changed(self, _requester: Requester, named: Mapping[str, str]) -> None:
        await self._rooms.hear([RoomId(named["room"])])

    async def _moved(self, requester: Requester, _named: Mapping[str, str]) -> None:
        await self._rooms.moved(requester.user_id)

    async def _logged_out(self, requester: Requester, _named: Mapping[str, str]) -> None:
        self._end(requester.user_id, frozenset({requester.device_id}))

    async def _logged_out_everywhere(self, requester: Requester, _named: Mapping[str, str]) -> None:
        self._end(requester.user_id, self._identity.devices_of(requester.user_id))

    async def _tokens_ended(self, requester: Requester, _named: Mapping[str, str]) -> None:
        """Ask anew who uses the user's tokens: which have ended stands in a body."""
        self._identity.forget_user(requester.user_id)

    async def _device_deleted(self, requester: Requester, named: Mapping[str, str]) -> None:
        self._end(requester.user_id, frozenset({DeviceId(named["device"])}))

    async def _deactivated(self, requester: Requester, _named: Mapping[str, str]) -> None:
        await self._logged_out_everywhere(requester, {})
        if self._listener is not None:
            self._listener.user_deactivated(requester.user_id)
        await self._rooms.moved(requester.user_id)

    def _end(self, user_id: UserId, device_ids: frozenset[DeviceId]) -> None:
        self._identity.forget_user(user_id)
        self._forget_devices(user_id, device_ids)
        if self._listener is not None:
            self._listener.devices_gone(user_id, sorted(device_ids))
