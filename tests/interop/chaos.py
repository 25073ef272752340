"""Clients and faults for a cluster of real processes, and what must be true whatever happens.

Clients know a few nodes, and go from one to another: with each poll, and whenever one does not
answer. They keep their tokens.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random  # noqa: TID251 - seeded: the same faults in the same order
from typing import Any, Final

import aiohttp

from lamplighter.clock import SystemClock, sleep

__all__ = ["PATIENCE", "Chaotic", "Crowd", "Link", "instant", "pause"]

#: A client waits so many seconds for an answer, then it goes elsewhere.
PATIENCE: Final = aiohttp.ClientTimeout(total=10)
_POLL_MS: Final = 4_000
#: Whoever was answered at least so often, in seconds, is never shown offline.
_STEADY: Final = 20.0
#: What a node may answer while there are faults: 401 where a client was logged out, 403 to a leave
#: after a join that failed.
_ALLOWED: Final = frozenset({200, 401, 403, 503})


_clock: Final = SystemClock()


def instant() -> float:
    """Return the time in seconds."""
    return _clock.now() / 1000


async def pause(seconds: float) -> None:
    """Return after so many real seconds: a client's pause, or how long a fault lasts."""
    await sleep(_clock, timedelta(seconds=seconds))


class Link:
    """The way of one node to Valkey: it can be cut, and can swallow what is sent."""

    def __init__(self, path: str, target: str) -> None:
        self.url = f"unix://{path}"
        self._path, self._target = path, target
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_cut = False
        self._flows = asyncio.Event()
        self._flows.set()

    async def start(self) -> None:
        """Take connections."""
        self._server = await asyncio.start_unix_server(self._serve, self._path)

    def cut(self) -> None:
        """Close every connection, and each new one at once."""
        self._is_cut = True
        for writer in self._open:
            writer.close()

    def hold(self) -> None:
        """Let nothing through, either way."""
        self._flows.clear()

    def heal(self) -> None:
        """Be a way again; what was held goes through now."""
        self._is_cut = False
        self._flows.set()

    async def close(self) -> None:
        """Take no more connections."""
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            if not self._is_cut:
                there, back = await asyncio.open_unix_connection(self._target)
                await asyncio.gather(self._pass(reader, back), self._pass(there, writer))
        except OSError:
            pass
        finally:
            writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while data := await reader.read(65_536):
                await self._flows.wait()
                writer.write(data)
                await writer.drain()
        finally:
            self._open.discard(writer)
            writer.close()


@dataclass(eq=False)
class Chaotic:
    """A client, which polls for ever."""

    name: str
    crowd: "Crowd"
    random: Random
    access_token: str = ""
    user_id: str = ""
    since: str | None = None
    #: By user: presence and status message.
    believes: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    #: Since when there was never a pause of `_STEADY` between two answers.
    steady_since: float = 0.0
    answered_at: float = 0.0
    #: The messages that may count: the last one that was acknowledged, and later ones.
    messages: list[str | None] = field(default_factory=lambda: [None])
    sent: int = 0
    is_in_lobby: bool = False

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Ask a node; 0 is the status where none answers."""
        url = self.random.choice(self.crowd.urls)
        headers = {"Authorization": f"Bearer {self.access_token}"} if self.access_token else {}
        try:
            async with self.crowd.http.request(
                method, f"{url}/_matrix/client/v3/{path}", json=body, headers=headers
            ) as response:
                content = await response.json()
                status = response.status
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
            return 0, None
        if status not in _ALLOWED:
            self.crowd.problems.append(f"{method} {path} of {self.name}: {status} {content}")
        return status, content

    async def insist(self, method: str, path: str, body: Any = None) -> Any:
        """Ask until a node answers with 200."""
        while True:
            status, content = await self.ask(method, path, body)
            if status == 200:
                return content
            await pause(0.2)

    async def log_in(self, path: str, body: Any) -> None:
        """Register, or log in as another device."""
        self.access_token = ""
        content = await self.insist("POST", path, body)
        self.access_token, self.user_id = content["access_token"], content["user_id"]
        self.since, self.steady_since = None, instant() + _STEADY
        self.believes.clear()

    async def log_out(self) -> None:
        """Log out, and log in as another device."""
        self.steady_since = instant() + 2 * _STEADY
        await self.ask("POST", "logout", {})
        who = {"type": "m.id.user", "user": self.name}
        login = {"type": "m.login.password", "identifier": who, "password": "pw-of-" + self.name}
        await self.log_in("login", login)

    async def move(self) -> None:
        """Join the room where people come and go, or leave it."""
        self.is_in_lobby = not self.is_in_lobby
        verb = "join" if self.is_in_lobby else "leave"
        await self.ask("POST", f"rooms/{self.crowd.lobby}/{verb}", {})

    async def put(self) -> None:
        """Set a status."""
        self.sent += 1
        message = f"{self.name} {self.sent}"
        self.messages.append(message)
        body = {"presence": "online", "status_msg": message}
        status, _ = await self.ask("PUT", f"presence/{self.user_id}/status", body)
        if status == 200:
            self.messages = [message]

    async def live(self) -> None:
        """Poll for ever."""
        while True:
            since = f"&since={self.since}" if self.since else ""
            token = self.access_token
            status, content = await self.ask("GET", f"sync?timeout={_POLL_MS}{since}")
            if status != 200 or token != self.access_token:
                await pause(self.random.uniform(0.1, 0.5))
                continue
            now = instant()
            if now - self.answered_at > _STEADY / 2:
                self.steady_since = max(self.steady_since, now + _STEADY)
            self.answered_at, self.since = now, content["next_batch"]
            for event in content.get("presence", {}).get("events", []):
                shown = event["content"]
                self._believe(event["sender"], shown["presence"], shown.get("status_msg"))

    def _believe(self, user_id: str, presence: str, message: str | None) -> None:
        self.believes[user_id] = (presence, message)
        other = self.crowd.people.get(user_id)
        if other is None:
            self.crowd.problems.append(f"{self.name} is shown {user_id}")
        elif presence == "offline" and instant() - other.steady_since > _STEADY:
            self.crowd.problems.append(f"{self.name} is shown that {user_id} is offline")


class Crowd:
    """All clients, and what is wrong."""

    def __init__(self, http: aiohttp.ClientSession, urls: Sequence[str]) -> None:
        self.http, self.urls = http, urls
        self.people: dict[str, Chaotic] = {}
        #: A room beside the one that everybody is in.
        self.lobby = ""
        self.problems: list[str] = []

    def false_beliefs(self) -> list[str]:
        """Return who believes what is not so; everybody polls."""
        return [
            f"{viewer.name} believes {viewer.believes.get(user.user_id)} of {user.messages}"
            for viewer in self.people.values()
            for user in self.people.values()
            if not _is_true(viewer.believes.get(user.user_id), user)
        ] + [
            f"{user.name} is shown as {seen}"
            for user in self.people.values()
            if len(seen := {it.believes.get(user.user_id) for it in self.people.values()}) > 1
        ]

    async def believes_the_truth(self, seconds: float) -> list[str]:
        """Return once nobody believes what is not so; what is false after so many *seconds*."""
        for _ in range(round(seconds * 5)):
            if not (false := self.false_beliefs()):
                break
            await pause(0.2)
        return false


def _is_true(shown: tuple[str, str | None] | None, user: Chaotic) -> bool:
    return shown is not None and shown[0] != "offline" and shown[1] in user.messages
