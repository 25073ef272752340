"""A full disk: writes are refused, reads go on, and free space ends the trouble.

A limit on the size of files stands in for a full disk: any user can set it on a running process.
"""

import resource
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp

from tests.interop.clients import Answer, Person
from tests.interop.conftest import MakeServer
from tests.interop.processes import ServerProcess, prepare

REFUSED = Answer(
    503,
    {
        "errcode": "M_UNKNOWN",
        "error": "This server cannot store anything at the moment; try again later",
    },
)


def fill_disk(server: ServerProcess) -> None:
    """Let no file of the server's be written beyond its first byte."""
    _, hard = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (1, hard))


def free_disk(server: ServerProcess) -> None:
    """Let the server's files be as large as may be."""
    _, hard = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (hard, hard))


@contextmanager
def full_disk(server: ServerProcess) -> Iterator[None]:
    """Fill the disk, for the block."""
    fill_disk(server)
    yield
    free_disk(server)


async def health(http: aiohttp.ClientSession, server: ServerProcess) -> Answer:
    """Return what load balancers are told."""
    async with http.get(f"{server.url}/health") as response:
        return Answer(response.status, await response.json())


async def test_a_full_disk(make_server: MakeServer, http: aiohttp.ClientSession) -> None:
    """On a full disk the server refuses writes with a clear error, serves reads, and recovers."""
    server = make_server()
    logins = await prepare(server.folder, ["alice", "bob"], room=True)
    server.start()
    alice, bob = (Person(http, server.url, it.user_id, it.access_token) for it in logins)
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
    [login] = await prepare(server.folder, ["alice"])
    server.start()
    alice = Person(http, server.url, login.user_id, login.access_token)
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
    [login] = await prepare(server.folder, ["alice"])
    server.start()
    alice = Person(http, server.url, login.user_id, login.access_token)
    assert (await alice.put_status("online", "kept")).status == 200
    fill_disk(server)
    assert await alice.put_status("online", "refused") == REFUSED
    assert server.stop().code == 0
    server.start()
    assert (await alice.status()).json["status_msg"] == "kept"
