"""The users who were visible to each viewer, in a SQL database."""

from collections.abc import Callable, Mapping

import pytest

from lamplighter.database.engine import Database
from lamplighter.database.visibility import SqlVisibilityStore
from lamplighter.errors import StorageUnavailable
from lamplighter.ids import UserId
from tests.database.trouble import forbid_writing
from tests.routing.people import ALICE, BOB, CHARLIE


def saying(contents: Mapping[UserId, bytes]) -> Callable[[UserId, bytes | None], bytes | None]:
    """Return what keeps *contents*, whatever is kept."""
    return lambda viewer, _kept: contents.get(viewer)


async def test_what_is_saved_is_loaded(database: Database) -> None:
    """The newest content of each viewer is there after a restart; who is forgotten is gone."""
    store = SqlVisibilityStore(database)
    assert await store.load() == {}
    await store.update([ALICE, BOB], saying({ALICE: b'{"a":1}', BOB: b"{}"}))
    await store.update([ALICE, BOB, CHARLIE], saying({ALICE: b'{"a":2}'}))
    assert await SqlVisibilityStore(database).load() == {ALICE: b'{"a":2}'}
    assert [await store.of(it) for it in (ALICE, BOB)] == [b'{"a":2}', None]


async def test_what_is_kept_is_added_to(database: Database) -> None:
    """What is to be kept follows from what is kept, however many viewers there are at a time."""
    store = SqlVisibilityStore(database)
    viewers = [UserId(f"@user{number}:demo") for number in range(2_500)]

    def one_more(_viewer: UserId, kept: bytes | None) -> bytes:
        return (kept or b"") + b"x"

    await store.update(viewers[:2_000], one_more)
    await store.update(viewers, one_more)
    expected = dict.fromkeys(viewers[:2_000], b"xx") | dict.fromkeys(viewers[2_000:], b"x")
    assert await store.load() == expected


async def test_the_first_to_begin(database: Database) -> None:
    """What is kept first stays, and whoever comes later is told of it."""
    store = SqlVisibilityStore(database)
    assert await store.begin(ALICE, b"one") == b"one"
    assert await store.begin(ALICE, b"other") == b"one"
    assert await store.load() == {ALICE: b"one"}


async def test_nothing_to_save(database: Database) -> None:
    """To save nothing is no work."""
    store = SqlVisibilityStore(database)
    await store.update([], saying({}))
    assert await store.load() == {}


async def test_a_disk_that_is_full(file_database: Database) -> None:
    """`update` raises `StorageUnavailable` if it cannot write."""
    store = SqlVisibilityStore(file_database)
    await forbid_writing(file_database)
    with pytest.raises(StorageUnavailable):
        await store.update([ALICE], saying({ALICE: b"{}"}))
