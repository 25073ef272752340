"""The requests that the application is answering, so that the server can stop."""

import asyncio
from contextlib import suppress
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from lamplighter.errors import ShuttingDown
from lamplighter.web.application import send_error

__all__ = ["UnderWay"]


class UnderWay:
    """An ASGI application that passes requests on to another one, and knows those in progress."""

    def __init__(self, application: ASGIApp) -> None:
        self._application = application
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_cut_off = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        task = asyncio.current_task()
        assert task is not None  # the server calls an application in a task
        self._tasks.add(task)
        try:
            await self._application(scope, receive, send)
        except asyncio.CancelledError:
            if not self._is_cut_off:
                raise
            with suppress(Exception):  # half of an answer may be sent already
                await send_error(scope, send, ShuttingDown())
        finally:
            self._tasks.discard(task)

    @property
    def count(self) -> int:
        """How many requests are being answered."""
        return len(self._tasks)

    async def ended(self) -> None:
        """Return once no request is being answered."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def cut_off(self) -> None:
        """End the requests that are being answered, each with `ShuttingDown`."""
        self._is_cut_off = True
        for task in self._tasks:
            task.cancel()
