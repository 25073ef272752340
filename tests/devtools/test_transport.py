"""A connection in memory: both ends behave as on a network."""

import asyncio

from lamplighter.devtools.transport import MemoryTransport
from lamplighter.devtools.turns import turns


class Server(asyncio.Protocol):
    """Writes down what happens to its end."""

    def __init__(self, *, stays: bool = False) -> None:
        self.seen: list[object] = []
        self._stays = stays

    def data_received(self, data: bytes) -> None:
        self.seen.append(data)

    def eof_received(self) -> bool:
        self.seen.append("end")
        return self._stays

    def connection_lost(self, exc: Exception | None) -> None:
        self.seen.append(type(exc))


class Client:
    """A connection to *server*, and what came back."""

    def __init__(self, server: Server) -> None:
        self.received: list[bytes] = []
        self.lost = 0
        self.transport = MemoryTransport(server, "192.0.2.1", self.received.append, self._lose)

    def _lose(self) -> None:
        self.lost += 1


async def test_bytes_arrive_later() -> None:
    """Pieces from a client arrive in later turns of the loop, one each; answers arrive at once."""
    server = Server()
    client = Client(server)
    client.transport.send(b"a", b"b")
    assert server.seen == []
    await turns(3)
    client.transport.write(b"c")
    assert (server.seen, client.received) == ([b"a", b"b"], [b"c"])
    assert client.transport.get_extra_info("peername")[0] == "192.0.2.1"


async def test_a_server_that_does_not_read() -> None:
    """While the server does not read, what is sent waits, also the end."""
    server = Server()
    client = Client(server)
    client.transport.pause_reading()
    client.transport.send(b"a")
    client.transport.leave()
    await turns(3)
    assert server.seen == []
    client.transport.resume_reading()
    await turns(5)
    assert server.seen == [b"a", "end", type(None)]


async def test_a_client_that_leaves() -> None:
    """The server hears that nothing more comes, and finds that nobody is there when it writes."""
    server = Server(stays=True)
    client = Client(server)
    client.transport.leave()
    client.transport.leave()
    await turns(3)
    assert (server.seen, client.transport.is_closing()) == (["end"], False)
    client.transport.write(b"a")
    await turns(3)
    assert (server.seen, client.received) == (["end", ConnectionResetError], [])


async def test_a_server_that_closes() -> None:
    """The client hears once of a server that closes, by halves or at once."""
    server = Server()
    client = Client(server)
    client.transport.write_eof()
    client.transport.close()
    client.transport.abort()
    await turns(3)
    assert (server.seen, client.lost) == ([type(None)], 1)
