"""Clients that come back with their since token."""

from dataclasses import dataclass
from time import perf_counter

from bench.http import Connection
from bench.ledger import Ledger
from bench.loads.changes import PATIENCE
from bench.matrix import first_sync, polls_of, put_request, read_sync
from bench.measuring import Measurement
from bench.party import MatrixParty, MatrixWire, connect_one
from bench.shapes import Shape
from bench.stage import Stage, in_parallel, people, settle_in, timed
from bench.waiting import pause

__all__ = ["Churn", "Reconnect"]


@dataclass(frozen=True)
class Churn:
    """All watchers leave at once and return within *seconds*.

    Every publisher has changed meanwhile, so each watcher who returns has something to receive.
    """

    shape: Shape
    seconds: float

    async def run(self, stage: Stage) -> list[Measurement]:
        ledger = Ledger(self.shape.audiences())
        party = await MatrixWire().gather(stage, self.shape, ledger)
        try:
            self._change(party)
            await ledger.settled(PATIENCE)
            poll_bytes = (stage.meter.resident - party.resident_before) / party.polls
            ledger.start_anew()
            with stage.meter.running():
                for watcher in party.watchers:
                    watcher.leave()
                self._change(party)
                advance = stage.progress.step("returning", party.polls)
                began = perf_counter()
                for index, watcher in enumerate(party.watchers):
                    await pause(began + index * self.seconds / party.polls - perf_counter())
                    watcher.poll_on(await connect_one(stage, index))
                    advance()
                await ledger.settled(PATIENCE)
        finally:
            party.leave()
        usage = stage.meter.usage
        return [Measurement("", "return", party.polls, usage, None, party.polls, poll_bytes)]

    def _change(self, party: MatrixParty) -> None:
        for publisher in self.shape.publishers:
            party.change(publisher)


@dataclass(frozen=True)
class Reconnect:
    """The members of the first room sync once, without waiting, with the token of their last poll.

    Everybody in the second room has changed meanwhile, and nobody in the first.
    """

    shape: Shape
    changes: int

    async def run(self, stage: Stage) -> list[Measurement]:
        (returning, elsewhere), client = self.shape.rooms, self.shape.client
        accounts = await people(stage, self.shape)
        await settle_in(stage, accounts, client)

        async def leave(line: Connection, number: int) -> bytes:
            since = await first_sync(line, accounts[number], client)
            polls = await polls_of(line, accounts[number], client, timeout_ms=0)
            # A client that returns has polled before, so the server knows its filter.
            return polls.since(read_sync(await line.ask(polls.since(since))).next_batch)

        async def change(line: Connection, word: int) -> None:
            account = accounts[elsewhere[word % len(elsewhere)]]
            await line.ask(put_request(account, client, str(word)))

        requests = await in_parallel(stage, "first syncs", returning, leave)
        await in_parallel(stage, "changes elsewhere", range(self.changes), change)
        return await timed(stage, "returning", "return", requests, lambda it: it)
