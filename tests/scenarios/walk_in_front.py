"""The walk of a change in front of a homeserver.

`python -m tests.scenarios.walk_in_front` prints it, as `walk.py` prints that of the built-in one.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from bench.clients import Client
from tests.homeserver.upstream.front import LOBBY, front
from tests.scenarios.walk import Watched, Watcher, print_walks

__all__ = ["watched_in_front"]

#: Nobody's presence changes by itself.
_PATIENT: Final = (
    "presence: {sync_online_timeout: 1h, last_active_granularity: 1h, idle_timeout: 2h}"
)
#: The filter that everybody has uploaded.
_FILTER_ID: Final = "0"


@asynccontextmanager
async def watched_in_front(kind: Client, watchers: int) -> AsyncIterator[Watched]:
    """Give bob and that many *watchers*, as `walk.watched` does."""
    chosen = _FILTER_ID if kind.uploads else kind.filter
    names = ["bob", *(f"watcher{number}" for number in range(watchers))]
    with TemporaryDirectory() as folder:
        async with front(Path(folder), _PATIENT) as door:
            for name in names:
                door.small.join(f"@{name}:demo", LOBBY)
            if kind.uploads and kind.filter is not None:
                door.small.filters[_FILTER_ID] = json.loads(kind.filter)
            bob, *people = map(door.person, names)
            http = door.server.lamplighter.http_server(door.server.clock)
            world = Watched(door.server, http, bob)
            await bob.set_status("online", "here")
            for _ in range(2):  # the second time nobody is new to anybody
                for person in people:
                    await person.sync(set_presence=kind.presence)
            world.watchers = [Watcher(http, person, kind, chosen) for person in people]
            world.poll(people[-1].next_batch or "")
            await door.server.settled()
            for _ in range(2):
                await world.change_and_poll()
            yield world
            world.leave()


if __name__ == "__main__":
    asyncio.run(print_walks(sys.argv[1:] or ["element"], watched_in_front))
