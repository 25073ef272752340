"""The server-server API without a network, and another server that sends requests to it.

The peer signs with `signedjson` itself, so that it does not depend on the code that is tested.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import msgspec
from signedjson.key import generate_signing_key
from signedjson.types import SigningKey

from lamplighter.clock import after
from lamplighter.devtools.clock import FakeClock
from lamplighter.devtools.http import Response
from lamplighter.errors import RemoteUnreachable
from lamplighter.federation.inbound import Inbound
from lamplighter.federation.keyring import Keyring
from lamplighter.federation.keys import SigningKeys
from lamplighter.federation.policy import ServerPolicy
from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.ids import ServerName, UserId
from lamplighter.ports import Json
from lamplighter.presence.events import RemoteUpdate
from lamplighter.presence.state import Presence
from lamplighter.web.address import ClientAddress
from lamplighter.web.application import Application
from lamplighter.web.federation import federation_endpoints
from tests.federation.signed import key_id, published, signature
from tests.homeserver.world import SERVER
from tests.web.clients import client_of

__all__ = ["DAVE", "ONLINE", "THERE", "Header", "Host", "HostMaker", "Peer", "error_of", "presence"]

THERE: Final = ServerName("there.example")
DAVE: Final = UserId("@dave:there.example")
#: The update when Dave is online.
ONLINE: Final = RemoteUpdate(DAVE, Presence.ONLINE)


def presence(*push: object) -> Json:
    """Return an EDU with the entries *push*; without them, one that Dave is online."""
    entries = list(push) or [{"user_id": DAVE, "presence": "online"}]
    return {"edu_type": "m.presence", "content": {"push": entries}}


def error_of(response: Response) -> tuple[int, str, str]:
    """Return status, errcode and text of a refusal, which has no other content."""
    content = msgspec.json.decode(response.body, type=dict[str, str])
    errcode, error = content.pop("errcode"), content.pop("error")
    assert content == {}
    return response.status, errcode, error


class PublishedKeys:
    """The published keys of some servers; all others are dead."""

    def __init__(self) -> None:
        self.answers: dict[ServerName, Json] = {}
        self.asked: list[ServerName] = []

    async def server_keys(self, server: ServerName) -> Json:
        self.asked.append(server)
        if server not in self.answers:
            raise RemoteUnreachable(f"{server} is dead")
        return self.answers[server]


class Host:
    """The server that is tested, with the keys that it can fetch."""

    def __init__(
        self,
        accounts: SqlDirectory,
        clock: FakeClock,
        keys: SigningKeys,
        *,
        policy: ServerPolicy | None = None,
        well_known_server: ServerName | None = None,
        notary: bool = True,
    ) -> None:
        self.clock = clock
        self.keys = keys
        self.published = PublishedKeys()
        #: All presence that was accepted.
        self.heard: list[RemoteUpdate] = []
        #: The origins whose transactions were processed.
        self.speakers: list[ServerName] = []
        self._application = Application(
            federation_endpoints(
                keys=keys,
                keyring=Keyring(self.published.server_keys),
                policy=policy or ServerPolicy(),
                inbound=Inbound(self.heard.extend, self.speakers.append, clock, busy_allowed=True),
                accounts=accounts,
                well_known_server=well_known_server,
                notary=notary,
                client_address=ClientAddress(()),
                clock=clock,
            )
        )

    async def send(
        self,
        method: str,
        uri: str,
        body: bytes | Sequence[bytes] = b"",
        headers: Mapping[str, str] | None = None,
        address: str = "192.0.2.1",
    ) -> Response:
        """Send a request with this URI; a *body* in several chunks is sent without a length."""
        sent = dict(headers or {})
        if isinstance(body, bytes):
            sent.setdefault("content-length", str(len(body)))
        else:
            sent["transfer-encoding"] = "chunked"
        client = client_of(self._application, address=address)
        return await client.send(method, uri, sent, body).response()

    async def post(self, uri: str, content: object) -> Response:
        """Send an unsigned POST."""
        return await self.send("POST", uri, msgspec.json.encode(content))


HostMaker = Callable[..., Host]


@dataclass(frozen=True)
class Header:
    """The parts of an `Authorization` header."""

    origin: str
    destination: str
    key: str
    sig: str

    def __str__(self) -> str:
        return (
            f'X-Matrix origin="{self.origin}",destination="{self.destination}",'
            f'key="{self.key}",sig="{self.sig}"'
        )


@dataclass(frozen=True)
class Peer:
    """Another server, with one key."""

    host: Host
    name: ServerName = THERE
    key: SigningKey = field(default_factory=lambda: generate_signing_key("one"))

    def publish(
        self,
        *keys: SigningKey,
        valid_for: timedelta = timedelta(hours=1),
        **others: Any,
    ) -> Json:
        """Publish *keys*, or the one key; return the published content."""
        until = after(self.host.clock.now(), valid_for)
        content = published(self.name, *(keys or (self.key,)), until=until, **others)
        self.host.published.answers[self.name] = content
        return content

    def header(
        self,
        method: str,
        uri: str,
        content: object = None,
        *,
        destination: str = SERVER,
        key: SigningKey | None = None,
    ) -> Header:
        """Return the header of a request that the peer signs, with its key or with *key*."""
        key = key or self.key
        sig = signature(self.name, destination, method, uri, content, key)
        return Header(self.name, destination, key_id(key), sig)

    def transaction(self, *edus: object, **others: object) -> Json:
        """Return a transaction; without *edus*, one that Dave is online."""
        return {
            "origin": self.name,
            "origin_server_ts": self.host.clock.now(),
            "edus": list(edus) or [presence()],
            **others,
        }

    async def put(self, content: object, txn_id: str = "1", address: str = "192.0.2.1") -> Response:
        """Send *content* as a signed transaction."""
        uri = f"/_matrix/federation/v1/send/{txn_id}"
        headers = {"authorization": str(self.header("PUT", uri, content))}
        return await self.host.send("PUT", uri, msgspec.json.encode(content), headers, address)

    async def introduce(self) -> None:
        """Send a signed request, so that the host fetches the peer's keys."""
        profile = f"/_matrix/federation/v1/query/profile?user_id=@nobody:{SERVER}"
        assert (await self.get(profile)).status == 404

    async def get(self, uri: str) -> Response:
        """Send a signed GET."""
        headers = {"authorization": str(self.header("GET", uri))}
        return await self.host.send("GET", uri, b"", headers)
