"""Durable changes that nobody watches."""

from dataclasses import dataclass

from bench.matrix import put_request
from bench.measuring import Measurement
from bench.shapes import Shape
from bench.stage import Stage, people, settle_in, timed

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

        def put(number: int) -> bytes:
            return put_request(accounts[number % len(accounts)], client, str(number))

        return await timed(stage, "changes", "PUT", range(self.count), put)
