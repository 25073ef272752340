"""The changes of one turn of the loop, on their way."""

import asyncio

from lamplighter.errors import StorageUnavailable
from lamplighter.futures import fail, finish
from lamplighter.service.batch import ChangeBatch, done


async def test_how_saving_ends() -> None:
    """A batch is lost once it is known that it is not saved; or if nobody waits for it any more."""
    under_way, saved, failed, given_up = (ChangeBatch() for _ in range(4))
    finish(saved.saved)
    fail(failed.saved, StorageUnavailable("full"))
    given_up.saved.cancel()
    batches = (under_way, saved, failed, given_up)
    assert [batch.is_lost for batch in batches] == [False, False, True, True]


async def test_what_is_done_already() -> None:
    """Where nothing is to be done, it is done at once."""
    await asyncio.wait_for(done(), 0)
