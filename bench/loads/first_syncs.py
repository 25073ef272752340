"""The first sync of people who share a room with many who are online."""

from dataclasses import dataclass

from bench.errors import BenchError
from bench.matrix import Account, first_sync_request, read_sync
from bench.measuring import Measurement
from bench.shapes import Shape
from bench.stage import Stage, people, settle_in, timed

__all__ = ["FirstSyncs"]


@dataclass(frozen=True)
class FirstSyncs:
    """The first *count* users of *shape* make their first sync; all users are online."""

    shape: Shape
    count: int

    async def run(self, stage: Stage) -> list[Measurement]:
        accounts = await people(stage, self.shape)
        await settle_in(stage, accounts, self.shape.client)

        def sync(account: Account) -> bytes:
            return first_sync_request(account, self.shape.client)

        asking = accounts[: self.count]
        return await timed(stage, "first syncs", "first sync", asking, sync, self._check)

    def _check(self, account: Account, answer: bytes) -> None:
        """Raise `BenchError` unless everybody else is in the answer, online."""
        events = read_sync(answer).presence.events
        online = {it.sender for it in events if it.content.presence == "online"}
        missing = self.shape.users - len(online | {account.user_id})
        if missing:
            raise BenchError(f"{account.user_id} is not shown {missing} who are online")
