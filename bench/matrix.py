"""The Matrix client API as the loads speak it: requests as bytes, answers as typed values.

Implements what the benchmark needs of <https://spec.matrix.org/latest/client-server-api/>.
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode

import msgspec

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
    "put_request",
    "read_sync",
    "register",
    "user_id",
]

#: What every server calls itself.
SERVER_NAME: Final = "bench.example"

#: What the presence of a watcher is: counted and connected like any, but nobody's activity runs
#: out in the middle of a run, which would add updates of the server's own.
_AWAY: Final = "unavailable"

_NO_ROOMS: Final[Mapping[str, Any]] = {"room": {"rooms": []}}
_NOTHING: Final = {**_NO_ROOMS, "presence": {"types": []}}


class Account(NamedTuple):
    """A user who is logged in."""

    number: int
    user_id: str
    token: str


class _Content(msgspec.Struct):
    presence: str
    status_msg: str = ""


class PresenceEvent(msgspec.Struct):
    """How somebody is, as `/sync` says it."""

    sender: str
    content: _Content


class _Presence(msgspec.Struct):
    events: list[PresenceEvent] = []


class Sync(msgspec.Struct):
    """The answer to `/sync`, as far as it is about presence."""

    next_batch: str
    presence: _Presence = msgspec.field(default_factory=_Presence)


class _Login(msgspec.Struct):
    user_id: str
    access_token: str


class _Room(msgspec.Struct):
    room_id: str


_sync: Final = msgspec.json.Decoder(Sync)


def user_id(number: int) -> str:
    """Return the ID of the user of that *number*, who need not exist yet."""
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


def put_request(account: Account, status_msg: str, presence: str = _AWAY) -> bytes:
    """Return the request by which *account* sets its presence."""
    body = {"presence": presence, "status_msg": status_msg}
    return _request("PUT", f"/presence/{quote(account.user_id)}/status", account.token, body)


def first_sync_request(account: Account, *, with_presence: bool = False) -> bytes:
    """Return the request for a first `/sync` without rooms.

    Nor does it ask for presence, and *account* stays away; it is online if it wants presence.
    """
    wanted, presence = (_NO_ROOMS, "online") if with_presence else (_NOTHING, _AWAY)
    query = {"timeout": 0, "set_presence": presence, "filter": json.dumps(wanted)}
    return _request("GET", f"/sync?{urlencode(query)}", account.token)


async def first_sync(connection: Connection, account: Account) -> str:
    """Have a first `/sync` that says nothing of anybody; return the token to go on from."""
    return read_sync(await connection.ask(first_sync_request(account))).next_batch


class Polls:
    """Makes the requests of one account's long polls; all but the since token is made once."""

    def __init__(self, account: Account, timeout_ms: int) -> None:
        query = f"timeout={timeout_ms}&set_presence={_AWAY}&since="
        self._head = f"GET /_matrix/client/v3/sync?{query}".encode()
        self._tail = _tail(account.token).encode()

    def since(self, token: str) -> bytes:
        """Return the request for what is new after *token*."""
        return b"".join((self._head, _quoted(token), self._tail))


def read_sync(body: bytes) -> Sync:
    """Return what an answer to `/sync` says."""
    return _sync.decode(body)


@lru_cache(maxsize=256)
def _quoted(since: str) -> bytes:
    """Quote a token; those who are woken by one change mostly get the same."""
    return quote(since, safe="").encode()


def _request(method: str, path: str, token: str = "", body: dict[str, Any] | None = None) -> bytes:
    content = b"" if body is None else json.dumps(body).encode()
    length = f"Content-Length: {len(content)}\r\n" if body is not None else ""
    head = f"{method} /_matrix/client/v3{path}{_tail(token, length)}"
    return head.encode() + content


def _tail(token: str, more: str = "") -> str:
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    return f" HTTP/1.1\r\nHost: {SERVER_NAME}\r\n{authorization}{more}\r\n"
