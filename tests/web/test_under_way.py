"""Requests under way: counted, waited for, and cut off."""

import asyncio

import pytest
from starlette.types import Receive, Scope, Send

from lamplighter.web.application import send_json
from lamplighter.web.under_way import UnderWay
from tests.web.clients import client_of


class Kitchen:
    """Answers each request once it is told to."""

    def __init__(self) -> None:
        self.begun = 0
        self.ready = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.begun += 1
        await self.ready.wait()
        await send_json(send, 200, b"{}")


async def turn() -> None:
    """Let everything run that can."""
    for _ in range(10):
        await asyncio.to_thread(lambda: None)


async def test_waiting_for_requests() -> None:
    """`ended` returns at once without requests, and with some only when they are answered."""
    kitchen = Kitchen()
    application = UnderWay(kitchen)
    await application.ended()
    exchanges = [client_of(application).begin("GET", "/") for _ in range(2)]
    await turn()
    ended = asyncio.ensure_future(application.ended())
    await turn()
    assert (kitchen.begun, ended.done()) == (2, False)
    kitchen.ready.set()
    await ended
    assert [(await exchange.response()).status for exchange in exchanges] == [200, 200]


async def test_cutting_off() -> None:
    """A request that is cut off is answered: the server shuts down."""
    application = UnderWay(Kitchen())
    exchange = client_of(application).begin("GET", "/")
    await turn()
    application.cut_off()
    await application.ended()
    response = await exchange.response()
    assert (response.status, response.json["errcode"]) == (503, "M_UNKNOWN")


async def test_who_else_cancels() -> None:
    """A request that somebody else cancels is not answered for that."""
    sent: list[object] = []

    async def receive() -> dict[str, object]:
        raise AssertionError("nobody reads")

    async def send(message: object) -> None:
        sent.append(message)

    application = UnderWay(Kitchen())
    scope = {"type": "http", "method": "GET", "path": "/"}
    task = asyncio.ensure_future(application(scope, receive, send))
    await turn()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sent == []
