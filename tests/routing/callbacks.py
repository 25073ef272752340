"""Callbacks of modules, as tests need them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from lamplighter.clock import next_turn

Act = Callable[[Any], Awaitable[object]]


def answering(answer: object) -> Act:
    """Return a callback that answers at once."""

    async def act(asked: Any) -> object:
        return answer

    return act


def raising(error: BaseException) -> Act:
    """Return a callback that raises."""

    async def act(asked: Any) -> object:
        raise error

    return act


def raising_at_once(error: BaseException) -> Act:
    """Return a callback that raises when it is called, before there is anything to await."""

    def act(asked: Any) -> Awaitable[object]:
        raise error

    return act


def not_async(answer: object) -> Any:
    """Return a callback that is not async."""
    return lambda asked: answer


class Thinking:
    """A callback that answers when the test calls `answer`; `asked` has the questions."""

    def __init__(self, *, stubborn: bool = False) -> None:
        self.asked: list[Any] = []
        self.cancelled = 0
        self._stubborn = stubborn
        self._answers: list[asyncio.Future[object]] = []

    async def __call__(self, asked: Any) -> object:
        self.asked.append(asked)
        answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._answers.append(answer)
        while True:
            try:
                return await asyncio.shield(answer)
            except asyncio.CancelledError:
                self.cancelled += 1
                if not self._stubborn:
                    raise

    def forget(self) -> None:
        """Never answer the open questions."""
        self._answers.clear()

    def answer(self, answer: object) -> None:
        """Answer the oldest open question."""
        self._answers.pop(0).set_result(answer)


async def turns(count: int = 6) -> None:
    """Let the event loop run *count* times."""
    for _ in range(count):
        await next_turn()
