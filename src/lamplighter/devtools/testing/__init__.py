"""What the pytest plugin gives to tests: a server, people and rooms, without asyncio."""

from lamplighter.devtools.testing.people import Person, RemotePerson, Room
from lamplighter.devtools.testing.sees_result import SeesResult
from lamplighter.devtools.testing.server import PresenceServer, ServerClock

__all__ = ["Person", "PresenceServer", "RemotePerson", "Room", "SeesResult", "ServerClock"]
