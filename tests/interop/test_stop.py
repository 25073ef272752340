"""Stopping: open requests are answered, nothing is lost, and nothing can prevent the stop."""

import asyncio
import signal
import socket
from pathlib import Path

import aiohttp
import pytest

from tests.interop.clients import V3, people_at, polls_under_way
from tests.interop.conftest import MakeServer
from tests.interop.processes import SERVER, Ended, ServerProcess


def events_of(ended: Ended) -> list[str]:
    """Return what the log tells of, line by line."""
    return [line["event"] for line in ended.events]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_stopping(
    make_server: MakeServer, http: aiohttp.ClientSession, number: signal.Signals
) -> None:
    """SIGTERM and Ctrl-C answer open polls with tokens that are good, and end with code 0."""
    server = make_server()
    alice, bob = await people_at(server, http, "alice", "bob")
    await alice.sync()
    polls = [asyncio.create_task(alice.sync(timeout=60_000)) for _ in range(3)]
    await polls_under_way(http, server.url, 3)
    server.signal(number)
    answers = await asyncio.gather(*polls)
    assert [answer.status for answer in answers] == [200, 200, 200]
    ended = await asyncio.to_thread(server.ended)
    assert (ended.code, events_of(ended)) == (0, ["serving", "stopping", "stopped"])
    server.start()
    assert (await bob.put_status("online", "Welcome back")).status == 200
    alice.next_batch = answers[0].json["next_batch"]
    presence = (await alice.sync(timeout=60_000)).json["presence"]["events"]
    contents = {event["sender"]: event["content"].get("status_msg") for event in presence}
    assert contents[bob.user_id] == "Welcome back"


async def test_modules_that_cling(make_server: MakeServer) -> None:
    """Threads, executor jobs and tasks of modules that never end do not keep a server alive."""
    server = make_server("modules: [{module: tests.interop.modules.Clinging}]")
    server.start()
    ended = server.stop()
    assert ended.code == 0
    assert events_of(ended)[:3] == ["module loaded", "serving", "stopping"]
    assert "not waiting for the threads that modules have left behind: ['clinging'" in ended.log


def test_a_port_in_use(make_server: MakeServer, tmp_path: Path) -> None:
    """A second server at the same address says so in one line and ends with code 2, modules too."""
    first = make_server()
    first.start()
    clinging = "modules: [{module: tests.interop.modules.Clinging}]"
    second = ServerProcess(tmp_path / "second", first.port, clinging)
    second.launch()
    ended = second.ended()
    assert ended.code == 2
    errors = [line for line in ended.log.splitlines() if not line.startswith("{")]
    assert errors == [
        f"error: listen: 127.0.0.1:{first.port} is in use: give another address, or end "
        "what listens there"
    ]
    assert first.stop().code == 0


SILENT = b""
HALF_A_HEAD = b"GET /_matrix/client/versions HTT"
HALF_A_BODY = (
    f"POST {V3}/login HTTP/1.1\r\nHost: {SERVER}\r\nContent-Length: 100\r\n\r\n{{".encode()
)
IDLE = f"GET {V3}/login HTTP/1.1\r\nHost: {SERVER}\r\n\r\n".encode()


def test_clients_that_dawdle(server: ServerProcess) -> None:
    """Clients that have sent nothing, or half a request, or keep a connection, are cut off."""
    connections = []
    for part in (SILENT, HALF_A_HEAD, HALF_A_BODY, IDLE):
        connection = socket.create_connection(("127.0.0.1", server.port), timeout=300)
        connection.sendall(part)
        connections.append(connection)
    idle = connections[-1]
    assert idle.recv(1024).startswith(b"HTTP/1.1 200 ")
    assert server.stop().code == 0
    received = []
    for connection in connections:
        with connection:
            received.append(connection.recv(1024))
    assert [received[0], received[1], received[3]] == [b"", b"", b""]
    assert received[2].startswith(b"HTTP/1.1 503 ")


SENDS = 600
#: Too many of one user at a time are refused while the server runs; then the server stops.
REFUSED = {429, 503}


async def test_with_work_left_over(make_server: MakeServer, http: aiohttp.ClientSession) -> None:
    """A stop amid many writes refuses those that have not begun; what was acknowledged is there."""
    server = make_server("modules: [{module: tests.interop.modules.Clinging}]")
    everybody = await people_at(server, http, *(f"person{n}" for n in range(10)))
    [room_id] = (await everybody[0].ask("GET", "/joined_rooms")).json["joined_rooms"]
    acknowledged: list[str] = []
    refused: list[int] = []

    async def send(number: int) -> None:
        path = f"/rooms/{room_id}/send/m.room.message/{number}"
        try:
            answer = await everybody[number % 10].ask("PUT", path, {"body": "x" * 10_000})
        except aiohttp.ClientError:
            return  # nobody took the connection, or it was cut
        if answer.status == 200:
            acknowledged.append(answer.json["event_id"])
        else:
            refused.append(answer.status)

    sends = [asyncio.create_task(send(number)) for number in range(SENDS)]
    await asyncio.wait(sends, return_when=asyncio.FIRST_COMPLETED)
    server.signal(signal.SIGTERM)
    await asyncio.gather(*sends)
    ended = await asyncio.to_thread(server.ended)
    assert (ended.code, set(refused) - REFUSED) == (0, set())
    assert "Traceback" not in ended.log
    server.configure("")
    server.start()
    for event_id in acknowledged:
        assert (await everybody[0].ask("GET", f"/rooms/{room_id}/event/{event_id}")).status == 200
