"""The key fetches under way, shared fairly by the networks that cause them.

A request names its origin, and its signature is checked with a key of that server. So anybody can
make us ask any server for its keys, and choose servers that answer slowly. Three bounds limit the
fetches under way: for one *asker* (the network that sent the request), for one domain (because one
person can make many names below a domain), and in all.

Beyond a bound the oldest fetch is cancelled, because a working server answers within a second. It
is the oldest fetch of that asker, or of that domain. Beyond the bound in all it is the oldest fetch
of the asker with the most fetches.

Example: one network sends 20 requests in the names of 20 servers that never answer. The last 16
fetches are under way, and 484 places are left for other networks.
"""

import asyncio
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

from lamplighter.domains import registrable_domain
from lamplighter.ids import ServerName
from lamplighter.recent import Recent

__all__ = ["MOST_FETCHES", "MOST_OF_ONE", "Fetches"]

MOST_FETCHES: Final = 500
#: The bound for one asker, and for one domain.
MOST_OF_ONE: Final = 16


@dataclass(frozen=True, slots=True)
class _Fetch:
    server: ServerName
    asker: str


class Fetches:
    """The fetches under way, one for each server; cancels those that must give way."""

    def __init__(self, most: int = MOST_FETCHES, most_of_one: int = MOST_OF_ONE) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._tasks: dict[ServerName, asyncio.Task[None]] = {}
        # The bounds are checked here, one fetch before the dictionary would displace one.
        self._fetches: Recent[_Fetch, None] = Recent(
            most + 1, attrgetter("asker"), lambda fetch: registrable_domain(fetch.server)
        )

    def __len__(self) -> int:
        """Return the number of fetches under way."""
        return len(self._fetches)

    def of(self, server: ServerName) -> "asyncio.Task[None] | None":
        """Return the fetch of the keys of *server*; None if none is under way."""
        return self._tasks.get(server)

    def begin(self, server: ServerName, asker: str, task: "asyncio.Task[None]") -> None:
        """Add *task*, which fetches the keys of *server* for *asker*."""
        fetch = _Fetch(server, asker)
        for grouping in (0, 1):
            if self._fetches.size_of_group(fetch, grouping) >= self._most_of_one:
                self._give_way(self._fetches.idlest_of_group(fetch, grouping))
        if len(self) >= self._most:
            self._give_way(self._fetches.idlest())
        self._tasks[server] = task
        self._fetches.put(fetch, None)
        task.add_done_callback(lambda done: self._end(fetch, done))

    async def close(self) -> None:
        """Cancel all fetches."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _give_way(self, fetch: _Fetch | None) -> None:
        if fetch is not None:
            task = self._tasks[fetch.server]
            task.cancel()
            self._end(fetch, task)

    def _end(self, fetch: _Fetch, task: "asyncio.Task[None]") -> None:
        """Remove the fetch, but not a later fetch of the same server."""
        if self._tasks.get(fetch.server) is task:
            del self._tasks[fetch.server]
            self._fetches.drop(fetch)
