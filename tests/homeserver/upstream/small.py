"""A small homeserver: accounts, rooms, `/sync`, and an application service. It has no presence.

It knows what the tests need of the specification, and does as Synapse does where that matters: its
tokens have tildes, a message to a device is deleted when a later token comes, an answer to `/sync`
counts keys, and the first transactions hold the whole past.
"""

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, unquote

import msgspec
from starlette.types import Message, Receive, Scope, Send

from lamplighter.clock import Clock, within

__all__ = ["AS_TOKEN", "HS_TOKEN", "SLIDING_SYNC", "Asked", "SmallHomeserver"]

AS_TOKEN = "as-secret"
HS_TOKEN = "hs-secret"
_CLIENT = "/_matrix/client/v3"
SLIDING_SYNC = (
    "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync",
    "/_matrix/client/v4/sync",
)
Json = dict[str, Any]
#: A status and a body.
_Answer = tuple[int, Any]


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass
class _Device:
    user_id: str
    device_id: str
    #: Messages to the device, by position.
    to_device: dict[int, Json] = field(default_factory=dict)
    one_time_keys: int = 50
    #: By the name of a connection: how far the client is at each position of sliding sync.
    positions: dict[str, dict[int, int]] = field(default_factory=dict)


class SmallHomeserver:
    """What it knows, and an ASGI application."""

    def __init__(self, clock: Clock, server_name: str = "demo") -> None:
        self._clock = clock
        self._server_name = server_name
        self.asked: list[Asked] = []
        self.devices: dict[str, _Device] = {}
        self.guests: set[str] = set()
        self.members: dict[str, list[str]] = {}
        #: Events by position, with their rooms.
        self.events: dict[int, Json] = {}
        self.filters: dict[str, Json] = {}
        self.account_data: dict[tuple[str, str], Json] = {}
        #: What answers in place of the homeserver, by the path.
        self.instead: dict[str, _Answer] = {}
        #: Whether `/sync` still has presence, as after presence was switched off.
        self.leftover: list[Json] = []
        self.leftover_extensions: Json = {}
        self.position = 0
        self._numbers = 0
        self._changed = asyncio.Event()
        #: Answers to requests for these paths are sent once the event is set.
        self.held: dict[str, asyncio.Event] = {}

    # --- what happens here ----------------------------------------------------------------

    def log_in(self, name: str, device_id: str = "PHONE", token: str | None = None) -> str:
        """Return the access token of a device."""
        token = token or f"token-{name}-{device_id}"
        self.devices[token] = _Device(f"@{name}:{self._server_name}", device_id)
        return token

    def log_out(self, token: str) -> None:
        """End a device; nobody is told."""
        del self.devices[token]

    def join(self, user_id: str, room_id: str) -> None:
        """Let a user be joined, past the server in front."""
        members = self.members.setdefault(room_id, [])
        if user_id not in members:
            members.append(user_id)
            self.happens(room_id, "m.room.member", {"membership": "join"}, user_id)

    def leave(self, user_id: str, room_id: str) -> None:
        """Let a user leave, past the server in front."""
        self.happens(room_id, "m.room.member", {"membership": "leave"}, user_id)
        self.members[room_id].remove(user_id)

    def say(self, room_id: str, text: str) -> None:
        """Let a message come into a room."""
        self.happens(room_id, "m.room.message", {"body": text})

    def send_to_device(self, token: str, content: Json) -> None:
        """Let a message to a device come."""
        self.position += 1
        self.devices[token].to_device[self.position] = {"type": "m.test", "content": content}
        self._wake()

    def happens(self, room_id: str, kind: str, content: Json, state_key: str | None = None) -> None:
        """Let an event come into a room."""
        self.position += 1
        event = {"type": kind, "room_id": room_id, "content": content}
        if state_key is not None:
            event["state_key"] = state_key
        event["event_id"] = f"${self.position}"
        event["to"] = list(self.members[room_id])
        self.events[self.position] = event
        self._wake()

    def transaction(self, after: int = 0) -> Json:
        """Return what the application service is told of everything later than *after*."""
        events = [it for position, it in self.events.items() if position > after]
        return {"events": [{k: v for k, v in it.items() if k != "to"} for it in events]}

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    # --- HTTP -----------------------------------------------------------------------------

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        query = {k: v[-1] for k, v in parse_qs(scope["query_string"].decode()).items()}
        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        asked = Asked(scope["method"], scope["raw_path"].decode(), query, headers, body)
        self.asked.append(asked)
        status, content = self.instead.get(asked.path) or await self._answer(asked, receive)
        if (held := self.held.get(asked.path)) is not None:
            await held.wait()
        encoded = content if isinstance(content, bytes) else msgspec.json.encode(content)
        answer = [(b"content-type", b"application/json"), (b"x-homeserver", b"small")]
        answer.append((b"content-length", str(len(encoded)).encode()))
        start: Message = {"type": "http.response.start", "status": status, "headers": answer}
        await send(start)
        await send({"type": "http.response.body", "body": encoded})

    async def _answer(self, asked: Asked, receive: Receive) -> _Answer:
        token = asked.headers.get("authorization", "").removeprefix("Bearer ")
        token = token or asked.query.get("access_token", "")
        is_service = token == AS_TOKEN
        device = self.devices.get(token)
        if is_service and "user_id" in asked.query:
            device = _Device(asked.query["user_id"], asked.query.get("device_id", ""))
        path = asked.path.removeprefix(_CLIENT)
        if asked.path == "/_matrix/client/v1/appservice/lamplighter/ping":
            return 200, {"duration_ms": 1}
        if is_service and device is None and path == "/account/whoami":
            return 200, {"user_id": f"@lamplighter:{self._server_name}"}
        if device is None and not is_service:
            return 401, {"errcode": "M_UNKNOWN_TOKEN", "error": "no", "soft_logout": True}
        if path == "/sync" and device is not None:
            return await _unless_gone(self._sync(device, asked.query), receive)
        if asked.path in SLIDING_SYNC and device is not None:
            return await _unless_gone(self._sliding_sync(device, asked), receive)
        parts = [unquote(it) for it in path.strip("/").split("/")]
        return self._at_once(asked, device, parts)

    def _at_once(  # noqa: C901 - a table
        self, asked: Asked, device: _Device | None, parts: list[str]
    ) -> _Answer:
        user_id = device.user_id if device else ""
        match asked.method, parts:
            case "GET", ["account", "whoami"] if device is not None:
                if all(it.user_id != user_id for it in self.devices.values()):
                    return 403, {"errcode": "M_FORBIDDEN", "error": "no such user"}
                named = {"device_id": device.device_id} if device.device_id else {}
                return 200, {"user_id": user_id, "is_guest": user_id in self.guests} | named
            case "GET", ["joined_rooms"]:
                rooms = [it for it, members in self.members.items() if user_id in members]
                return 200, {"joined_rooms": rooms}
            case "GET", ["rooms", room_id, "joined_members"]:
                return 200, {"joined": {it: {} for it in self.members.get(room_id, [])}}
            case "GET", ["rooms", room_id, "state", *_] if user_id not in self.members.get(
                room_id, []
            ):
                return 403, {"errcode": "M_FORBIDDEN", "error": "not in this room"}
            case "GET", ["rooms", room_id, "state", "m.room.name"]:
                return 200, {"name": room_id[1:].partition(":")[0]}
            case "GET", ["user", _, "filter", name] if name in self.filters:
                return 200, self.filters[name]
            case "GET", ["profile", whom] if any(
                it.user_id == whom for it in self.devices.values()
            ):
                return 200, {"displayname": whom[1:].partition(":")[0]}
            case "GET", ["user", whom, "account_data", kind] if (whom, kind) in self.account_data:
                return 200, self.account_data[whom, kind]
            case "PUT", ["user", whom, "account_data", kind]:
                self.account_data[whom, kind] = msgspec.json.decode(asked.body)
                return 200, {}
            case "PUT", ["rooms", room_id, "send", kind, _]:
                self.happens(room_id, kind, msgspec.json.decode(asked.body))
                return 200, {"event_id": f"${self.position}"}
            case "POST", ["rooms", room_id, "join"] | ["join", room_id]:
                self.join(user_id, room_id)
                return 200, {"room_id": room_id}
            case "POST", ["rooms", room_id, "leave"]:
                self.leave(user_id, room_id)
                return 200, {}
            case "POST", ["rooms", room_id, "kick"]:
                self.leave(msgspec.json.decode(asked.body)["user_id"], room_id)
                return 200, {}
            case "POST", ["logout"]:
                [token] = [it for it, found in self.devices.items() if found is device]
                self.log_out(token)
                return 200, {}
            case "POST" | "PUT", ["rooms", *_]:
                return 200, {}
        return 404, {"errcode": "M_UNRECOGNIZED", "error": "unrecognized"}

    # --- /sync ----------------------------------------------------------------------------

    async def _sync(self, device: _Device, query: Mapping[str, str]) -> _Answer:
        since = query.get("since")
        after = -1 if since is None else int(since.removeprefix("s").partition("~")[0])
        for position in [it for it in device.to_device if it <= after]:
            del device.to_device[position]
        wait = timedelta(milliseconds=int(query.get("timeout", "0")))
        if since is None or "full_state" in query or not wait:
            return 200, self._news(device, after)
        try:
            return 200, await within(self._clock, wait, self._something(device, after))
        except TimeoutError:
            return 200, self._news(device, after)

    async def _something(self, device: _Device, after: int) -> Json:
        while True:
            changed = self._changed
            news = self._news(device, after)
            if "rooms" in news or "to_device" in news:
                return news
            await changed.wait()

    def _news(self, device: _Device, after: int) -> Json:
        """Return an answer to `/sync`, with members that nobody in front understands."""
        joined: dict[str, list[Json]] = {}
        left: dict[str, Json] = {}
        for position, event in self.events.items():
            if position <= after or device.user_id not in event["to"]:
                continue
            room_id = event["room_id"]
            shown = {k: v for k, v in event.items() if k not in ("to", "room_id")}
            if device.user_id in self.members[room_id]:
                joined.setdefault(room_id, []).append(shown)
            else:
                left[room_id] = {}
        answer: Json = {
            "next_batch": f"s{self.position}~2.{self.position}",
            "device_one_time_keys_count": {"signed_curve25519": device.one_time_keys},
            "device_unused_fallback_key_types": [],
        }
        if joined or left:
            rooms = {it: {"timeline": {"events": events}} for it, events in joined.items()}
            answer["rooms"] = {"join": rooms, "leave": left}
        if device.to_device:
            answer["to_device"] = {"events": list(device.to_device.values())}
        if self.leftover:
            answer["presence"] = {"events": self.leftover}
        return answer

    # --- sliding sync ---------------------------------------------------------------------

    async def _sliding_sync(self, device: _Device, asked: Asked) -> _Answer:
        try:
            body = msgspec.json.decode(asked.body, type=Json)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            return 400, {"errcode": "M_NOT_JSON", "error": "no"}
        given = body if asked.path == SLIDING_SYNC[1] else asked.query
        wait, pos = timedelta(milliseconds=int(given.get("timeout", "0"))), given.get("pos")
        if pos is None or not wait:
            return self._slid(device, body, pos)
        try:
            return await within(self._clock, wait, self._first_news(device, body, pos))
        except TimeoutError:
            return self._slid(device, body, pos)

    async def _first_news(self, device: _Device, body: Json, pos: str) -> _Answer:
        while True:
            changed = self._changed
            status, content = self._slid(device, body, pos)
            if status != 200 or content["rooms"]:
                return status, content
            await changed.wait()

    def _slid(self, device: _Device, body: Json, pos: str | None) -> _Answer:
        """Answer as of now. As in Synapse, each look at a position ends all others."""
        conn_id, after, positions = body.get("conn_id", ""), -1, dict[int, int]()
        if pos is not None:
            number = int(pos.partition("/")[0])
            if number not in device.positions.get(conn_id, {}):
                return 400, {"errcode": "M_UNKNOWN_POS", "error": "Unknown position"}
            after = positions[number] = device.positions[conn_id][number]
        self._numbers += 1
        positions[self._numbers] = self.position
        device.positions[conn_id] = positions
        joined = self._news(device, after).get("rooms", {"join": {}})["join"]
        return 200, {
            "pos": f"{self._numbers}/s{self.position}~2.{self.position}",
            "lists": {it: {"count": len(self.members)} for it in body.get("lists", {})},
            "rooms": {it: {"timeline": news["timeline"]["events"]} for it, news in joined.items()},
            "extensions": {"to_device": {"next_batch": "1"}} | self.leftover_extensions,
        }


async def _unless_gone(answering: Coroutine[None, None, _Answer], receive: Receive) -> _Answer:
    """Return an answer that takes its time, unless its client goes meanwhile."""
    gone = asyncio.ensure_future(receive())
    syncing = asyncio.ensure_future(answering)
    await asyncio.wait({gone, syncing}, return_when=asyncio.FIRST_COMPLETED)
    gone.cancel()
    if not syncing.done():
        syncing.cancel()
        return 499, {}
    return await syncing
