"""Hostile clients, and clients without HTTP: never a 500, and others are served meanwhile."""

import asyncio
import re
import resource
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import aiohttp
import pytest

from tests.interop.clients import V3, Person, polls_under_way
from tests.interop.processes import ServerProcess, prepare, reserved_port

#: How many polls of one user the server keeps open.
MOST_POLLS: Final = 64
#: Far more than a body may have, in bytes.
MUCH: Final = 64 * 1024 * 1024


@dataclass(frozen=True)
class Victim:
    """A server, and what the one account on it logs in with."""

    server: ServerProcess
    token: str

    def connect(self) -> socket.socket:
        """Open a connection that is never waited for without end."""
        return socket.create_connection(("127.0.0.1", self.server.port), timeout=300)

    def answer(self, *parts: bytes, half_closed: bool = False) -> bytes:
        """Send *parts* as they are; return what comes back until the server hangs up."""
        with self.connect() as connection:
            with suppress(ConnectionError):  # the server may have heard enough
                for part in parts:
                    connection.sendall(part)
            if half_closed:
                connection.shutdown(socket.SHUT_WR)
            return received(connection)

    def get(self, target: bytes, *, method: bytes = b"GET") -> bytes:
        """Ask for *target*, as it is."""
        authorization = b"Authorization: Bearer " + self.token.encode()
        head = b"%b %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%b\r\n\r\n"
        return self.answer(head % (method, target, authorization))


def received(connection: socket.socket) -> bytes:
    """Return everything that comes until the connection ends, one way or the other."""
    chunks = []
    with suppress(ConnectionResetError):  # the server has hung up on what it would not read
        while chunk := connection.recv(65_536):
            chunks.append(chunk)
    return b"".join(chunks)


def statuses(answer: bytes) -> list[int]:
    """Return the status codes of the responses, one after the other."""
    return [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]


def errcode(answer: bytes) -> str:
    """Return the Matrix error code of a response."""
    return answer.partition(b'"errcode":"')[2].partition(b'"')[0].decode()


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    """One server for all of this file. It must log nothing, whatever is done to it."""
    with reserved_port() as port:
        server = ServerProcess(tmp_path_factory.mktemp("victim"), port)
        [login] = asyncio.run(prepare(server.folder, ["alice"]))
        server.start()
        try:
            yield Victim(server, login.access_token)
            assert server.stop().log.count("\n") == 3  # serving, stopping, stopped
        finally:
            server.kill_if_running()


@pytest.fixture(autouse=True)
def _still_serves(victim: Victim) -> Iterator[None]:
    """After each test the server serves others as before."""
    yield
    assert statuses(victim.get(b"/_matrix/client/versions")) == [200]


#: More nonsense is in `tests/web/http/test_reader.py`, more targets in
#: `tests/homeserver/test_client.py`.
# fmt: off
NONSENSE: Final = {
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20, [400]),
    "a huge header": (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 2**19 + b"\r\n\r\n", [431]),
    "a huge target": (b"GET /" + b"a" * 2**19 + b" HTTP/1.1\r\nHost: x\r\n\r\n", [414]),
    "garbage after a request": (
        b"GET /_matrix/client/versions HTTP/1.1\r\nHost: x\r\n\r\nGARBAGE\r\n\r\n", [200, 400]
    ),
}
TARGETS: Final = {
    b"/%ff": (404, "M_UNRECOGNIZED"),
    b"*": (404, "M_UNRECOGNIZED"),
    b"//_matrix/client/versions": (404, "M_UNRECOGNIZED"),
    b"/_matrix/client/../client/versions": (404, "M_UNRECOGNIZED"),
    b"/_matrix/client/v3/profile/%zz": (400, "M_INVALID_PARAM"),
    b"/_matrix/client/v3/presence/@%00a:lamp.test/status": (400, "M_INVALID_PARAM"),
    b"/_matrix/client/v3/sync?timeout=%ff": (400, "M_INVALID_PARAM"),
    b"/_matrix/client/v3/sync?timeout=-1": (400, "M_INVALID_PARAM"),
    b"/_matrix/client/v3/sync?set_presence=%ff": (400, "M_INVALID_PARAM"),
    b"/_matrix/client/v3/sync?full_state=%00": (400, "M_INVALID_PARAM"),
    b"/_matrix/client/v3/sync?filter=%ff": (400, "M_INVALID_PARAM"),
    b"/_matrix/client/v3/sync?filter=%00": (400, "M_INVALID_PARAM"),
    b"/_matrix/client/v3/sync?filter={presence:{}}": (400, "M_NOT_JSON"),
    b"/_matrix/client/v3/sync?filter=%7B" + b"%7B" * 2000: (400, "M_BAD_JSON"),
    b"/_matrix/client/v3/sync?since=%ff%00": (200, ""),
    b"/_matrix/client/v3/sync?%ff=%zz&&&=&%": (200, ""),
    b'/_matrix/client/v3/sync?filter={"presence":{}}': (200, ""),
    b"/_matrix/client/v3/events?from=%ff&timeout=0": (200, ""),
}
# fmt: on


