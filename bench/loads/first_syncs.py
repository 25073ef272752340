"""First syncs: of people who share a room with many who are online, and of one in many rooms."""

from dataclasses import dataclass

from bench.errors import BenchError
from bench.matrix import Account, first_sync_request, read_sync, say
from bench.measuring import Measurement
from bench.shapes import Shape
from bench.stage import Stage, in_parallel, people, people_in_rooms, settle_in, timed

__all__ = ["FirstSyncs", "FirstSyncsOfOne"]


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


@dataclass(frozen=True)
class FirstSyncsOfOne:
    """The first user of *shape* makes *count* first syncs; all users are online.

    In each room the members have said *messages* before.
    """

    shape: Shape
    count: int
    messages: int

    async def run(self, stage: Stage) -> list[Measurement]:
        accounts, rooms = await people_in_rooms(stage, self.shape)
        said = [
            (accounts[members[number % len(members)]], room_id, f"message-{number}")
            for room_id, members in zip(rooms, self.shape.rooms, strict=True)
            for number in range(self.messages)
        ]
        await in_parallel(stage, "talking", said, lambda line, it: say(line, *it))
        await settle_in(stage, accounts, self.shape.client)

        def sync(account: Account) -> bytes:
            return first_sync_request(account, self.shape.client)

        asking = accounts[:1] * self.count
        return await timed(stage, "first syncs", "first sync", asking, sync, self._check)

    def _check(self, _account: Account, answer: bytes) -> None:
        """Raise `BenchError` unless all who share a room are in the answer."""
        shown = len(read_sync(answer).presence.events)
        expected = len({member for room in self.shape.rooms for member in room})
        if shown != expected:
            raise BenchError(f"the first user is shown {shown} users, not {expected}")
