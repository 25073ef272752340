"""A homeserver of which a test holds the other end of each connection, byte for byte."""

import asyncio
from collections.abc import Callable

from tests.web.http.peer import FakeTransport

__all__ = ["FakeHomeserver", "Wire"]


class Wire:
    """The homeserver's end of one connection."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        self._protocol = protocol
        self.transport = FakeTransport(protocol)
        protocol.connection_made(self.transport)

    @property
    def received(self) -> str:
        """What has come since the last time."""
        text = self.transport.sent.decode("latin-1")
        self.transport.sent.clear()
        return text

    def send(self, data: str | bytes) -> None:
        """Send *data*, in one piece."""
        self._protocol.data_received(data.encode("latin-1") if isinstance(data, str) else data)

    def close(self) -> None:
        """Close the connection in good order."""
        self._protocol.eof_received()
        self.transport.close()

    def lose(self) -> None:
        """Break the connection."""
        self.transport.lose(ConnectionResetError())

    @property
    def is_closed(self) -> bool:
        """Whether the connection is gone."""
        return self.transport.is_lost


class FakeHomeserver:
    """Takes connections, unless a test says otherwise."""

    def __init__(self) -> None:
        self.wires: list[Wire] = []
        #: What connecting raises, if it is set.
        self.problem: OSError | None = None
        #: Connections are made only while it is set.
        self.takes = asyncio.Event()
        self.takes.set()

    async def connect(self, protocol: Callable[[], asyncio.Protocol]) -> asyncio.Transport:
        """Return a connection; it is a `Connect`."""
        await self.takes.wait()
        if self.problem is not None:
            raise self.problem
        self.wires.append(Wire(protocol()))
        return self.wires[-1].transport

    @property
    def wire(self) -> Wire:
        """The last connection."""
        return self.wires[-1]
