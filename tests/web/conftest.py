"""The fixtures of the built-in homeserver: the tests of this package need one to speak to."""

from tests.homeserver.conftest import (
    alice,
    bob,
    clock,
    closed_world,
    config,
    database,
    directory,
    dora,
    server,
    world,
)

__all__ = [
    "alice",
    "bob",
    "clock",
    "closed_world",
    "config",
    "database",
    "directory",
    "dora",
    "server",
    "world",
]
