"""What becomes of a future for which somebody waits, who may have gone meanwhile.

Whoever waits for a future directly cancels it by going: the future is cancelled at once, and the
coroutine that waits learns of it one cycle of the event loop later. So whoever has a result for a
future that it has not made itself looks first whether the future is done.
"""

import asyncio
from typing import Any

__all__ = ["fail", "finish", "retrieve", "settle"]


def finish(waiting: "asyncio.Future[None]") -> None:
    """Let *waiting* be done, unless it is."""
    if not waiting.done():
        waiting.set_result(None)


def fail(waiting: "asyncio.Future[Any]", error: BaseException) -> None:
    """Let *waiting* fail with *error*, unless it is done. Whether anybody waits does not matter."""
    if not waiting.done():
        waiting.set_exception(error)
        retrieve(waiting)


def settle(waiting: "asyncio.Future[None]", work: "asyncio.Future[None]") -> None:
    """Let *waiting* end as *work* has, which is over, unless it is done."""
    if work.cancelled():
        waiting.cancel()
    elif (failure := work.exception()) is not None:
        fail(waiting, failure)
    else:
        finish(waiting)


def retrieve(ended: "asyncio.Future[Any]") -> None:
    """Keep the event loop from complaining that nobody has waited for the failure of *ended*."""
    if not ended.cancelled():
        ended.exception()
