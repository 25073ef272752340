"""The pytest plugin: fixtures with which a test speaks of people, not of requests.

    def test_the_help_desk_sees_who_is_on_call(presence_server, load_module, clock):
        load_module(OnCall, {"on_call": ["@bob:demo"], "help_desk": ["@alice:demo"]})
        alice, bob = presence_server.users("alice", "bob")
        bob.goes_online("brb")
        assert alice.sees(bob, "online")
        clock.advance(minutes=5)
        assert alice.sees(bob, "unavailable")

pytest loads this file in every project where Lamplighter is installed. So next to nothing of
Lamplighter is imported before a test asks for it.
"""

import inspect
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from lamplighter.modules.synapse_on_demand import serve_on_demand

if TYPE_CHECKING:
    from lamplighter.devtools.testing import PresenceServer, ServerClock

__all__ = ["clock", "load_module", "presence_config", "presence_server"]


# So a test file may begin with `from on_call import OnCall`, which imports `synapse.module_api`.
serve_on_demand()


@pytest.fixture
def presence_config() -> str:
    """The server's configuration in YAML; override it where a test needs another.

    `server_name` is `demo`, and there are no rate limits, unless it says so.
    """
    return ""


@pytest.fixture
def presence_server(
    request: pytest.FixtureRequest, presence_config: str
) -> "Iterator[PresenceServer]":
    """A Lamplighter in memory, whose time stands still; it starts with the first user."""
    if inspect.iscoroutinefunction(getattr(request, "function", None)):
        pytest.fail(
            "presence_server brings an event loop of its own, for tests that are plain functions: "
            "write `def`, or use lamplighter.devtools.server.running_server in `async def`",
            pytrace=False,
        )
    from lamplighter.devtools.testing import PresenceServer

    server = PresenceServer(presence_config)
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def load_module(presence_server: "PresenceServer") -> "Callable[..., None]":
    """A function that loads a module into the server: its class or dotted path, and its config."""
    return presence_server.load_module


@pytest.fixture
def clock(presence_server: "PresenceServer") -> "ServerClock":
    """The server's clock: `clock.advance(minutes=5)`."""
    return presence_server.clock
