"""The client of `make chaos` asks again where faults are the reason, and gives up where none is."""

from collections.abc import AsyncIterator
from random import Random  # noqa: TID251 - seeded: it has one node to choose

import aiohttp
import pytest
from aiohttp import web

from tests.chaos.client import Client, Refusals, Refused

AWAY = web.HTTPServiceUnavailable(text='{"errcode": "M_UNKNOWN"}')


class Node:
    """A node that gives the answers of a list, the last one for ever."""

    def __init__(self) -> None:
        self.answers = list[web.Response | web.HTTPException]()
        self.asked = 0

    async def answer(self, _request: web.Request) -> web.Response:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return web.Response(status=answer.status, text=answer.text)


@pytest.fixture
def node() -> Node:
    """A node."""
    return Node()


@pytest.fixture
async def client(node: Node) -> AsyncIterator[Client]:
    """A client of that node."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", node.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0]
    async with aiohttp.ClientSession() as http:
        yield Client(http, [f"http://{host}:{port}"], Refusals(), Random(1))
    await runner.cleanup()


async def test_asks_again(node: Node, client: Client) -> None:
    """A 503 is no mistake: the client asks until it is done."""
    node.answers = [AWAY, web.Response(text='{"room_id": "!room:demo"}')]
    assert await client.insist("POST", "createRoom", {}) == {"room_id": "!room:demo"}
    assert (node.asked, client.refusals.found) == (2, [])


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (403, '{"errcode": "M_FORBIDDEN"}'),
        (503, '{"errcode": "M_UNAVAILABLE"}'),
        (500, "Internal Server Error"),
    ],
)
async def test_gives_up(node: Node, client: Client, status: int, text: str) -> None:
    """An answer that no fault explains ends what the client does, and is noted with its body."""
    node.answers = [AWAY, web.Response(status=status, text=text)]
    with pytest.raises(Refused):
        await client.carry_out("leave")
    [found] = client.refusals.found
    assert f": {status} " in found
    assert text.strip('{"}').split('"')[-1] in found


async def test_what_was_done_before(node: Node, client: Client) -> None:
    """A refusal of what an earlier try may have done is no mistake."""
    node.answers = [web.Response(status=403, text='{"errcode": "M_FORBIDDEN"}')]
    await client.carry_out("leave", may=frozenset({403}))
    assert client.refusals.found == []
