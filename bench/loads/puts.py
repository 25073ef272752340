"""Durable changes that nobody watches."""

from dataclasses import dataclass
from time import perf_counter

from bench.http import Connection
from bench.matrix import put_request
from bench.measuring import Latency, Measurement
from bench.shapes import Shape
from bench.stage import Stage, in_parallel, people, settle_in

__all__ = ["Puts"]


@dataclass(frozen=True)
class Puts:
    """The users of *shape* send `PUT /presence/{userId}/status` in turn, *count* times in all.

    The server answers each one once it is durable.
    """

    count: int
    shape: Shape

    async def run(self, stage: Stage) -> list[Measurement]:
        client = self.shape.client
        accounts = await people(stage, self.shape)
        await settle_in(stage, accounts, client)
        latencies: list[float] = []

        async def put(line: Connection, number: int) -> None:
            began = perf_counter()
            await line.ask(put_request(accounts[number % len(accounts)], client, str(number)))
            latencies.append(perf_counter() - began)

        with stage.meter.running():
            await in_parallel(stage, "changes", range(self.count), put)
        usage, latency = stage.meter.usage, Latency.of(latencies)
        return [Measurement("", "PUT", self.count, usage, latency)]
