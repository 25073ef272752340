"""A connection to Valkey or Redis: what goes over it, and how calls end that are not answered."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import TypeAlias

import pytest
import trustme

from lamplighter.cluster.valkey_address import parse_valkey_url
from lamplighter.cluster.valkey_link import ErrorReply, Link
from lamplighter.devtools.clock import FakeClock
from lamplighter.devtools.turns import turns_until_idle
from lamplighter.errors import LogUnreachable
from tests.valkey import ValkeyServer

PATIENCE = timedelta(seconds=1)

Answering: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def answered_by(
    answering: Answering, tls: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """Have a server that does as it is told with each connection; yield its host and port."""

    running = set[asyncio.Task[None] | None]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        running.add(asyncio.current_task())
        try:
            await answering(reader, writer)
        finally:
            writer.transport.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    host, port = server.sockets[0].getsockname()
    try:
        yield f"{host}:{port}"
    finally:
        server.close()
        tasks = [task for task in running if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def link_to(url: str, clock: FakeClock | None = None) -> Link:
    """Return a connection to be made."""
    return Link(parse_valkey_url(url), clock or FakeClock(), PATIENCE)


async def test_answers_in_order() -> None:
    """Commands of one cycle of the event loop go out together; each gets its own answer."""
    arrived = list[bytes]()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1_000)
        writer.write(b"+hello\r\n")
        arrived.append(await reader.read(1_000))
        writer.write(b"$1\r\nA\r\n:2\r\n-ERR no\r\n*2\r\n$-1\r\n*1\r\n:3\r\n")
        arrived.append(await reader.read(1_000))
        writer.write(b"+OK\r\n")

    async with answered_by(answer) as where:
        link = link_to(f"redis://{where}")
        assert await link.ask("HELLO") == b"hello"
        calls = [link.ask("GET", "å"), link.ask("INCR", b"\xff", 7), link.ask("X"), link.ask("Y")]
        first, second, third, fourth = await asyncio.gather(*calls, return_exceptions=True)
        assert (first, second, fourth) == (b"A", 2, [None, [3]])
        assert isinstance(third, ErrorReply)
        assert str(third) == "ERR no"
        assert await link.ask("LAST") == b"OK"
        await link.close()
    get = b"*2\r\n$3\r\nGET\r\n$2\r\n\xc3\xa5\r\n"
    incr = b"*3\r\n$4\r\nINCR\r\n$1\r\n\xff\r\n$1\r\n7\r\n"
    assert arrived == [get + incr + b"*1\r\n$1\r\nX\r\n*1\r\n$1\r\nY\r\n", b"*1\r\n$4\r\nLAST\r\n"]


async def test_a_lost_connection() -> None:
    """What is not answered when the connection is lost fails, and is not sent again."""
    arrived = list[bytes]()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.append(await reader.read(1_000))
        writer.write(b":1\r\n")
        if b"A" in arrived[-1]:
            arrived.append(await reader.read(1_000))
            writer.write(b":2\r\n")

    async with answered_by(answer) as where:
        link = link_to(f"redis://{where}")
        assert await link.ask("A") == 1
        calls = [link.ask("B"), link.ask("C"), link.ask("D")]
        first, *others = await asyncio.gather(*calls, return_exceptions=True)
        assert first == 2
        assert [str(it) for it in others] == ["the server has hung up"] * 2
        assert await link.ask("E") == 1
        await link.close()
    assert arrived == [
        b"".join(b"*1\r\n$1\r\n%c\r\n" % it for it in words) for words in (b"A", b"BCD", b"E")
    ]


async def test_a_replica() -> None:
    """A server that has become a replica is left: a new connection may come to the new primary."""
    connections = count()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        refusal = b"-READONLY You can't write against a read only replica.\r\n"
        said = b":1\r\n" if next(connections) else refusal
        while await reader.read(1_000):
            writer.write(said)

    async with answered_by(answer) as where:
        link = link_to(f"redis://{where}")
        calls = [link.ask("A"), link.ask("B")]
        first, second = await asyncio.gather(*calls, return_exceptions=True)
        assert str(first) == "READONLY You can't write against a read only replica."
        assert str(second) == "the server has become a replica"
        assert await link.ask("C") == 1
        await link.close()


async def test_no_answer_in_time() -> None:
    """A call that waits too long fails with all others; their late answers are nobody's."""
    clock, late = FakeClock(), asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while asked := await reader.read(1_000):
            if b"LATE" in asked:
                late.set()
            else:
                writer.write(b"+new\r\n")

    async with answered_by(answer) as where:
        link = link_to(f"redis://{where}", clock)
        assert await link.ask("FIRST") == b"new"
        waits = (PATIENCE, PATIENCE / 2)
        calls = [asyncio.ensure_future(link.ask("LATE", longest=it)) for it in waits]
        await late.wait()
        clock.advance(seconds=1)
        await turns_until_idle()
        assert not any(call.done() for call in calls)
        clock.advance(seconds=0.5)
        for call in calls:
            with pytest.raises(LogUnreachable, match="does not answer"):
                await call
        assert await link.ask("NEXT") == b"new"
        await link.close()


