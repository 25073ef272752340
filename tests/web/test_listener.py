"""Addresses that cannot be listened on."""

import socket
from collections.abc import Iterator

import pytest

from lamplighter.clock import SystemClock
from lamplighter.config import Address
from lamplighter.devtools.http import Message, Receive, Send
from lamplighter.errors import ConfigError
from lamplighter.web.listener import Listener


async def application(scope: Message, receive: Receive, send: Send) -> None:
    """Nobody asks for anything here."""


def listener(address: str) -> Listener:
    """Return what would serve at *address*."""
    return Listener(application, Address(address), SystemClock())


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port at which somebody listens, who would share it."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


async def test_an_address_in_use(taken_port: int) -> None:
    """An address at which somebody listens is an error of the configuration, also if they share."""
    address = f"127.0.0.1:{taken_port}"
    with pytest.raises(ConfigError) as refused:
        await listener(address).start()
    assert str(refused.value) == f"listen: {address} is in use"


@pytest.mark.parametrize("address", ["192.0.2.1:8008", "no-such-host.invalid:8008"])
async def test_an_address_of_somebody_else(address: str) -> None:
    """An address that is not this machine's, or that no name stands for, is one as well."""
    with pytest.raises(ConfigError) as refused:
        await listener(address).start()
    assert str(refused.value).startswith(f"listen: {address} cannot be used: ")


async def test_stopping_before_it_starts(taken_port: int) -> None:
    """What does not listen, or could not, stops without complaint."""
    unused = listener(f"127.0.0.1:{taken_port}")
    await unused.stop()
    with pytest.raises(ConfigError):
        await unused.start()
    await unused.stop()


async def test_starting_and_stopping() -> None:
    """Between `start` and `stop` the address takes connections; after that it is free again."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    serving = listener(f"127.0.0.1:{port}")
    await serving.start()
    with socket.socket() as client:
        client.connect(("127.0.0.1", port))
    await serving.stop()
    with socket.socket() as client, pytest.raises(ConnectionRefusedError):
        client.connect(("127.0.0.1", port))
