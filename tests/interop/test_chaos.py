"""Chaos: processes are killed, frozen and cut off, the engines restart, and all clients go on.

`make chaos` does it for as long as one likes: CHAOS_SECONDS=3600, with another CHAOS_SEED.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from random import Random  # noqa: TID251 - seeded: the same faults in the same order
from typing import Final

import aiohttp
import pytest

from tests.interop.chaos import PATIENCE, Chaotic, Crowd, Link, instant, pause
from tests.interop.processes import ServerProcess, reserved_port
from tests.postgresql import PostgresServer
from tests.valkey import ValkeyServer

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif("CHAOS_SECONDS" not in os.environ, reason="`make chaos` runs it"),
]

SECONDS: Final = float(os.environ.get("CHAOS_SECONDS", "60"))
SEED: Final = int(os.environ.get("CHAOS_SEED", "1"))
USERS: Final = 12
#: The pauses between two faults, and how long one lasts, in seconds.
PAUSES: Final = (0.5, 2.0)
LASTS: Final = (0.2, 1.0, 2.5, 5.0)
#: In so many seconds all is well again, on the slowest machine.
HEALS: Final = 120.0


class Arena:
    """Three nodes, their ways to Valkey, and both engines."""

    def __init__(self, postgres: PostgresServer, valkey: ValkeyServer) -> None:
        self.nodes: dict[str, ServerProcess] = {}
        self.links: dict[str, Link] = {}
        self._postgres, self._valkey = postgres, valkey

    async def fault(self, random: Random) -> str:
        """Let one fault happen, and end; return what it was."""
        what = random.choice(
            ["kill", "stop", "freeze", "cut", "hold", "valkey", "lost", "postgres"]
        )
        name, lasts = random.choice(list(self.nodes)), random.choice(LASTS)
        node, link = self.nodes[name], self.links[name]
        if what in ("kill", "stop"):
            await asyncio.to_thread(node.kill if what == "kill" else node.stop)
            await asyncio.to_thread(node.start)
        elif what == "freeze":
            node.signal(signal.SIGSTOP)
            await pause(lasts)
            node.signal(signal.SIGCONT)
        elif what in ("cut", "hold"):
            (link.cut if what == "cut" else link.hold)()
            await pause(lasts)
            link.heal()
        elif what == "postgres":
            await asyncio.to_thread(self._postgres.stop)
            await pause(lasts)
            await asyncio.to_thread(self._postgres.start)
        else:
            if what == "lost":
                self._valkey.lose_data()
            self._valkey.kill()
            await pause(lasts)
            await asyncio.to_thread(self._valkey.start)
        return f"{what} {name} {lasts}"


@pytest.fixture
async def arena(
    tmp_path: Path, postgres: PostgresServer, postgres_url: str, valkey: ValkeyServer
) -> AsyncIterator[Arena]:
    """Three nodes that serve."""
    arena = Arena(postgres, valkey)
    with ExitStack() as stack:
        for name in "abc":
            link = Link(str(tmp_path / f"{name}.socket"), valkey.url.removeprefix("unix://"))
            await link.start()
            arena.links[name] = link
            place = f"database: {postgres_url}\ncluster: {{node: {name}, bus: '{link.url}'}}\n"
            port = stack.enter_context(reserved_port())
            node = arena.nodes[name] = ServerProcess(tmp_path / name, port, place)
            stack.callback(node.kill_if_running)
            await asyncio.to_thread(node.launch)
        for node in arena.nodes.values():
            await asyncio.to_thread(node.serves)
        yield arena
    for link in arena.links.values():
        await link.close()
    valkey.lose_data()


async def _live(crowd: Crowd, random: Random) -> None:
    """Let clients set statuses, log out, leave and join, for ever."""
    while True:
        person = random.choice(list(crowd.people.values()))
        what = random.choice([person.log_out, person.move, person.move, *[person.put] * 10])
        await what()
        await pause(random.uniform(0.02, 0.2))


@pytest.mark.timeout(900 + SECONDS)
async def test_chaos(arena: Arena) -> None:
    """Whatever fails, no answer is a defect, and nobody who polls is shown offline.

    In the end every client shows the last status of everybody that was acknowledged.
    """
    random = Random(SEED)
    async with aiohttp.ClientSession(timeout=PATIENCE) as http:
        crowd = Crowd(http, [node.url for node in arena.nodes.values()])
        await _settle(crowd, random)
        polls = [asyncio.ensure_future(it.live()) for it in crowd.people.values()]
        assert await crowd.believes_the_truth(HEALS) == []
        assert [it for it in polls if it.done()] == []
        life = asyncio.ensure_future(_live(crowd, random))
        faults, until = [], instant() + SECONDS
        while instant() < until:
            faults.append(await arena.fault(random))
            await pause(random.uniform(*PAUSES))
        life.cancel()
        await asyncio.gather(life, return_exceptions=True)
        for person in crowd.people.values():
            await person.insist("GET", "account/whoami")
        false = await crowd.believes_the_truth(HEALS)
        assert [it for it in polls if it.done()] == []
        for poll in polls:
            poll.cancel()
        await asyncio.gather(*polls, return_exceptions=True)
    assert (crowd.problems, false) == ([], []), f"CHAOS_SEED={SEED}: {faults}"
    for node in arena.nodes.values():
        assert "Traceback" not in node.log, node.log


async def _settle(crowd: Crowd, random: Random) -> None:
    """Register everybody, and put them into one room."""
    people = [Chaotic(f"user{it}", crowd, Random(random.random())) for it in range(USERS)]
    for person in people:
        body = {
            "username": person.name,
            "password": "pw-of-" + person.name,
            "auth": {"type": "m.login.dummy"},
        }
        await person.log_in("register", body)
        crowd.people[person.user_id] = person
    host = people[0]
    room = await host.insist("POST", "createRoom", {"preset": "public_chat"})
    lobby = await host.insist("POST", "createRoom", {"preset": "public_chat"})
    crowd.lobby = lobby["room_id"]
    for person in people[1:]:
        await person.insist("POST", f"join/{room['room_id']}", {})