async def test_what_is_no_valkey() -> None:
    """A program that speaks another protocol is no server of a log."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1_000)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with answered_by(answer) as where:
        link = link_to(f"redis://{where}")
        with pytest.raises(LogUnreachable, match="does not speak the protocol"):
            await link.ask("PING")
        await link.close()


async def test_answers_that_nobody_asked_for() -> None:
    """A server that answers more than it is asked is not believed: answers would be exchanged."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1_000)
        writer.write(b":1\r\n:2\r\n")
        await reader.read()

    async with answered_by(answer) as where:
        link = link_to(f"redis://{where}")
        assert [await link.ask("A"), await link.ask("B")] == [1, 1]
        await link.close()


async def test_nobody_there(tmp_path: Path) -> None:
    """Where nobody listens a call fails at once, and says where that is, without the password."""
    path = tmp_path / "socket"
    with pytest.raises(LogUnreachable) as raised:
        await link_to(f"unix://:secret@{path}").ask("PING")
    assert str(raised.value).startswith(f"cannot connect to {path}: ")
    assert "secret" not in str(raised.value)


async def test_nobody_greets() -> None:
    """A server that accepts connections and says nothing does not hold a call up."""
    clock, asked = FakeClock(), asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        asked.set()
        await reader.read()

    async with answered_by(answer) as where:
        call = asyncio.ensure_future(link_to(f"redis://{where}/1", clock).ask("PING"))
        await asked.wait()
        clock.advance(seconds=1)
        with pytest.raises(LogUnreachable, match=f"{where} does not answer"):
            await call


async def test_passwords_and_databases(valkey: ValkeyServer) -> None:
    """A connection begins with the password and the database of the address."""
    open_link = Link(valkey.address, FakeClock(), PATIENCE)
    await open_link.ask("ACL", "SETUSER", "alice", "on", ">pass", "~*", "+@all")
    who = valkey.url.replace("unix://", "unix://alice:pass@")
    link, wrong = link_to(f"{who}?db=2"), link_to(who.replace("pass", "guess"))
    assert await link.ask("ACL", "WHOAMI") == b"alice"
    assert await link.ask("SET", "here", "x") == b"OK"
    assert await open_link.ask("EXISTS", "here") == 0
    with pytest.raises(LogUnreachable, match="WRONGPASS"):
        await wrong.ask("PING")
    await link.ask("FLUSHALL")
    await open_link.ask("ACL", "DELUSER", "alice")
    for it in (link, wrong, open_link):
        await it.close()


async def test_an_encrypted_connection(tmp_path: Path) -> None:
    """`rediss://` is encrypted, and the server's certificate must be one that is trusted."""
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    trusted = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(trusted)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.read(1_000):
            writer.write(b"+PONG\r\n")
            await reader.read()

    async with answered_by(answer, tls) as where:
        link = link_to(f"rediss://{where}?ssl_ca_certs={trusted}")
        assert await link.ask("PING") == b"PONG"
        await link.close()
        with pytest.raises(LogUnreachable, match="certificate"):
            await link_to(f"rediss://{where}").ask("PING")
