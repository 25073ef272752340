"""A person at a Matrix client: sends requests, and believes what `/sync` says."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypedDict, Unpack
from urllib.parse import quote

import msgspec

from lamplighter.devtools.http import HttpClient, PendingRequest, Response
from lamplighter.ids import DeviceId, UserId
from lamplighter.presence.state import Presence

__all__ = ["Client", "ClientPoll", "RequestFailed", "SyncAnswer", "SyncQuery"]

_CLIENT = "/_matrix/client/v3"


class SyncQuery(TypedDict, total=False):
    """The query parameters of a `/sync`, except its time-out."""

    since: str
    set_presence: str
    #: The ID of an uploaded filter, or a filter's JSON.
    filter: str
    full_state: str


class RequestFailed(Exception):
    """The server refused; `errcode` and `status` say how."""

    def __init__(self, response: Response) -> None:
        self.status = response.status
        self.content: dict[str, Any] = response.json
        self.errcode: str = self.content.get("errcode", "")
        super().__init__(f"{self.status} {self.errcode}: {self.content.get('error', '')}")


@dataclass(frozen=True, slots=True)
class SyncAnswer:
    """One answer to `/sync`."""

    content: Mapping[str, Any]

    @property
    def next_batch(self) -> str:
        """The token to go on from."""
        return str(self.content["next_batch"])

    @property
    def presence(self) -> dict[str, dict[str, Any]]:
        """Sender to content of the `m.presence` events."""
        events = self.content.get("presence", {}).get("events", [])
        return {event["sender"]: event["content"] for event in events}

    @property
    def joined(self) -> dict[str, Any]:
        """The joined rooms that have something to say."""
        rooms: dict[str, Any] = self.content.get("rooms", {}).get("join", {})
        return rooms


class ClientPoll:
    """A `/sync` under way."""

    def __init__(self, client: "Client", pending: PendingRequest) -> None:
        self._client = client
        self._pending = pending

    @property
    def answered(self) -> bool:
        """Whether the server has answered."""
        return self._pending.answered

    async def waiting(self) -> None:
        """Return once the server waits for news, or has answered."""
        await self._pending.waiting()

    async def answer(self) -> SyncAnswer:
        """Return the answer once there is one; the client learns from it."""
        return self._client.learn(await self._pending.response())

    async def go_away(self) -> None:
        """Close the connection without waiting for the answer."""
        await self._pending.go_away()


class Client:
    """One device of one user.

    `beliefs` is what the client shows: the newest presence content of each user, from the answers
    to `/sync`.
    """

    def __init__(self, http: HttpClient, user_id: UserId, device_id: DeviceId, token: str) -> None:
        self._http = http
        self.user_id = user_id
        self.device_id = device_id
        self.access_token = token
        self.next_batch: str | None = None
        self.beliefs: dict[str, dict[str, Any]] = {}

    async def sync(self, *, timeout: int = 0, **query: Unpack[SyncQuery]) -> SyncAnswer:
        """Sync on from the last answer, waiting at most *timeout* ms; more may stand in *query*."""
        pending = self._begin_sync(timeout, query)
        return self.learn(await pending.response())

    async def polls(self, *, timeout: int = 30_000, **query: Unpack[SyncQuery]) -> ClientPoll:
        """Begin a `/sync`; return once the server waits for news, or has answered."""
        poll = self.begin_poll(timeout=timeout, **query)
        await poll.waiting()
        return poll

    def begin_poll(self, *, timeout: int = 30_000, **query: Unpack[SyncQuery]) -> ClientPoll:
        """Send a `/sync`, and return before the server has read it."""
        return ClientPoll(self, self._begin_sync(timeout, query))

    async def first_sync(self, **query: Unpack[SyncQuery]) -> SyncAnswer:
        """Sync as if for the first time: nothing is believed any more."""
        self.next_batch = None
        self.beliefs = {}
        pending = self._begin_sync(0, query)
        return self.learn(await pending.response())

    async def set_status(self, presence: str, status_msg: str | None = None) -> None:
        """Set one's own presence; without a message, clear it."""
        content = {"presence": presence}
        if status_msg is not None:
            content["status_msg"] = status_msg
        await self.call("PUT", f"/presence/{quote(self.user_id)}/status", content)

    async def status_of(self, other: "Client | str") -> dict[str, Any]:
        """Ask for a user's presence; raise `RequestFailed` if it is not visible."""
        return await self.call("GET", f"/presence/{quote(_id_of(other))}/status")

    def sees(self, other: "Client | str", presence: str | None = None) -> bool:
        """Tell whether the client shows the other user as *presence*, if None: as not offline.

        Raises `ValueError` for an unknown presence.
        """
        if presence is not None:
            Presence(presence)
        believed = str(self.beliefs.get(_id_of(other), {}).get("presence", "offline"))
        return believed == presence if presence is not None else believed != "offline"

    def reads(self, other: "Client | str") -> str | None:
        """Return the status message that the client shows for the other, if there is one."""
        message: str | None = self.beliefs.get(_id_of(other), {}).get("status_msg")
        return message

    async def create_room(self, *invited: "Client", **content: Any) -> str:
        """Create a room, public unless *content* says otherwise; return its ID."""
        content = {"preset": "public_chat", "invite": [it.user_id for it in invited], **content}
        created = await self.call("POST", "/createRoom", content)
        return str(created["room_id"])

    async def join(self, room_id: str) -> None:
        """Join the room."""
        await self.call("POST", f"/rooms/{quote(room_id)}/join", {})

    async def leave(self, room_id: str) -> None:
        """Leave the room."""
        await self.call("POST", f"/rooms/{quote(room_id)}/leave", {})

    async def send(self, room_id: str, text: str, *, event_type: str = "m.room.message") -> None:
        """Send a message."""
        content = {"msgtype": "m.text", "body": text}
        path = f"/rooms/{quote(room_id)}/send/{quote(event_type)}/{quote(text)}"
        await self.call("PUT", path, content)

    async def types(self, room_id: str) -> None:
        """Say that the user is typing in a room: an activity."""
        path = f"/rooms/{quote(room_id)}/typing/{quote(self.user_id)}"
        await self.call("PUT", path, {"typing": True, "timeout": 30_000})

    async def log_out(self) -> None:
        """Log this device out."""
        await self.call("POST", "/logout", {})

    async def call(self, method: str, path: str, content: object = None) -> dict[str, Any]:
        """Send any request of the client API; *path* begins after its version."""
        response = await self.request(method, path, content)
        if response.status != 200:
            raise RequestFailed(response)
        answer: dict[str, Any] = response.json
        return answer

    async def request(
        self,
        method: str,
        path: str,
        content: object = None,
        *,
        query: Mapping[str, str] | None = None,
    ) -> Response:
        """Send any request and return the response, of any status."""
        body = b"" if content is None else msgspec.json.encode(content)
        return await self._http.request(
            method, f"{_CLIENT}{path}", body=body, token=self.access_token, query=query
        )

    def reconnect(self, http: HttpClient) -> None:
        """Send everything from now on through *http*: the server was restarted."""
        self._http = http

    def learn(self, response: Response) -> SyncAnswer:
        """Believe what an answer to `/sync` says."""
        if response.status != 200:
            raise RequestFailed(response)
        answer = SyncAnswer(response.json)
        self.next_batch = answer.next_batch
        self.beliefs.update(answer.presence)
        return answer

    def _begin_sync(self, timeout: int, query: SyncQuery) -> PendingRequest:
        sent: dict[str, str] = {"timeout": str(timeout)}
        sent.update({name: str(value) for name, value in query.items()})
        if self.next_batch is not None:
            sent.setdefault("since", self.next_batch)
        return self._http.begin("GET", f"{_CLIENT}/sync", token=self.access_token, query=sent)


def _id_of(other: "Client | str") -> str:
    return other if isinstance(other, str) else other.user_id
