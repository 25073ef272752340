"""Receipts that come together are written together."""

import asyncio

from lamplighter.database.memory import open_memory
from lamplighter.errors import NotFound
from lamplighter.homeserver.values import Receipt
from tests.contract.directories import ALICE, subject_in


async def test_one_transaction_for_many() -> None:
    """The receipts of a hundred members at once are one transaction, and one piece of news.

    One that is refused costs the others nothing.
    """
    async with subject_in(open_memory()) as tested:
        directory = tested.directory
        people = await tested.users("alice", *(f"u{number}" for number in range(99)))
        room = await tested.room(ALICE, *people[1:])
        event_id = await tested.say(ALICE, room, "Tea?")
        tested.recorder.forget()
        wrong = directory.set_receipt(ALICE, room, Receipt("$no"))
        right = [directory.set_receipt(it, room, Receipt(event_id)) for it in people]
        results = await asyncio.gather(*right, wrong, return_exceptions=True)
        assert results[:-1] == [None] * 100
        assert isinstance(results[-1], NotFound)
        assert tested.recorder.news == [set(people)]
        told = (await tested.sync(ALICE)).rooms["join"][room]["ephemeral"]["events"]
        assert told[0]["content"][event_id]["m.read"].keys() == set(people)
