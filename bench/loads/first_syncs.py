"""The first sync of people who share a room with many who are online."""

from dataclasses import dataclass
from time import perf_counter

from bench.errors import BenchError
from bench.http import Connection
from bench.matrix import Account, first_sync_request, read_sync
from bench.measuring import Latency, Measurement
from bench.shapes import Shape
from bench.stage import Stage, in_parallel, people, settle_in

__all__ = ["FirstSyncs"]


@dataclass(frozen=True)
class FirstSyncs:
    """The first *count* users of *shape* make their first sync; all users are online."""

    shape: Shape
    count: int

    async def run(self, stage: Stage) -> list[Measurement]:
        accounts = await people(stage, self.shape)
        await settle_in(stage, accounts, self.shape.client)
        latencies: list[float] = []

        async def sync(line: Connection, account: Account) -> None:
            began = perf_counter()
            answer = await line.ask(first_sync_request(account, self.shape.client))
            latencies.append(perf_counter() - began)
            self._check(account, answer)

        with stage.meter.running():
            await in_parallel(stage, "first syncs", accounts[: self.count], sync)
        usage, latency = stage.meter.usage, Latency.of(latencies)
        return [Measurement("", "first sync", self.count, usage, latency)]

    def _check(self, account: Account, answer: bytes) -> None:
        """Raise `BenchError` unless everybody else is in the answer, online."""
        events = read_sync(answer).presence.events
        online = {it.sender for it in events if it.content.presence == "online"}
        missing = self.shape.users - len(online | {account.user_id})
        if missing:
            raise BenchError(f"{account.user_id} is not shown {missing} who are online")
