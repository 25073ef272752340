"""The users who were visible to each viewer, in a SQL database."""

import pytest

from lamplighter.database.engine import Database
from lamplighter.database.visibility import SqlVisibilityStore
from lamplighter.errors import StorageUnavailable
from tests.database.trouble import forbid_writing
from tests.routing.people import ALICE, BOB, CHARLIE


async def test_what_is_saved_is_loaded(database: Database) -> None:
    """The newest content of each viewer is there after a restart; who is forgotten is gone."""
    store = SqlVisibilityStore(database)
    assert await store.load() == {}
    await store.save({ALICE: b'{"a":1}', BOB: b"{}"})
    await store.save({ALICE: b'{"a":2}', BOB: None, CHARLIE: None})
    assert await SqlVisibilityStore(database).load() == {ALICE: b'{"a":2}'}


async def test_the_first_to_begin(database: Database) -> None:
    """What is kept first stays, and whoever comes later is told of it."""
    store = SqlVisibilityStore(database)
    assert await store.begin(ALICE, b"one") == b"one"
    assert await store.begin(ALICE, b"other") == b"one"
    assert await store.load() == {ALICE: b"one"}


async def test_nothing_to_save(database: Database) -> None:
    """To save nothing is no work."""
    store = SqlVisibilityStore(database)
    await store.save({})
    assert await store.load() == {}


async def test_a_disk_that_is_full(file_database: Database) -> None:
    """`save` raises `StorageUnavailable` if it cannot write."""
    store = SqlVisibilityStore(file_database)
    await forbid_writing(file_database)
    with pytest.raises(StorageUnavailable):
        await store.save({ALICE: b"{}"})
