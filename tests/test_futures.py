"""Futures for which somebody waits, who may have gone."""

import asyncio

import pytest

from lamplighter.futures import fail, finish, retrieve, settle


def waiting() -> "asyncio.Future[None]":
    """Return what nothing has happened to."""
    return asyncio.get_running_loop().create_future()


def gone() -> "asyncio.Future[None]":
    """Return what somebody waited for who has gone."""
    future = waiting()
    future.cancel()
    return future


def failed(error: Exception) -> "asyncio.Future[None]":
    """Return what has failed."""
    future = waiting()
    future.set_exception(error)
    return future


def ending(future: "asyncio.Future[None]") -> object:
    """Return how a future has ended."""
    if not future.done():
        return "waits"
    return "gone" if future.cancelled() else future.exception()


async def test_the_first_end_counts() -> None:
    """What is done stays as it is, whoever waited for it or has gone."""
    first, second = OSError("first"), OSError("second")
    for end in (finish, lambda it: fail(it, second), lambda it: settle(it, failed(second))):
        done = [waiting(), failed(first), gone()]
        finish(done[0])
        for future in done:
            end(future)
        assert [ending(it) for it in done] == [None, first, "gone"]


async def test_ends() -> None:
    """Whoever waits gets the result, or the failure."""
    one, other = waiting(), waiting()
    finish(one)
    await one
    fail(other, OSError("full"))
    with pytest.raises(OSError, match="full"):
        await other


async def test_ending_as_something_else_has() -> None:
    """What waits for work ends as the work does: it is done, has failed, or was given up."""
    error = OSError("full")
    done = waiting()
    finish(done)
    ends = [waiting() for _ in range(3)]
    for end, work in zip(ends, (done, failed(error), gone()), strict=True):
        settle(end, work)
    assert [ending(it) for it in ends] == [None, error, "gone"]


async def test_nobody_waits() -> None:
    """A failure that nobody waits for costs no warning."""
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, it: complaints.append(it))
    fail(waiting(), OSError("full"))
    settle(waiting(), failed(OSError("full")))
    retrieve(failed(OSError("full")))
    retrieve(gone())
    assert complaints == []
    failed(OSError("full"))
    assert len(complaints) == 1
