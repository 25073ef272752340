"""The walk of a change: a PUT, its delivery to those who watch, and the next poll of each.

`python -m tests.scenarios.walk` prints it: each function with its calls for one more watcher.
`walk_in_front.py` does so for a server in front of a homeserver.
"""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from datetime import timedelta
from types import FrameType
from typing import Any, Final, TypeAlias
from urllib.parse import quote

import msgspec

from bench.clients import CLIENTS, Client
from lamplighter.clock import milliseconds
from lamplighter.devtools.client import Client as Person
from lamplighter.devtools.server import InMemoryServer, running_server
from lamplighter.web.http.server import HttpServer
from tests.web.http.peer import Peer

__all__ = [
    "Watched",
    "Watcher",
    "calls_for_one_more",
    "counted_calls",
    "in_python",
    "print_walks",
    "watched",
]

_PACKAGE: Final = "/src/lamplighter/"
_TOOLS: Final = "/src/lamplighter/devtools/"
_TESTS: Final = "/tests/"
#: How many watchers are compared with twice as many.
_FEW: Final = 20
#: The time-out of the polls.
_TIMEOUT: Final = timedelta(seconds=30)
#: Then everybody is idle.
_SILENT_AFTER: Final = timedelta(minutes=8)

#: Something that a world does.
Step: TypeAlias = "Callable[[Watched], Awaitable[None]]"


class Watcher:
    """A client of some kind, on a connection of its own."""

    def __init__(
        self, server: HttpServer, person: Person, kind: Client, chosen: str | None
    ) -> None:
        self.peer = Peer(server.connect())
        self.before, self.after = kind.query(milliseconds(_TIMEOUT), chosen)
        self.fields = (
            f"Host: demo\r\nAuthorization: Bearer {person.access_token}\r\n{kind.fields}\r\n"
        )

    def request(self, since: str) -> bytes:
        """Return the next poll."""
        query = f"{self.before}{quote(since)}{self.after}"
        return f"GET /_matrix/client/v3/sync?{query} HTTP/1.1\r\n{self.fields}".encode()