@pytest.mark.parametrize(("request_", "expected"), NONSENSE.values(), ids=NONSENSE)
def test_nonsense(victim: Victim, request_: bytes, expected: list[int]) -> None:
    """Bytes that are no HTTP get a 400, and the connection is closed."""
    assert statuses(victim.answer(request_)) == expected


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target[:60].decode())
def test_targets(victim: Victim, target: bytes) -> None:
    """Paths and queries that are not encoded as they should be are errors of the client."""
    answer = victim.get(target)
    assert (statuses(answer), errcode(answer)) == ([TARGETS[target][0]], TARGETS[target][1])


def test_methods(victim: Victim) -> None:
    """HEAD is a GET without a body; OPTIONS is for CORS; others are not for these endpoints."""
    versions, sync = b"/_matrix/client/versions", f"{V3}/sync".encode()
    methods = (b"HEAD", b"OPTIONS", b"POST", b"PROPFIND")
    assert [statuses(victim.get(versions, method=it)) for it in methods] == [
        [200], [200], [405], [405],
    ]  # fmt: skip
    assert [statuses(victim.get(sync, method=it)) for it in methods] == [
        [405], [200], [405], [405],
    ]  # fmt: skip
    assert not victim.get(versions, method=b"HEAD").partition(b"\r\n\r\n")[2]


def test_a_body_without_end(victim: Victim) -> None:
    """A body in chunks is refused once it is too large; the rest is neither read nor kept."""
    before = victim.server.memory
    chunk = b"10000\r\n" + b"a" * 0x10000 + b"\r\n"
    with victim.connect() as connection:
        head = f"POST {V3}/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head.encode())
        try:
            for _ in range(MUCH // len(chunk)):
                connection.sendall(chunk)
        except (BrokenPipeError, ConnectionResetError):
            pass
        else:
            raise AssertionError("the server has read all of it")
    assert victim.server.memory - before < MUCH // 4


def test_a_body_that_ends_early(victim: Victim) -> None:
    """A client that half-closes the connection in the middle of the body gets M_NOT_JSON."""
    head = f"POST {V3}/login HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 9\r\n\r\n"
    answer = victim.answer(head.encode(), b'{"type"', half_closed=True)
    assert (statuses(answer), errcode(answer)) == ([400], "M_NOT_JSON")


def test_slow_clients(victim: Victim) -> None:
    """Hundreds of clients that never finish their request keep nobody else from being served."""
    head = f"POST {V3}/login HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n".encode()
    slow = [victim.connect() for _ in range(300)]
    for number, connection in enumerate(slow):
        connection.sendall(head[: 1 + number % len(head)])
    assert statuses(victim.get(f"{V3}/sync".encode())) == [200]
    for connection in slow:
        connection.close()


async def test_more_polls_than_anybody_needs(victim: Victim, http: aiohttp.ClientSession) -> None:
    """One user keeps few polls open; for each more the oldest is answered, and none is lost."""
    alice = Person(http, victim.server.url, "@alice:lamp.test", victim.token)
    since = (await alice.sync()).json["next_batch"]
    polls = [
        asyncio.create_task(alice.ask("GET", "/sync", since=since, timeout=100_000))
        for _ in range(1000)
    ]
    for answered in islice(asyncio.as_completed(polls), len(polls) - MOST_POLLS):
        await answered
    await polls_under_way(http, victim.server.url, MOST_POLLS)
    assert (await alice.put_status("online", "Enough!")).status == 200
    answers = await asyncio.gather(*polls)
    assert {answer.status for answer in answers} == {200}
    told = [answer for answer in answers if "Enough!" in str(answer.json)]
    assert len(told) == MOST_POLLS


def test_few_descriptors(tmp_path: Path) -> None:
    """A process with few descriptors keeps some for its files: beyond that it refuses connections,
    counts them, says so once, and serves those that it has.
    """
    with reserved_port() as port:
        server = ServerProcess(tmp_path / "few", port)
        [login] = asyncio.run(prepare(server.folder, ["alice"]))
        server.launch()
        try:
            resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (120, 120))
            server.logged('"serving"')
            few = Victim(server, login.access_token)
            crowd = [few.connect() for _ in range(300)]
            body = b'{"presence": "online"}'
            crowd[0].sendall(
                b"PUT %b/presence/%b/status HTTP/1.1\r\nConnection: close\r\n"
                b"Authorization: Bearer %b\r\nContent-Length: %d\r\n\r\n%b"
                % (V3.encode(), login.user_id.encode(), few.token.encode(), len(body), body)
            )
            assert statuses(received(crowd[0])) == [200]
            for connection in crowd:
                connection.close()
            metrics = few.get(b"/metrics").decode()
            refused = re.search(r"lamplighter_connections_refused_total (\d+)", metrics)
            assert refused is not None
            assert int(refused[1]) >= 300 - 60
            assert server.log.count("connections are refused") == 1
        finally:
            server.kill_if_running()
