"""Serving, from start to stop."""

from pathlib import Path

import aiohttp
import pytest

from lamplighter.app import Storage
from lamplighter.cli.serve import serving
from lamplighter.config import Config, parse_config_text
from lamplighter.errors import ConfigError
from tests.interop.processes import reserved_port


def config_for(folder: Path, *ports: int) -> Config:
    """Return the configuration of a server at these ports."""
    addresses = ", ".join(f"127.0.0.1:{port}" for port in ports)
    return parse_config_text(f"server_name: demo\nlisten: [{addresses}]\n", folder / "x.yaml")


async def health(port: int) -> int:
    """Return the status of `/health`; raise `ClientConnectorError` if nobody listens."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/health") as response,
    ):
        return response.status


async def test_every_address(tmp_path: Path) -> None:
    """The server answers at every address of the configuration, until the block ends."""
    with reserved_port() as one, reserved_port() as other:
        async with serving(config_for(tmp_path, one, other), Storage.in_memory()):
            assert [await health(port) for port in (one, other)] == [200, 200]
        for port in (one, other):
            with pytest.raises(aiohttp.ClientConnectorError):
                await health(port)


async def test_an_address_that_is_taken(tmp_path: Path) -> None:
    """Where one address cannot be used, the others are given back, and nothing is left running."""
    with reserved_port() as one, reserved_port() as other:
        async with serving(config_for(tmp_path, other), Storage.in_memory()):
            with pytest.raises(ConfigError, match=f"listen: 127.0.0.1:{other} is in use"):
                async with serving(config_for(tmp_path, one, other), Storage.in_memory()):
                    pass
            with pytest.raises(aiohttp.ClientConnectorError):
                await health(one)
            assert await health(other) == 200


async def test_what_was_said_is_kept(tmp_path: Path) -> None:
    """A second server on the same directory has the data of the first."""
    with reserved_port() as port:
        config = config_for(tmp_path, port)
        async with serving(config, Storage.in_directory(tmp_path / "data")) as server:
            login = await server.directory.register("bob", None)
        async with serving(config, Storage.in_directory(tmp_path / "data")) as server:
            requester = await server.directory.authenticate(login.access_token)
    assert requester.user_id == "@bob:demo"
