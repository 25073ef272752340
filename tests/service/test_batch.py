"""The changes of one turn of the loop, on their way."""

import asyncio

import pytest
from structlog.testing import capture_logs

from lamplighter.errors import StorageUnavailable
from lamplighter.service.batch import Batch, done, log_failure


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
    batch = Batch()
    assert (batch.saved.done(), batch.is_lost) == (False, False)
    batch.saved_by(done())
    assert (batch.saved.done(), batch.is_lost) == (True, False)
    await batch.saved


async def test_lost() -> None:
    """Whoever waits for a batch that cannot be saved is told; it may be that nobody waits."""
    batch, unattended = Batch(), Batch()
    batch.saved_by(failed(StorageUnavailable("full")))
    unattended.saved_by(failed(StorageUnavailable("full")))
    assert batch.is_lost
    with pytest.raises(StorageUnavailable, match="full"):
        await batch.saved


async def test_given_up() -> None:
    """A batch whose saving was given up is lost."""
    batch = Batch()
    batch.saved_by(cancelled())
    assert (batch.saved.cancelled(), batch.is_lost) == (True, True)


async def test_nobody_waits_any_more() -> None:
    """Where those who waited have taken the future along, nothing is left to tell."""
    batch = Batch()
    batch.saved.cancel()
    batch.saved_by(done())
    assert batch.is_lost


async def test_what_the_log_says() -> None:
    """A disk that fails is told elsewhere, once; everything else is a defect."""
    with capture_logs() as logs:
        for work in (done(), cancelled(), failed(StorageUnavailable("full")), failed(ValueError())):
            log_failure(work)
    assert [(line["event"], line["log_level"]) for line in logs] == [
        ("presence could not be saved; it is kept in memory", "debug"),
        ("publishing failed", "error"),
    ]
