"""Uploaded filters that polls name."""

import gc
import tracemalloc

import msgspec
import pytest

from lamplighter.errors import InvalidParam, NotFound
from lamplighter.ids import DeviceId, UserId
from lamplighter.ports import Json, PendingRooms, Requester, RequestHead, SyncRequest
from lamplighter.web.client.filters import ALL_PRESENCE, PresenceFilter
from lamplighter.web.client.filters_in_use import MOST_OF_A_USER, FiltersInUse

ALICE, BOB = UserId("@alice:demo"), UserId("@bob:demo")


class Uploaded:
    """A `RoomsHalf` of filters by user and ID, read anew each time as from a database."""

    def __init__(self, filters: dict[tuple[UserId, str], Json]) -> None:
        self._filters = {key: msgspec.json.encode(filter_) for key, filter_ in filters.items()}

    def begin(self, requester: Requester, request: SyncRequest, head: RequestHead) -> PendingRooms:
        raise AssertionError("nobody polls here")

    async def filter(
        self, requester: Requester, request: SyncRequest, head: RequestHead, filter_id: str
    ) -> Json:
        try:
            definition: Json = msgspec.json.decode(self._filters[requester.user_id, filter_id])
        except KeyError:
            raise NotFound("There is no such filter") from None
        return definition


async def look_up(filters: FiltersInUse, user_id: UserId, filter_id: str) -> PresenceFilter:
    """Look the user's filter up, as for a poll of theirs."""
    requester = Requester(user_id, DeviceId("PHONE"))
    return await filters.look_up(requester, SyncRequest(), RequestHead(), filter_id)


def in_use(filters: dict[tuple[UserId, str], Json], most_bytes: int = 10**6) -> FiltersInUse:
    """Return what knows those that were looked up."""
    return FiltersInUse(Uploaded(filters), most_bytes=most_bytes)


async def test_a_filter_is_known_once_it_was_looked_up() -> None:
    """The first look-up asks the accounts; afterwards the filter is known at once."""
    filters = in_use({(ALICE, "1"): {"presence": {"limit": 3}}})
    assert filters.known(ALICE, "1") is None
    found = await look_up(filters, ALICE, "1")
    assert found == PresenceFilter(limit=3)
    assert filters.known(ALICE, "1") is found


async def test_a_filter_belongs_to_its_user() -> None:
    """Bob is not given alice's filter by its ID, whether or not alice uses it; he gets his own."""
    filters = in_use({(ALICE, "1"): {}, (ALICE, "2"): {}, (BOB, "2"): {"presence": {"limit": 1}}})
    for filter_id in ("1", "2"):
        await look_up(filters, ALICE, filter_id)
        assert filters.known(BOB, filter_id) is None
    with pytest.raises(InvalidParam, match=r"^filter: no filter has this ID$"):
        await look_up(filters, BOB, "1")
    assert (await look_up(filters, BOB, "2")).limit == 1
    assert filters.known(ALICE, "2") == ALL_PRESENCE


async def test_what_does_not_exist_takes_no_memory() -> None:
    """IDs that name no filter are not remembered, however many are asked for."""
    filters = in_use({})
    for number in range(100):
        with pytest.raises(InvalidParam):
            await look_up(filters, ALICE, str(number))
    assert filters.bytes == 0


async def test_equal_filters_are_one() -> None:
    """Filters that say the same of presence are understood once, and count once."""
    users = [UserId(f"@user{number}:demo") for number in range(50)]
    definition = {"presence": {"types": ["m.presence"], "not_types": ["x" * 4000]}}
    filters = in_use({(it, "1"): {**definition, "room": {"rooms": [it]}} for it in users})
    first = await look_up(filters, users[0], "1")
    of_one = filters.bytes
    for user_id in users[1:]:
        assert await look_up(filters, user_id, "1") is first
    assert filters.bytes < 2 * of_one


async def test_a_user_has_few() -> None:
    """Of one user's filters the one that was looked up first goes first, and only theirs."""
    many = {(ALICE, str(number)): {"n": number} for number in range(MOST_OF_A_USER + 1)}
    filters = in_use(many | {(BOB, "1"): {}})
    await look_up(filters, BOB, "1")
    for _, filter_id in many:
        await look_up(filters, ALICE, filter_id)
    known = [number for number in range(MOST_OF_A_USER + 1) if filters.known(ALICE, str(number))]
    assert known == list(range(1, MOST_OF_A_USER + 1))
    assert filters.known(BOB, "1") == ALL_PRESENCE


async def test_memory_is_bounded() -> None:
    """All of them take so many bytes at most; who polled longest ago is forgotten first."""
    users = [UserId(f"@user{number}:demo") for number in range(100)]
    filters = in_use(
        {(it, "1"): {"presence": {"not_senders": [it], "not_types": ["y" * 1000]}} for it in users},
        10 * 30_000,
    )
    for user_id in users:
        await look_up(filters, user_id, "1")
        assert filters.known(users[0], "1")  # who polls all the time
        assert filters.bytes <= 10 * 30_000
    known = [user_id for user_id in users if filters.known(user_id, "1")]
    assert known == [users[0], *users[-len(known) + 1 :]]
    assert len(known) > 5


async def test_all_that_is_forgotten_gives_its_memory_back() -> None:
    """Filters come and go, shared ones too, and what they took comes back to nothing."""
    users = [UserId(f"@user{number}:demo") for number in range(30)]
    uploaded = {
        (it, name): {"presence": {"limit": int(name)}} for it in users for name in ("1", "2")
    }
    filters = in_use(uploaded, most_bytes=0)
    for user_id, filter_id in uploaded:
        await look_up(filters, user_id, filter_id)
    assert filters.bytes == 0
    assert not any(filters.known(*key) for key in uploaded)


async def test_very_long_filters() -> None:
    """A filter of more than 16 KiB is used, and looked up each time."""
    filters = in_use({(ALICE, "1"): {"presence": {"types": ["x" * 20_000]}}})
    assert not (await look_up(filters, ALICE, "1")).wanted
    assert (filters.known(ALICE, "1"), filters.bytes) == (None, 0)


async def test_two_polls_at_once() -> None:
    """A filter that two polls look up at the same time is kept once."""
    filters = in_use({(ALICE, "1"): {}})
    await look_up(filters, ALICE, "1")
    taken = filters.bytes
    await look_up(filters, ALICE, "1")
    assert filters.bytes == taken


def _ids(sigil: str, count: int) -> list[str]:
    return [f"{sigil}{number}:a.b" for number in range(count)]


@pytest.mark.parametrize(
    "definition",
    [
        {"presence": {"senders": _ids("@", 1_300)}},
        {"presence": {"not_senders": _ids("@", 1_300)}},
        {"presence": {"types": ["m.presence"], "not_types": ["x" * 16_000]}},
        {},
    ],
    ids=["senders", "not senders", "types", "nothing"],
)
async def test_no_filter_takes_more_than_is_reckoned(definition: Json) -> None:
    """What a filter takes in memory is never more than what it counts for."""
    assert len(msgspec.json.encode(definition)) < 16_384
    filters = in_use({(ALICE, "1"): definition})
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        await look_up(filters, ALICE, "1")
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert filters.known(ALICE, "1") is not None
    assert after - before <= filters.bytes
