"""A connection to a server in the same process: bytes, and no socket.

Each end is as on a network: the server's end is a transport of asyncio, and what a client sends
arrives in a later turn of the event loop. A client that closes its end is noticed as a real one is:
the server hears that nothing more comes, and finds out that nobody reads when it next sends.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final

__all__ = ["MemoryTransport"]

#: The server's address; clients choose theirs.
_SERVER: Final = ("127.0.0.1", 8008)
_CLIENT_PORT: Final = 50_000


class MemoryTransport(asyncio.Transport):
    """The server's end of a connection, and the means of the client at the other end."""

    def __init__(
        self,
        protocol: asyncio.Protocol,
        address: str,
        received: Callable[[bytes], None],
        lost: Callable[[], None],
    ) -> None:
        """*received* is called with what the server sends, and *lost* when the server closes."""
        super().__init__({"peername": (address, _CLIENT_PORT), "sockname": _SERVER})
        self._protocol = protocol
        self._received = received
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        #: What the client has sent and the server not read yet; None is the end.
        self._incoming: deque[bytes | None] = deque()
        self._is_paused = False
        self._is_closing = False
        self._has_client = True
        protocol.connection_made(self)

    # For the client.

    def send(self, *pieces: bytes) -> None:
        """Send *pieces*, each of which arrives in a turn of its own."""
        self._incoming += pieces
        self._loop.call_soon(self._deliver)

    def leave(self) -> None:
        """Close the client's end: nothing more is sent or read."""
        if self._has_client:
            self._has_client = False
            self._incoming.append(None)
            self._loop.call_soon(self._deliver)

    def _deliver(self) -> None:
        if not self._incoming or self._is_paused or self._is_closing:
            return
        data = self._incoming.popleft()
        if data is not None:
            self._protocol.data_received(data)
        elif not self._protocol.eof_received():
            self.close()
        if self._incoming:
            self._loop.call_soon(self._deliver)

    # For the server.

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        if self._has_client:
            self._received(bytes(data))
        else:  # the client's machine says that nobody is there
            self._close(ConnectionResetError())

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        self._close(None)

    def abort(self) -> None:
        self._close(None)

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self._hang_up()

    def pause_reading(self) -> None:
        self._is_paused = True

    def resume_reading(self) -> None:
        self._is_paused = False
        self._loop.call_soon(self._deliver)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Do nothing: what is sent is read at once."""

    def get_write_buffer_size(self) -> int:
        return 0

    def _close(self, error: Exception | None) -> None:
        if not self._is_closing:
            self._is_closing = True
            self._loop.call_soon(self._protocol.connection_lost, error)
            self._hang_up()

    def _hang_up(self) -> None:
        if self._has_client:
            self._lost()
            self.leave()
