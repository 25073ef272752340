"""A full disk: writes are refused, reads go on, and free space ends the trouble.

A limit on the size of files stands in for a full disk: any user can set it on a running process.
"""

import resource
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp

from tests.interop.clients import Answer, people_at
from tests.interop.conftest import MakeServer
from tests.interop.processes import ServerProcess

REFUSED = Answer(
    503,
    {
        "errcode": "M_UNKNOWN",
        "error": "This server cannot store anything at the moment; try again later",
    },
)


def limit_disk(server: ServerProcess, size: int | None = None) -> None:
    """Let the server write no file beyond *size* bytes; None is no limit."""
    _, hard = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (hard if size is None else size, hard))


@contextmanager
def full_disk(server: ServerProcess) -> Iterator[None]:
    """Fill the disk, for the block."""
    limit_disk(server, 1)
    yield
    limit_disk(server)


async def health(http: aiohttp.ClientSession, server: ServerProcess) -> Answer:
    """Return what load balancers are told."""
    async with http.get(f"{server.url}/health") as response:
        return Answer(response.status, await response.json())


async def test_a_full_disk(make_server: MakeServer, http: aiohttp.ClientSession) -> None:
    """On a full disk the server refuses writes with a clear error, serves reads, and recovers."""
    server = make_server()
    alice, bob = await people_at(server, http, "alice", "bob")
    assert (await alice.put_status("online", "There is room")).status == 200
    assert await health(http, server) == Answer(200, {"status": "ok"})
    with full_disk(server):
        assert await bob.put_status("online", "Not kept yet") == REFUSED
        assert await bob.ask("POST", "/createRoom", {}) == REFUSED
        assert await health(http, server) == Answer(503, {"status": "storage unavailable"})
        assert (await bob.status(alice)).json["status_msg"] == "There is room"
        synced = await bob.sync()
        assert synced.status == 200
        assert list(synced.json["rooms"]["join"])
        assert (await bob.ask("GET", "/joined_rooms")).status == 200
    assert await alice.put_status("online", "There is room again") == Answer(200, {})
    assert await health(http, server) == Answer(200, {"status": "ok"})
    server.kill()
    server.start()
    kept = [(await person.status()).json["status_msg"] for person in (alice, bob)]
    assert kept == ["There is room again", "Not kept yet"]


async def test_the_log_of_a_full_disk(make_server: MakeServer, http: aiohttp.ClientSession) -> None:
    """The log tells once that nothing can be written, and once that it can again."""
    server = make_server()
    [alice] = await people_at(server, http, "alice")
    with full_disk(server):
        for number in range(10):
            assert await alice.put_status("online", str(number)) == REFUSED
    assert (await alice.put_status("online", "fine")).status == 200
    ended = server.stop()
    assert ended.code == 0
    assert [(it["event"], it["level"]) for it in ended.events] == [
        ("serving", "info"),
        ("the database cannot be written", "error"),
        ("the database can be written again", "info"),
        ("stopping", "info"),
        ("stopped", "info"),
    ]


async def test_stopping_on_a_full_disk(
    make_server: MakeServer, http: aiohttp.ClientSession
) -> None:
    """A server that cannot write stops all the same, and what it had acknowledged is there."""
    server = make_server()
    [alice] = await people_at(server, http, "alice")
    assert (await alice.put_status("online", "kept")).status == 200
    limit_disk(server, 1)
    assert await alice.put_status("online", "refused") == REFUSED
    assert server.stop().code == 0
    server.start()
    assert (await alice.status()).json["status_msg"] == "kept"
