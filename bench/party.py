"""The users of a shape over Matrix, on long polls."""

from collections.abc import Sequence
from typing import Final

from bench.http import Connection, connect
from bench.ledger import Ledger
from bench.matrix import Account, first_sync, polls_of
from bench.publishers import CONNECTIONS, Publishers
from bench.shapes import Shape
from bench.stage import Stage, in_parallel, numbers_of, people, settle_in
from bench.watcher import Watcher

__all__ = [
    "TIMEOUT_MS",
    "MatrixParty",
    "MatrixWire",
    "connect_all",
    "connect_one",
    "gather",
    "make_watchers",
]

#: The time-out of a poll, in milliseconds, as most clients ask for it.
TIMEOUT_MS: Final = 30_000
#: How many connections come from one loopback address: there are 28,000 ephemeral ports.
_PER_SOURCE: Final = 20_000


class MatrixWire:
    """Matrix: `PUT /presence/{userId}/status` and `GET /sync`."""

    async def gather(self, stage: Stage, shape: Shape, ledger: Ledger) -> "MatrixParty":
        return await gather(stage, shape, ledger)


class MatrixParty:
    """Watchers with a poll each, and publishers."""

    def __init__(
        self,
        watchers: Sequence[Watcher],
        publishers: Publishers,
        resident_before: int,
    ) -> None:
        self.polls = len(watchers)
        self.resident_before = resident_before
        self.watchers = watchers
        self._publishers = publishers

    def change(self, publisher: int) -> None:
        self._publishers.change(publisher)

    def leave(self) -> None:
        for watcher in self.watchers:
            watcher.leave()
        self._publishers.leave()


async def gather(stage: Stage, shape: Shape, ledger: Ledger) -> MatrixParty:
    """Create the users of *shape*, and let the watchers poll."""
    accounts = await people(stage, shape)
    await settle_in(stage, accounts, shape.client)
    before = stage.meter.resident
    watchers = await make_watchers(stage, accounts, shape, ledger)
    await connect_all(stage, watchers)
    publishing = {number: accounts[number] for number in shape.publishers}
    lines = [await connect(stage.address) for _ in range(CONNECTIONS)]
    return MatrixParty(watchers, Publishers(publishing, shape.client, lines, ledger), before)


async def make_watchers(
    stage: Stage,
    accounts: Sequence[Account],
    shape: Shape,
    ledger: Ledger,
    timeout_ms: int = TIMEOUT_MS,
) -> list[Watcher]:
    """Return the watchers of *shape*, who have a token and do not poll yet."""
    by_name = numbers_of(accounts)

    async def make(line: Connection, number: int) -> Watcher:
        account = accounts[number]
        since = await first_sync(line, account, shape.client)
        polls = await polls_of(line, account, shape.client, timeout_ms)
        return Watcher(account, polls, since, ledger, by_name)

    return await in_parallel(stage, "first syncs", shape.watchers, make)


async def connect_all(stage: Stage, watchers: Sequence[Watcher]) -> None:
    """Let every watcher poll over a connection of its own."""
    advance = stage.progress.step("connecting polls", len(watchers))
    for index, watcher in enumerate(watchers):
        watcher.poll_on(await connect_one(stage, index))
        advance()


async def connect_one(stage: Stage, index: int) -> Connection:
    """Return a connection for the watcher of that *index*."""
    return await connect(stage.address, f"127.0.0.{1 + index // _PER_SOURCE}")
