"""The client API over a directory in memory, and people who use it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Send

from lamplighter.delivery.tokens import Tokens
from lamplighter.devtools.clock import FakeClock
from lamplighter.devtools.http import HttpClient, Response
from lamplighter.homeserver.client import client_endpoints
from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.ids import DeviceId, ServerName, StreamEpoch, UserId
from lamplighter.ports import Requester
from lamplighter.web.access_log import AccessLog
from lamplighter.web.address import ClientAddress
from lamplighter.web.admin.health import Health
from lamplighter.web.application import Application
from lamplighter.web.limits import Limiter, RateLimiter
from lamplighter.web.places import Places
from tests.web.clients import client_of

__all__ = ["EPOCH", "SERVER", "V3", "Person", "World", "q", "while_sending"]

SERVER: Final = ServerName("demo")
EPOCH: Final = StreamEpoch("d642dfa0")
V3: Final = "/_matrix/client/v3"


def q(text: str) -> str:
    """Return *text* as one segment of a path."""
    return quote(text, safe="")


def while_sending(application: ASGIApp, happens: Callable[[], Awaitable[object]]) -> ASGIApp:
    """Return *application* for clients during whose bodies something happens."""

    async def slow(scope: Message, receive: Receive, send: Send) -> None:
        async def receive_slowly() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                await happens()
            return message

        await application(scope, receive_slowly, send)

    return slow


class World:
    """A server: what it holds, its clock, and who was active in it."""

    def __init__(
        self,
        directory: SqlDirectory,
        clock: FakeClock,
        *,
        registration_open: bool = True,
        rooms: Limiter | None = None,
    ) -> None:
        self.directory = directory
        self.clock = clock
        self.acted: list[Requester] = []
        self.storage_works = True
        self.logins: list[str] = []
        self.routes = client_endpoints(
            directory=directory,
            registration_open=registration_open,
            client_address=ClientAddress([]),
            login_limiter=RateLimiter(1, 5, self.clock),
            registration_limiter=RateLimiter(1, 3, self.clock),
            fan_out_limiter=RateLimiter(10, 50, self.clock),
            rooms_limiter=Limiter() if rooms is None else rooms,
            places=Places(),
            tokens=Tokens(EPOCH),
            acted=self.acted.append,
            unstable_features={"org.example.feature": True},
            access_log=AccessLog(self.clock, self.logins.append, ClientAddress([])),
        )
        health = Health(lambda: self.storage_works).routes()
        self.application = Application([*self.routes, *health])
        self.client = client_of(self.application)

    async def person(self, name: str, password: str | None = None) -> "Person":
        """Return a new user with one device, PHONE; without a password it takes less time."""
        login = await self.directory.register(name, password, device_id=DeviceId("PHONE"))
        return Person(login.user_id, login.access_token, self.client)

    async def post(self, path: str, json: object, address: str = "192.0.2.1") -> Response:
        """Send a POST without a token, from *address*."""
        client = client_of(self.application, address=address)
        return await client.request("POST", V3 + path, json=json)

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Response:
        """Send a GET without a token."""
        return await self.client.request("GET", V3 + path, query=query)


@dataclass(frozen=True)
class Person:
    """A user at a device, with paths that begin after `/_matrix/client/v3`."""

    user_id: UserId
    token: str
    client: HttpClient

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Response:
        return await self.client.request("GET", V3 + path, token=self.token, query=query)

    async def put(self, path: str, json: object) -> Response:
        return await self.client.request("PUT", V3 + path, token=self.token, json=json)

    async def post(self, path: str, json: object) -> Response:
        return await self.client.request("POST", V3 + path, token=self.token, json=json)

    async def delete(self, path: str, json: object) -> Response:
        return await self.client.request("DELETE", V3 + path, token=self.token, json=json)

    async def room(self, **body: Any) -> str:
        """Create a room; return its ID."""
        response = await self.post("/createRoom", body)
        room_id: str = response.json["room_id"]
        return room_id
