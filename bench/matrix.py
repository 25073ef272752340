"""The Matrix client API as the loads speak it: requests as bytes, answers as typed values.

Implements what the benchmark needs of <https://spec.matrix.org/latest/client-server-api/>.
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode

import msgspec

from bench.clients import Client
from bench.http import Connection

__all__ = [
    "SERVER_NAME",
    "Account",
    "Polls",
    "PresenceEvent",
    "Sync",
    "create_room",
    "first_sync",
    "first_sync_request",
    "join",
    "polls_of",
    "put_request",
    "read_sync",
    "register",
    "say",
    "upload_filter",
    "user_id",
]

#: The server name of every server.
SERVER_NAME: Final = "bench.example"

#: A filter that leaves out everything.
_NOTHING: Final[Mapping[str, Any]] = {"room": {"rooms": []}, "presence": {"types": []}}


class Account(NamedTuple):
    """A user who is logged in."""

    number: int
    user_id: str
    token: str


class _Content(msgspec.Struct):
    presence: str
    status_msg: str = ""


class PresenceEvent(msgspec.Struct):
    """A user's presence in a `/sync` answer."""

    sender: str
    content: _Content


class _Presence(msgspec.Struct):
    events: list[PresenceEvent] = []


class Sync(msgspec.Struct):
    """The presence part of a `/sync` answer."""

    next_batch: str
    presence: _Presence = msgspec.field(default_factory=_Presence)


class _Login(msgspec.Struct):
    user_id: str
    access_token: str


class _Room(msgspec.Struct):
    room_id: str


class _Uploaded(msgspec.Struct):
    filter_id: str


_sync: Final = msgspec.json.Decoder(Sync)


def user_id(number: int) -> str:
    """Return the ID of the user of that *number*; the user need not exist."""
    return f"@user{number}:{SERVER_NAME}"


async def register(connection: Connection, number: int) -> Account:
    """Create the user of that *number*, and log their device in."""
    body = {
        "username": f"user{number}",
        "password": "a password for the benchmark",
        "auth": {"type": "m.login.dummy"},
    }
    request = _request("POST", "/register", body=body)
    login = msgspec.json.decode(await connection.ask(request), type=_Login)
    return Account(number, login.user_id, login.access_token)


async def create_room(connection: Connection, creator: Account) -> str:
    """Create a room that anybody may join; return its ID."""
    request = _request("POST", "/createRoom", creator.token, {"preset": "public_chat"})
    return msgspec.json.decode(await connection.ask(request), type=_Room).room_id


async def join(connection: Connection, account: Account, room_id: str) -> None:
    """Let *account* join a room."""
    await connection.ask(_request("POST", f"/join/{quote(room_id)}", account.token, {}))


async def say(connection: Connection, account: Account, room_id: str, text: str) -> None:
    """Let *account* send a message, whose *text* is new in the room."""
    path = f"/rooms/{quote(room_id)}/send/m.room.message/{quote(text)}"
    content = {"msgtype": "m.text", "body": text}
    await connection.ask(_request("PUT", path, account.token, content))


async def upload_filter(connection: Connection, account: Account, definition: str) -> str:
    """Upload a filter; return its ID."""
    path = f"/user/{quote(account.user_id)}/filter"
    request = _request("POST", path, account.token, json.loads(definition))
    return msgspec.json.decode(await connection.ask(request), type=_Uploaded).filter_id


def put_request(account: Account, client: Client, status_msg: str) -> bytes:
    """Return the request that sets a status message, with the presence of the client's polls."""
    body = {"presence": client.presence, "status_msg": status_msg}
    path = f"/presence/{quote(account.user_id)}/status"
    return _request("PUT", path, account.token, body, client.fields)


def first_sync_request(account: Account, client: Client) -> bytes:
    """Return the request for a first `/sync`."""
    path = f"/sync?{client.first_query()}"
    return _request("GET", path, account.token, more=client.fields)


async def first_sync(connection: Connection, account: Account, client: Client) -> str:
    """Make a first `/sync` whose filter leaves out everything; return its token."""
    query = {"timeout": "0", "filter": json.dumps(_NOTHING)}
    if client.set_presence is not None:
        query["set_presence"] = client.set_presence
    request = _request("GET", f"/sync?{urlencode(query)}", account.token)
    return read_sync(await connection.ask(request)).next_batch


async def polls_of(
    connection: Connection, account: Account, client: Client, timeout_ms: int
) -> "Polls":
    """Return the maker of the polls of *account*; upload the filter if the client does so."""
    chosen = client.filter
    if chosen is not None and client.uploads:
        chosen = await upload_filter(connection, account, chosen)
    return Polls(account, client, timeout_ms, chosen)


class Polls:
    """Makes the requests of one account's long polls. Only the since token differs between them."""

    def __init__(
        self, account: Account, client: Client, timeout_ms: int, chosen: str | None
    ) -> None:
        """*chosen* is the filter, or its ID if *client* uploads it."""
        before, after = client.query(timeout_ms, chosen)
        self._head = f"GET /_matrix/client/v3/sync?{before}".encode()
        self._tail = f"{after}{_tail(account.token, client.fields)}".encode()

    def since(self, token: str) -> bytes:
        """Return the poll with the since token *token*."""
        return b"".join((self._head, _quoted(token), self._tail))


def read_sync(body: bytes) -> Sync:
    """Parse an answer to `/sync`."""
    return _sync.decode(body)


@lru_cache(maxsize=256)
def _quoted(since: str) -> bytes:
    """Quote a token; watchers of the same change mostly have the same token."""
    return quote(since, safe="").encode()


def _request(
    method: str, path: str, token: str = "", body: dict[str, Any] | None = None, more: str = ""
) -> bytes:
    content = b"" if body is None else json.dumps(body).encode()
    length = f"Content-Length: {len(content)}\r\n" if body is not None else ""
    head = f"{method} /_matrix/client/v3{path}{_tail(token, more + length)}"
    return head.encode() + content


def _tail(token: str, more: str = "") -> str:
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    return f" HTTP/1.1\r\nHost: {SERVER_NAME}\r\n{authorization}{more}\r\n"
