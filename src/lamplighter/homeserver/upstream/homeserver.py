"""Another homeserver, behind this server: clients reach it through here."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

import structlog
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from lamplighter.clock import Clock
from lamplighter.cluster.positions import BEGINNING, instant_of
from lamplighter.config import Config, HomeserverSettings, PresenceMode
from lamplighter.database.engine import Database
from lamplighter.database.known_members import KnownMembers
from lamplighter.delivery.tokens import Tokens, UpstreamTokens
from lamplighter.homeserver.upstream.client import Connect, UpstreamClient, connect_to
from lamplighter.homeserver.upstream.doctor import Doctor
from lamplighter.homeserver.upstream.findings import Findings, memberships_in
from lamplighter.homeserver.upstream.forwarding import Forwarding
from lamplighter.homeserver.upstream.headers import forwarded_headers
from lamplighter.homeserver.upstream.identity import UpstreamIdentity
from lamplighter.homeserver.upstream.lookups import UpstreamLookups
from lamplighter.homeserver.upstream.members_saving import KEPT, MembersSaving
from lamplighter.homeserver.upstream.polls import UpstreamRoomsHalf
from lamplighter.homeserver.upstream.registration import read_registration
from lamplighter.homeserver.upstream.rooms import UpstreamRooms
from lamplighter.homeserver.upstream.service import AppService
from lamplighter.homeserver.upstream.sliding_sync import SlidingSync
from lamplighter.homeserver.upstream.standing import UpstreamStanding
from lamplighter.homeserver.upstream.transactions import ServiceEndpoints
from lamplighter.homeserver.upstream.versions import with_busy
from lamplighter.homeserver.upstream.watch import WatchRequests
from lamplighter.ids import DeviceId, StreamEpoch, StreamPosition, UserId
from lamplighter.ports import DirectoryListener, MembershipChange, RequestHead, WayToNodes
from lamplighter.service.background import Background
from lamplighter.web.address import ClientAddress
from lamplighter.web.admin.operations import Operation
from lamplighter.web.client.parts import ClientParts
from lamplighter.web.fields import PresenceNames
from lamplighter.web.http.request import Headers

__all__ = ["UpstreamHomeserver"]

_log = structlog.get_logger(__name__)

#: The answer of a `/sync` is read here, as it is.
_NOT_FOR_SYNC: Final = frozenset({b"accept-encoding", b"content-length"})


class UpstreamHomeserver:
    """A homeserver at another address, with presence switched off there."""

    def __init__(
        self,
        config: Config,
        settings: HomeserverSettings,
        clock: Clock,
        database: Database,
        background: Background,
        connect: Connect | None = None,
    ) -> None:
        """*connect* stands in for connections to the homeserver. Raises `ConfigError`."""
        registration = read_registration(settings.registration)
        self._clock = clock
        self._background = background
        self._names = PresenceNames(busy=config.presence.busy)
        self._presence_is_on = config.presence.enabled is not PresenceMode.OFF
        client = UpstreamClient(
            connect or connect_to(settings.url), settings.url.address.encode(), clock
        )
        trusts = ClientAddress(config.trusted_proxies).trusts
        self._client = client
        doctor = Doctor(client, registration, config.server_name)
        self._standing = standing = UpstreamStanding(doctor, clock, background)
        self._service = AppService(
            client, registration.as_token, config.server_name, standing.suspect
        )
        self._saving = saving = MembersSaving(KnownMembers(database, KEPT), clock, background)
        self._findings = findings = Findings(saving, clock, background)
        self.membership = rooms = UpstreamRooms(self._service, saving, findings, clock, background)
        forwarded = partial(_sync_headers, trusts)
        self.identity = UpstreamIdentity(
            client, config.server_name, forwarded, clock, rooms.appeared
        )
        self.lookups = UpstreamLookups(self.identity, self._service, rooms.local_member)
        self.rooms_half = UpstreamRoomsHalf(
            client, self.identity, rooms, forwarded, clock, background
        )
        self._watch = WatchRequests(self.identity, rooms, findings, clock)
        findings.when_heard(rooms.believe, self._ended)
        #: Up to where this node has heard in the stream what nodes have found out.
        self._heard = BEGINNING
        self._endpoints = ServiceEndpoints(registration.hs_token, rooms, standing.suspect)
        passing_on = Forwarding(client, trusts, self._watch)
        self.everything_else: ASGIApp | None = (
            with_busy(passing_on) if config.presence.busy else passing_on
        )

    async def start(self) -> None:
        """Read who was in which room. Nothing is asked yet: the homeserver may be away."""
        await self.membership.start()

    @property
    def problem(self) -> str | None:
        return self._standing.problem

    def opened(self) -> None:
        self.membership.opened()
        self._standing.begin()

    def listen(self, listener: DirectoryListener) -> None:
        self._findings.listen(listener)
        self.rooms_half.listen(listener)

    def join_cluster(self, way: WayToNodes) -> None:
        # Whatever was found out before is asked for again.
        self._heard = way.after
        self._findings.spread_by(way.spread)
        self.identity.join_cluster(way.catch_up)

    def heard(self, position: StreamPosition, news: bytes) -> None:
        self._heard = max(self._heard, position)
        self._findings.heard(position, news)

    def told_before(self, told: Mapping[StreamPosition, bytes]) -> None:
        for position, news in told.items():
            self.membership.believe(memberships_in(news), instant_of(position))

    async def kept(self, told: Mapping[StreamPosition, bytes]) -> Sequence[bytes]:
        news = {**told, **await self._saving.told_lately()}
        return [news[position] for position in sorted(news)]

    async def stream_lost(self) -> Sequence[bytes]:
        told = await self._saving.told_lately()
        unheard = {position: it for position, it in told.items() if position > self._heard}
        for position, news in unheard.items():
            self.heard(position, news)
        # As after a start: nobody is answered by what is known before the homeserver was asked.
        self.identity.forget_everybody()
        self.membership.doubt()
        return tuple(unheard.values())

    def memberships_in(self, news: bytes) -> Sequence[MembershipChange]:
        return memberships_in(news)

    def _ended(self, user_id: UserId, device_ids: frozenset[DeviceId]) -> None:
        """Ask anew who uses a user's tokens, and end what is under way for the devices."""
        self.identity.forget_user(user_id)
        self.rooms_half.forget(user_id, device_ids)

    def tokens(self, epoch: StreamEpoch, node: str) -> Tokens:
        return UpstreamTokens(epoch, node, presence_is_on=self._presence_is_on)

    def routes(self, parts: ClientParts) -> Sequence[BaseRoute]:
        self._watch.tell_activity(parts.core.intake.acted)
        sliding_sync = SlidingSync(parts, self._names)
        return [*self._endpoints.routes(), *sliding_sync.routes()]

    def operations(self) -> list[Operation]:
        return []

    def refuse_writes(self) -> None:
        """Change nothing: this homeserver takes writes from others, too."""

    async def stop(self) -> None:
        await self.membership.stop()
        await self._client.close()


def _sync_headers(trusts: Callable[[str], bool], head: RequestHead) -> Headers:
    """Return the headers of a client's `/sync` for the homeserver: the answer is to be read."""
    passed = forwarded_headers(list(head.headers), head.peer(), "http", trusts)
    # A form, which the body of a sliding sync is not, would be read for parameters, too.
    return [
        (name, b"application/json" if name == b"content-type" else value)
        for name, value in passed
        if name not in _NOT_FOR_SYNC
    ]
