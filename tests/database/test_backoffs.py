"""Back-offs in a SQL database."""

import pytest

from lamplighter.clock import Timestamp
from lamplighter.database.backoffs import SqlBackoffStore
from lamplighter.database.engine import Database
from lamplighter.errors import StorageUnavailable
from lamplighter.ids import ServerName
from lamplighter.ports import BackoffState
from tests.database.trouble import forbid_writing

DEAD = ServerName("dead.test")
SLOW = ServerName("slow.test:8448")


async def test_what_is_saved_is_loaded(database: Database) -> None:
    """The newest state of each server is there after a restart."""
    store = SqlBackoffStore(database)
    assert await store.load() == {}
    await store.save(DEAD, BackoffState(1, Timestamp(1_000)))
    await store.save(SLOW, BackoffState(1, Timestamp(1_500)))
    await store.save(DEAD, BackoffState(2, Timestamp(3_000)))
    assert await SqlBackoffStore(database).load() == {
        DEAD: BackoffState(2, Timestamp(3_000)),
        SLOW: BackoffState(1, Timestamp(1_500)),
    }


async def test_a_server_that_answers_again(database: Database) -> None:
    """A server that is forgotten is gone, and the others stay."""
    store = SqlBackoffStore(database)
    await store.save(DEAD, BackoffState(1, Timestamp(1_000)))
    await store.save(SLOW, BackoffState(1, Timestamp(1_500)))
    await store.save(DEAD, None)
    assert await store.load() == {SLOW: BackoffState(1, Timestamp(1_500))}


async def test_a_disk_that_is_full(file_database: Database) -> None:
    """`save` raises `StorageUnavailable` if it cannot write."""
    await forbid_writing(file_database)
    with pytest.raises(StorageUnavailable):
        await SqlBackoffStore(file_database).save(DEAD, BackoffState(1, Timestamp(1_000)))
