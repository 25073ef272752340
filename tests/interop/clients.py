"""Users at real clients: HTTP over sockets, without the server's own code."""

import asyncio
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import aiohttp
from yarl import URL

from tests.interop.processes import ServerProcess, prepare

__all__ = ["V3", "Answer", "Person", "people_at", "polls_under_way", "register"]

V3: Final = "/_matrix/client/v3"


@dataclass(frozen=True)
class Answer:
    status: int
    json: Any


class Person:
    """A user with a device, and where their last `/sync` has ended."""

    def __init__(self, http: aiohttp.ClientSession, url: str, user_id: str, token: str) -> None:
        self._http = http
        self._url = url + V3
        self.token = token
        self.user_id = user_id
        self.next_batch: str | None = None

    async def ask(self, method: str, path: str, json: Any = None, **query: Any) -> Answer:
        """Send a request; the path comes after /_matrix/client/v3, encoded."""
        headers = {"Authorization": f"Bearer {self.token}"}
        url = URL(self._url + path, encoded=True)
        async with self._http.request(
            method, url, json=json, params=query or None, headers=headers
        ) as response:
            return Answer(response.status, await response.json())

    async def sync(self, **query: Any) -> Answer:
        """Ask for what is new; poll if there is a `timeout`."""
        since = {} if self.next_batch is None else {"since": self.next_batch}
        answer = await self.ask("GET", "/sync", **since, **query)
        if answer.status == 200:
            self.next_batch = answer.json["next_batch"]
        return answer

    async def put_status(self, presence: str, status_msg: str) -> Answer:
        """Set one's own presence."""
        content = {"presence": presence, "status_msg": status_msg}
        return await self.ask("PUT", self._status_path(self.user_id), content)

    async def status(self, of: "Person | None" = None) -> Answer:
        """Return somebody's presence, by default one's own."""
        return await self.ask("GET", self._status_path((of or self).user_id))

    async def type_in(self, room_id: str) -> None:
        """Type something in a room: an activity."""
        path = f"/rooms/{quote(room_id, safe='')}/typing/{quote(self.user_id, safe='')}"
        assert (await self.ask("PUT", path, {"typing": True, "timeout": 1000})).status == 200

    @staticmethod
    def _status_path(user_id: str) -> str:
        return f"/presence/{quote(user_id, safe='')}/status"


async def register(
    http: aiohttp.ClientSession, url: str, name: str, password: str = "wonderland"
) -> Person:
    """Register somebody over HTTP."""
    body = {"username": name, "password": password, "auth": {"type": "m.login.dummy"}}
    async with http.post(f"{url}{V3}/register", json=body) as response:
        answer = await response.json()
        assert response.status == 200, answer
    return Person(http, url, answer["user_id"], answer["access_token"])


async def people_at(
    server: ServerProcess, http: aiohttp.ClientSession, *names: str
) -> list[Person]:
    """Create accounts, which share a room, and start the server."""
    logins = await prepare(server.folder, names, room=True)
    await asyncio.to_thread(server.start)
    return [Person(http, server.url, it.user_id, it.access_token) for it in logins]


async def polls_under_way(http: aiohttp.ClientSession, url: str, count: int) -> None:
    """Return once the server says that it has *count* polls; a server that cannot say so fails."""
    for _ in range(10_000):
        async with http.get(f"{url}/metrics") as response:
            metrics = await response.text()
        if f"\nlamplighter_polls_in_flight {float(count)}\n" in metrics:
            return
    raise AssertionError(f"there are not {count} polls\n{metrics}")
