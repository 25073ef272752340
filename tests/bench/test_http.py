"""The lean HTTP client of the benchmark."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bench.errors import ConnectionLost, Refused
from bench.http import Address, connect

SIZED = b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: Chunked\r\n\r\n"
    b"5\r\nhello\r\n7\r\n\r\nworld\r\n0\r\n\r\n"
)


@asynccontextmanager
async def server_that_says(answer: bytes) -> AsyncIterator[Address]:
    """Give the address of a server that answers each request with the same, then hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield Address("127.0.0.1", server.sockets[0].getsockname()[1])


async def test_body() -> None:
    """The caller gets the body of the answer."""
    async with server_that_says(SIZED) as address:
        line = await connect(address)
        assert await line.ask(b"GET / HTTP/1.1\r\n\r\n") == b"hello"
        line.abort()


async def test_refusal() -> None:
    """Any other status than 200 is an error that names the request, the status and the body."""
    async with server_that_says(CHUNKED) as address:
        line = await connect(address)
        with pytest.raises(Refused, match=r"^GET / HTTP/1.1: 404 hello\r\nworld$"):
            await line.ask(b"GET / HTTP/1.1\r\n\r\n")
        line.abort()


async def test_connection_that_is_lost() -> None:
    """A server that hangs up in the middle of an answer owes one; so it does from then on."""
    async with server_that_says(SIZED[:-1]) as address:
        line = await connect(address)
        for _ in range(2):
            with pytest.raises(ConnectionLost, match="the server hung up"):
                await line.ask(b"GET / HTTP/1.1\r\n\r\n")
