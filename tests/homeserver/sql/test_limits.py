"""How much one room and one user may hold."""

from collections.abc import AsyncIterator, Awaitable

import pytest

from lamplighter.database.memory import open_memory
from lamplighter.errors import Forbidden, RequestError, TooLarge
from lamplighter.ids import RoomAlias
from tests.contract.directories import ALICE, Subject, on_phone, subject_in
from tests.database.bulk import repeat_last_event


@pytest.fixture
async def tested() -> AsyncIterator[Subject]:
    """A directory in which alice lives."""
    async with subject_in(open_memory(), "alice") as tested:
        yield tested


async def refusal(doing: Awaitable[object]) -> str:
    """Return what is said of something that is too much."""
    try:
        await doing
    except (TooLarge, Forbidden) as error:
        return str(error)
    raise AssertionError("it was not refused")


async def test_an_event_as_a_whole(tested: Subject) -> None:
    """Content, names and IDs together are 65,536 bytes at most."""
    room = await tested.room(ALICE)
    directory, phone = tested.directory, on_phone(ALICE)
    content = {"body": "x" * 64_000}
    await directory.send_event(phone, room, "m.room.message", content, "1")
    content = {"body": "x" * 65_400}
    said = await refusal(directory.send_event(phone, room, "m" * 200, content, "2"))
    assert said.startswith("event: 65")
    assert said.endswith(" bytes, where 65536 are allowed")


async def test_the_number_of_state_entries(tested: Subject) -> None:
    """A room has 2,000 pieces of state, and each can still be changed."""
    room = await tested.room(ALICE)
    await tested.directory.set_state(ALICE, room, "m.test", "1", {})
    present = len(list(await tested.directory.state(ALICE, room))) - 1  # without the membership
    await repeat_last_event(tested.database, 1_999 - present)
    await tested.directory.set_state(ALICE, room, "m.test", "last", {})
    said = await refusal(tested.directory.set_state(ALICE, room, "m.test", "more", {}))
    assert said == "state: the room has 2000 entries already"
    await tested.directory.set_state(ALICE, room, "m.test", "1", {"changed": True})
    assert len(list(await tested.directory.state(ALICE, room))) == 2_001


async def test_the_size_of_state(tested: Subject) -> None:
    """All state of a room together is 1 MiB at most; what is refused leaves nothing behind."""
    room = await tested.room(ALICE)
    large = {"text": "é" * 30_000}
    said, number = "", 0
    while not said:
        try:
            await tested.directory.set_state(ALICE, room, "m.test", str(number), large)
        except RequestError as error:
            said = str(error)
        number += 1
    state = await tested.directory.state(ALICE, room)
    kept = sum(event["type"] == "m.test" for event in state)
    assert (number, kept) == (18, 17)
    assert said.startswith("state: 10")
    assert said.endswith(" bytes, where a room may have 1048576")


async def test_what_a_membership_says(tested: Subject) -> None:
    """A membership holds 8 KiB: every member of a room gets those of all."""
    room = await tested.room(ALICE)
    content = {"membership": "join", "extra": "x" * 8_200}
    said = await refusal(tested.directory.set_state(ALICE, room, "m.room.member", ALICE, content))
    assert said == "content: m.room.member may have 8192 bytes"


async def test_the_size_of_account_data(tested: Subject) -> None:
    """A user's account data are 1 MiB at most, in all rooms together."""
    large = {"text": "x" * 60_000}
    for number in range(17):
        await tested.directory.set_account_data(ALICE, None, f"m.{number}", large)
    said = await refusal(tested.directory.set_account_data(ALICE, None, "m.17", large))
    assert said.startswith("account data: 10")
    await tested.directory.set_account_data(ALICE, None, "m.16", {})
    await tested.directory.set_account_data(ALICE, None, "m.17", large)


async def test_the_size_of_filters(tested: Subject) -> None:
    """A user's filters are 1 MiB at most."""
    for number in range(17):
        await tested.directory.save_filter(ALICE, {"n": number, "text": "x" * 60_000})
    said = await refusal(tested.directory.save_filter(ALICE, {"text": "x" * 60_000}))
    assert said.startswith("filters: 10")


async def test_the_number_of_aliases(tested: Subject) -> None:
    """A user gives 200 aliases, and another one once they have deleted one."""
    room = await tested.room(ALICE)
    for number in range(200):
        await tested.directory.set_alias(ALICE, RoomAlias(f"#{number}:lamp.test"), room)
    more = RoomAlias("#more:lamp.test")
    said = await refusal(tested.directory.set_alias(ALICE, more, room))
    assert said == "You have given 200 aliases already: delete one first"
    await tested.directory.delete_alias(ALICE, RoomAlias("#0:lamp.test"))
    await tested.directory.set_alias(ALICE, more, room)
