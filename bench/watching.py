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
from typing import Final

import msgspec

from bench.clients import ELEMENT
from bench.http import Address
from bench.ledger import Ledger
from bench.machine import share_cores
from bench.measuring import Meter
from bench.party import MatrixWire, connect_all, make_watchers
from bench.servers.stored import stored_account
from bench.shapes import Shape
from bench.stage import Stage

__all__ = ["PUBLISHER", "READY", "TOLD", "Part", "watch"]

#: The number of the user whom all watch.
PUBLISHER: Final = 0
READY: Final = "ready\n"
TOLD: Final = "told\n"
#: How long a change may take, in seconds.
_PATIENCE: Final = 300


class Part(msgspec.Struct, frozen=True):
    """The watchers of one process: they poll at one address."""

    host: str
    port: int
    #: How many users there are, and the first and the last of those who watch here.
    users: int
    first: int
    last: int


async def watch(part: Part, lines: asyncio.StreamReader, say: Callable[[str], None]) -> None:
    """Connect the watchers of *part*, and say when each change has reached all of them."""
    watching = tuple(range(part.first, part.last + 1))
    ledger = Ledger([frozenset(watching)])
    shape = Shape(part.users, (), watching, (PUBLISHER,), client=ELEMENT)
    stage = Stage(Address(part.host, part.port), Meter({}, share_cores()), _Silent(), MatrixWire())
    accounts = [stored_account(number) for number in range(part.users)]
    watchers = await make_watchers(stage, accounts, shape, ledger)
    await connect_all(stage, watchers)
    say(READY)
    while await lines.readline():
        ledger.publish(PUBLISHER)
        await ledger.settled(_PATIENCE)
        say(TOLD)


class _Silent:
    """Progress that nobody looks at."""

    def step(self, _what: str, _total: int) -> Callable[[], None]:
        return lambda: None


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
