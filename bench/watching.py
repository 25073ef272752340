"""A process that watches: one of those that `bench.many_watchers` starts.

A process may have some 15,000 connections. So the watchers of one presence are shared out to
several processes. Each reads a `Part` from its first line of input, connects its watchers and
writes `READY`. With each further line a change is published; the process writes `TOLD` once all its
watchers have received it.
"""

import asyncio
import gc
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import msgspec

from bench.clients import ELEMENT
from bench.errors import Refused
from bench.http import Address, Connection, connect
from bench.ledger import Ledger
from bench.machine import share_cores
from bench.matrix import Account, Polls, first_sync, user_id
from bench.measuring import Meter, Silent
from bench.party import TIMEOUT_MS, MatrixWire, Watcher
from bench.servers.stored import STORED_FILTER, stored_account
from bench.stage import Stage, in_parallel
from bench.waiting import pause

__all__ = ["CLIENT", "PUBLISHER", "READY", "TOLD", "Part", "watch"]

#: The number of the user whom all watch.
PUBLISHER: Final = 0
#: Those who watch show no presence of their own: otherwise each is news to 99 others.
CLIENT: Final = replace(ELEMENT, name="element-hidden", set_presence="offline")
READY: Final = "ready\n"
TOLD: Final = "told\n"
#: How long a change may take, in seconds.
_PATIENCE: Final = 300
#: How often a first sync is asked for again, with a second between.
_TRIES: Final = 60


class Part(msgspec.Struct, frozen=True):
    """The watchers of one process: they poll at one address."""

    host: str
    port: int
    #: Where the connections come from: an address has 28,000 ports for that.
    source: str
    #: The first and the last of those who watch here.
    first: int
    last: int


async def watch(part: Part, lines: asyncio.StreamReader, say: Callable[[str], None]) -> None:
    """Connect the watchers of *part*, and say when each change has reached all of them."""
    watching = tuple(range(part.first, part.last + 1))
    ledger = Ledger([frozenset(watching)])
    stage = Stage(Address(part.host, part.port), Meter({}, share_cores()), Silent(), MatrixWire())
    watched = {user_id(PUBLISHER): PUBLISHER}

    async def make(line: Connection, number: int) -> Watcher:
        account = stored_account(number)
        polls = Polls(account, CLIENT, TIMEOUT_MS, STORED_FILTER)
        return Watcher(account, polls, await _first_token(line, account), ledger, watched)

    for watcher in await in_parallel(stage, "first syncs", watching, make):
        watcher.poll_on(await connect(stage.address, part.source))
    say(READY)
    while await lines.readline():
        ledger.publish(PUBLISHER)
        await ledger.settled(_PATIENCE)
        say(TOLD)


async def _first_token(line: Connection, account: Account) -> str:
    """Return the token of a first sync; ask again where a node has no time, as clients do."""
    for _ in range(_TRIES):
        try:
            return await first_sync(line, account, CLIENT)
        except Refused:
            await pause(1)
    return await first_sync(line, account, CLIENT)


def _say(said: str) -> None:
    sys.stdout.write(said)
    sys.stdout.flush()


async def _main() -> None:
    gc.disable()  # what is connected stays, and pauses would count as latency
    lines = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(lines)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    part = msgspec.json.decode(await lines.readline(), type=Part)
    await watch(part, lines, _say)


if __name__ == "__main__":
    asyncio.run(_main())
