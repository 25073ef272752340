"""How strangers share the places for key fetches."""

import asyncio
from typing import Final

import pytest

from lamplighter.devtools.turns import turns
from lamplighter.federation.fetches import Fetches
from lamplighter.ids import ServerName

NAMES: Final = [ServerName(f"s{number}.example") for number in range(40)]


class Slow:
    """Fetches that never end, by server name."""

    def __init__(self, fetches: Fetches) -> None:
        self.fetches = fetches
        self.tasks: dict[ServerName, asyncio.Task[None]] = {}

    def begin(self, server: ServerName, asker: str) -> None:
        """Begin to fetch the keys of *server* for *asker*."""

        async def wait() -> None:
            await asyncio.get_running_loop().create_future()

        self.tasks[server] = asyncio.ensure_future(wait())
        self.fetches.begin(server, asker, self.tasks[server])

    async def under_way(self) -> list[ServerName]:
        """Return the servers whose fetches are still under way, and end those."""
        alive = [name for name in self.tasks if self.fetches.of(name) is self.tasks[name]]
        await self.fetches.close()
        assert [name for name, task in self.tasks.items() if not task.cancelled()] == []
        assert len(self.fetches) == 0
        return alive


EVIL: Final = [ServerName(f"s{number}.evil.example:{number}") for number in range(1, 9)]


@pytest.mark.parametrize(
    ("most", "most_of_one", "fetches", "under_way"),
    [
        # a further fetch for one asker cancels the oldest of that asker, and no other
        (100, 3, [(it, "stranger") for it in NAMES[1:10]], NAMES[7:10]),
        # a further fetch from one domain cancels the oldest of that domain, for any asker
        (100, 3, [(it, f"stranger of {it}") for it in EVIL], EVIL[5:]),
        # when all places are taken, the asker with the most fetches loses the oldest of them
        (
            5,
            4,
            [(NAMES[1], "somebody"), *((it, "many") for it in NAMES[2:5]), (NAMES[5], "new")],
            [NAMES[1], *NAMES[3:6]],
        ),
    ],
)
async def test_the_places(
    most: int,
    most_of_one: int,
    fetches: list[tuple[ServerName, str]],
    under_way: list[ServerName],
) -> None:
    """Beyond a bound, a further fetch cancels an older one of the same asker or domain."""
    slow = Slow(Fetches(most, most_of_one))
    for server, asker in [(NAMES[0], "somebody"), *fetches]:
        slow.begin(server, asker)
    assert await slow.under_way() == [NAMES[0], *under_way]


async def test_a_fetch_that_has_ended_makes_room() -> None:
    """A fetch occupies a place until it ends."""
    fetches = Fetches(1)
    for name in NAMES[:2]:
        task = asyncio.ensure_future(_end_at_once())
        fetches.begin(name, "somebody", task)
        assert (len(fetches), fetches.of(name)) == (1, task)
        await task
        await turns(1)
        assert (len(fetches), fetches.of(name), task.cancelled()) == (0, None, False)


async def _end_at_once() -> None:
    """Do nothing."""