class Watched:
    """Bob, and those who watch him from one room, each with a poll that waits."""

    def __init__(self, server: InMemoryServer, http: HttpServer, bob: Person) -> None:
        self.server, self.bob = server, bob
        self.watchers: list[Watcher] = []
        self.publisher = Peer(http.connect())
        self._changes = 0

    def poll(self, since: str) -> None:
        """Let everybody send the next poll."""
        for watcher, request in [(it, it.request(since)) for it in self.watchers]:
            watcher.peer.send(request)

    async def change(self) -> None:
        """Let bob set a status, of which everybody is told."""
        self._changes += 1
        body = json.dumps({"presence": "online", "status_msg": f"change {self._changes}"})
        self.publisher.send(
            f"PUT /_matrix/client/v3/presence/{quote(self.bob.user_id)}/status HTTP/1.1\r\n"
            f"Host: demo\r\nAuthorization: Bearer {self.bob.access_token}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        )
        await self.server.settled()

    def heard(self) -> dict[str, Any]:
        """Return the answer to everybody, who all get the same."""
        [answer] = {watcher.peer.received for watcher in self.watchers}
        return _content(answer)

    async def change_and_poll(self) -> None:
        """Let bob change, and everybody poll for the next change."""
        await self.change()
        answer = self.heard()
        [event] = answer["presence"]["events"]
        assert event["content"]["status_msg"] == f"change {self._changes}"
        self.poll(answer["next_batch"])
        await self.server.settled()

    async def idle_turn(self) -> None:
        """Let the time of all polls pass, and everybody poll again."""
        await self.server.advance(seconds=_TIMEOUT.seconds)
        answer = self.heard()
        assert "presence" not in answer
        self.poll(answer["next_batch"])
        await self.server.settled()

    def leave(self) -> None:
        """Let everybody go."""
        for peer in (self.publisher, *(it.peer for it in self.watchers)):
            peer.lose()

    async def fall_silent(self) -> None:
        """Let time pass until nobody's presence changes any more."""
        for _ in range(_SILENT_AFTER // _TIMEOUT):
            await self.server.advance(seconds=_TIMEOUT.seconds)
            for watcher in self.watchers:
                if answer := watcher.peer.received:
                    watcher.peer.send(watcher.request(_content(answer)["next_batch"]))
            await self.server.settled()


#: Gives so many watchers with clients of one kind.
World: TypeAlias = Callable[[Client, int], AbstractAsyncContextManager[Watched]]


def _content(answer: str) -> dict[str, Any]:
    content: dict[str, Any] = msgspec.json.decode(answer.partition("\r\n\r\n")[2])
    return content


@asynccontextmanager
async def watched(kind: Client, watchers: int) -> AsyncIterator[Watched]:
    """Give bob and that many *watchers*, all with clients of one *kind* that poll steadily."""
    async with running_server() as server:
        bob = await server.register("bob")
        room_id = await bob.create_room()
        http = server.lamplighter.http_server(server.clock)
        world = Watched(server, http, bob)
        people = [await server.register(f"watcher{number}") for number in range(watchers)]
        for person in people:
            await person.join(room_id)
        await bob.set_status("online", "here")
        for person in people:
            for _ in range(2):  # the second time there is no news of the watchers themselves
                await person.sync(set_presence=kind.set_presence or "online")
            chosen = kind.filter
            if kind.uploads and chosen is not None:
                path = f"/user/{quote(person.user_id)}/filter"
                uploaded = await person.call("POST", path, json.loads(chosen))
                chosen = str(uploaded["filter_id"])
            world.watchers.append(Watcher(http, person, kind, chosen))
        world.poll(people[-1].next_batch or "")
        await server.settled()
        for _ in range(2):
            await world.change_and_poll()
        yield world
        world.leave()


@contextmanager
def counted_calls() -> Iterator[Counter[str]]:
    """Count what the server calls: functions by their names, built-in ones with a `*`."""
    calls: Counter[str] = Counter()

    def count(frame: FrameType, event: str, called: Any) -> None:
        if event == "c_call" and _is_server(frame):
            calls[f"* {called.__qualname__}"] += 1
        elif event == "call" and (_is_server(frame) or _is_used(frame)):
            calls[frame.f_code.co_qualname] += 1

    sys.setprofile(count)
    try:
        yield calls
    finally:
        sys.setprofile(None)


def _is_server(frame: FrameType | None) -> bool:
    file = "" if frame is None else frame.f_code.co_filename
    return _PACKAGE in file and _TOOLS not in file


def _is_used(frame: FrameType) -> bool:
    """Tell whether the server calls what is not its own: the clock, or a library."""
    return _is_server(frame.f_back) and _TESTS not in frame.f_code.co_filename


async def _calls_of(begin: World, kind: Client, watchers: int, step: Step) -> Counter[str]:
    async with begin(kind, watchers) as world:
        if step is Watched.idle_turn:
            await world.fall_silent()
        await step(world)  # what is made once is there
        with counted_calls() as calls:
            await step(world)
    return calls


async def calls_for_one_more(kind: Client, step: Step, begin: World = watched) -> dict[str, int]:
    """Return the calls that one more watcher adds to *step*.

    A function that is not called for each of them does not count: timers and threads cause such
    calls, more in one world than in another.
    """
    few, many = [await _calls_of(begin, kind, number, step) for number in (_FEW, 2 * _FEW)]
    added = {it: (many[it] - few[it]) // _FEW for it in many}
    return {it: count for it, count in added.items() if count > 0}


def in_python(calls: Mapping[str, int]) -> int:
    """Return how many of *calls* are of functions in Python."""
    return sum(count for name, count in calls.items() if not name.startswith("*"))


async def print_walks(names: Sequence[str], begin: World = watched) -> None:
    """Print the walk for clients of those kinds, and that of a poll whose time is over."""
    for name in names:
        for step in (Watched.change_and_poll, Watched.idle_turn):
            calls = await calls_for_one_more(CLIENTS[name], step, begin)
            ours, all_ = in_python(calls), sum(calls.values())
            lines = [f"{name}, {step.__name__}: {ours} in Python, {all_ - ours} built-in"]
            for it, count in sorted(calls.items(), key=lambda pair: (pair[0][0] == "*", -pair[1])):
                lines.append(f"  {count:4} {it}")
            sys.stdout.write("\n".join([*lines, ""]))


if __name__ == "__main__":
    asyncio.run(print_walks(sys.argv[1:] or ["element"]))
