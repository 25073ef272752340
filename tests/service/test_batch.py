"""The changes of one turn of the loop, on their way."""

import asyncio

import pytest

from lamplighter.errors import StorageUnavailable
from lamplighter.service.batch import ChangeBatch, done


def failed(error: Exception) -> "asyncio.Future[None]":
    """Return what has failed."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.set_exception(error)
    return future


def cancelled() -> "asyncio.Future[None]":
    """Return what was given up."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.cancel()
    return future


async def test_how_saving_ends() -> None:
    """A batch is lost unless saving it is done; a batch for which nobody waits any more is, too."""
    endings = [done(), failed(StorageUnavailable("full")), cancelled(), done()]
    batches = [ChangeBatch() for _ in endings]
    batches[3].saved.cancel()
    assert (batches[0].saved.done(), batches[0].is_lost) == (False, False)
    for batch, saving in zip(batches, endings, strict=True):
        batch.saved_by(saving)
    assert [batch.is_lost for batch in batches] == [False, True, True, True]
    assert [batch.saved.cancelled() for batch in batches] == [False, False, True, True]
    await batches[0].saved
    with pytest.raises(StorageUnavailable, match="full"):
        await batches[1].saved


async def test_nobody_waits_for_a_lost_batch() -> None:
    """A batch that is lost costs no warning if nobody waits for it."""
    ChangeBatch().saved_by(failed(StorageUnavailable("full")))
