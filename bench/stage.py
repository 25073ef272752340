"""The stage of a load: a running server, its meter, and users with accounts and rooms."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Final, Protocol, TypeVar

from bench.clients import Client
from bench.http import Address, Connection, connect
from bench.ledger import Ledger
from bench.matrix import Account, create_room, join, put_request, register
from bench.measuring import Latency, Measurement, Meter, Progress
from bench.shapes import Shape

__all__ = [
    "Party",
    "Stage",
    "Wire",
    "in_parallel",
    "people",
    "people_in_rooms",
    "settle_in",
    "timed",
]

T = TypeVar("T")
R = TypeVar("R")

#: How many requests are under way at a time while a stage is set up.
_AT_A_TIME: Final = 8


@dataclass(frozen=True)
class Stage:
    """A server that runs, for one load."""

    address: Address
    meter: Meter
    progress: Progress
    wire: "Wire"
    #: How many addresses the server has, from that one on.
    addresses: int = 1

    def address_for(self, index: int) -> Address:
        """Return the address for the client of that *index*: clients take them in turn."""
        first = self.address
        if self.addresses == 1:
            return first
        return Address(f"127.0.0.{1 + index % self.addresses}", first.port)


class Party(Protocol):
    """The connected users of a shape: they watch, and publish when `change` says so."""

    @property
    def polls(self) -> int:
        """How many polls, or streams, are connected."""

    @property
    def resident_before(self) -> int:
        """The memory of the server before they connected, in bytes."""

    def change(self, publisher: int) -> None:
        """Let the user of that number publish a new status message."""

    def leave(self) -> None:
        """Close all connections."""


class Wire(Protocol):
    """A protocol of clients: Matrix, or XMPP."""

    async def gather(self, stage: Stage, shape: Shape, ledger: Ledger) -> Party:
        """Create everybody of *shape* on the server, and connect them."""


async def people(stage: Stage, shape: Shape) -> list[Account]:
    """Register the users of *shape* and let them join their rooms, over the client API."""
    accounts, _ = await people_in_rooms(stage, shape)
    return accounts


async def people_in_rooms(stage: Stage, shape: Shape) -> tuple[list[Account], list[str]]:
    """Do as `people`; return the IDs of the rooms, too."""
    accounts = await in_parallel(stage, "registering", range(shape.users), register)
    rooms = await in_parallel(
        stage, "creating rooms", shape.rooms, lambda line, it: create_room(line, accounts[it[0]])
    )
    joins = [
        (accounts[member], room_id)
        for room_id, members in zip(rooms, shape.rooms, strict=True)
        for member in members[1:]
    ]
    await in_parallel(stage, "joining", joins, lambda line, it: join(line, *it))
    return accounts, rooms


async def settle_in(stage: Stage, accounts: Sequence[Account], client: Client) -> None:
    """Set each user's presence to that of the user's polls, so that no poll changes it."""

    async def put(line: Connection, account: Account) -> None:
        await line.ask(put_request(account, client, ""))

    await in_parallel(stage, f"becoming {client.presence}", accounts, put)


async def in_parallel(
    stage: Stage,
    what: str,
    items: Iterable[T],
    work: Callable[[Connection, T], Awaitable[R]],
) -> list[R]:
    """Return the results of *work* on every item; a few run at a time, each on its connection."""
    waiting = list(enumerate(items))
    advance = stage.progress.step(what, len(waiting))
    results: dict[int, R] = {}
    queue = iter(waiting)

    async def worker(number: int) -> None:
        line = await connect(stage.address_for(number))
        try:
            for index, item in queue:
                results[index] = await work(line, item)
                advance()
        finally:
            line.abort()

    await asyncio.gather(*map(worker, range(min(_AT_A_TIME, len(waiting)))))
    return [results[index] for index, _ in waiting]


async def timed(
    stage: Stage,
    what: str,
    unit: str,
    items: Sequence[T],
    request: Callable[[T], bytes],
    check: Callable[[T, bytes], None] = lambda _item, _answer: None,
) -> list[Measurement]:
    """Send the *request* of every item and *check* its answer; return the measurement of it all."""
    latencies: list[float] = []

    async def ask(line: Connection, item: T) -> None:
        began = perf_counter()
        answer = await line.ask(request(item))
        latencies.append(perf_counter() - began)
        check(item, answer)

    with stage.meter.running():
        await in_parallel(stage, what, items, ask)
    return [Measurement("", unit, len(items), stage.meter.usage, Latency.of(latencies))]
