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


async def test_saved() -> None:
    """A batch is saved once that which saves it is done."""
    batch = ChangeBatch()
    assert (batch.saved.done(), batch.is_lost) == (False, False)
    batch.saved_by(done())
    assert (batch.saved.done(), batch.is_lost) == (True, False)
    await batch.saved


async def test_lost() -> None:
    """Whoever waits for a batch that cannot be saved is told; it may be that nobody waits."""
    batch, unattended = ChangeBatch(), ChangeBatch()
    batch.saved_by(failed(StorageUnavailable("full")))
    unattended.saved_by(failed(StorageUnavailable("full")))
    assert batch.is_lost
    with pytest.raises(StorageUnavailable, match="full"):
        await batch.saved


async def test_given_up() -> None:
    """A batch whose saving was given up is lost."""
    batch = ChangeBatch()
    batch.saved_by(cancelled())
    assert (batch.saved.cancelled(), batch.is_lost) == (True, True)


async def test_nobody_waits_any_more() -> None:
    """Where those who waited have taken the future along, nothing is left to tell."""
    batch = ChangeBatch()
    batch.saved.cancel()
    batch.saved_by(done())
    assert batch.is_lost
