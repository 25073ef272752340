"""Connections from the server to a homeserver in the same process."""

import asyncio
from collections.abc import Callable
from typing import Any

from lamplighter.devtools.transport import MemoryTransport
from lamplighter.web.http.server import HttpServer

__all__ = ["Pipe"]


class Pipe:
    """A `Connect` to *server*, which a test may cut."""

    def __init__(self, server: HttpServer) -> None:
        self._server = server
        #: Whether the homeserver takes no connection.
        self.is_down = False
        self._open: set[_ClientEnd] = set()

    async def __call__(self, protocol: Callable[[], asyncio.Protocol]) -> asyncio.Transport:
        if self.is_down:
            raise ConnectionRefusedError("connection refused")
        connection = self._server.connect()
        assert connection is not None
        return _ClientEnd(connection, protocol(), self._open)

    def cut(self) -> None:
        """Break all connections, and take no new one."""
        self.is_down = True
        for end in list(self._open):
            end.break_off()

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._open)


class _ClientEnd(asyncio.Transport):
    """The end of one connection that asks."""

    def __init__(
        self, server: asyncio.Protocol, client: asyncio.Protocol, all_open: "set[_ClientEnd]"
    ) -> None:
        super().__init__({"peername": ("127.0.0.1", 8018)})
        self._loop = asyncio.get_running_loop()
        self._client = client
        self._open = all_open
        self._is_closing = False
        self._is_paused = False
        self._held: list[bytes] = []
        all_open.add(self)
        client.connection_made(self)
        self._server = MemoryTransport(server, "127.0.0.1", self._received, self._server_closed)

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        if not self._is_closing:
            self._server.send(bytes(data))

    def pause_reading(self) -> None:
        self._is_paused = True

    def resume_reading(self) -> None:
        self._is_paused = False
        held, self._held = self._held, []
        for data in held:
            self._received(data)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Everything is taken at once."""

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        self._lose(None)

    def abort(self) -> None:
        self._lose(None)

    def break_off(self) -> None:
        """Lose the connection as if the other machine had failed."""
        self._lose(ConnectionResetError())

    def _lose(self, problem: Exception | None) -> None:
        if not self._is_closing:
            self._is_closing = True
            self._open.discard(self)
            self._server.leave()
            self._loop.call_soon(self._client.connection_lost, problem)

    def _received(self, data: bytes) -> None:
        if self._is_paused:
            self._held.append(data)
        else:
            self._loop.call_soon(self._hand_on, data)

    def _hand_on(self, data: bytes) -> None:
        if not self._is_closing:
            self._client.data_received(data)

    def _server_closed(self) -> None:
        self._loop.call_soon(self._lose, None)
