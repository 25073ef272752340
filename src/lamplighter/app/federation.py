"""Wires federation, where it is enabled."""

import secrets
import ssl
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from starlette.types import ASGIApp

from lamplighter.clock import Clock
from lamplighter.config import Config, FederationSettings
from lamplighter.errors import ConfigError
from lamplighter.federation.addresses import AddressRules
from lamplighter.federation.client import FederationClient
from lamplighter.federation.discovery import Discovery, Locator
from lamplighter.federation.inbound import Inbound
from lamplighter.federation.keyring import Keyring
from lamplighter.federation.keys import SigningKeys
from lamplighter.federation.policy import ServerPolicy
from lamplighter.federation.resolver import DnsResolver
from lamplighter.federation.sender import DestinationStatus, FederationSender, SenderSettings
from lamplighter.federation.transport import Transport, tls_context
from lamplighter.federation.well_known import WellKnown, WellKnownRequests
from lamplighter.ids import ServerName, UserId
from lamplighter.metrics import Metrics
from lamplighter.ports import BackoffStore, Lookups, Outgoing
from lamplighter.presence.state import UserPresenceState
from lamplighter.service.federated import FederatedPresence
from lamplighter.web.address import ClientAddress
from lamplighter.web.application import Application
from lamplighter.web.federation import federation_endpoints
from lamplighter.web.federation.passing import PassingTransactions
from lamplighter.web.http.settings import ConnectionRoom
from lamplighter.web.listener import Certificate, Listener
from lamplighter.web.server import matrix_server

__all__ = ["Federation", "Nowhere"]


class Nowhere:
    """An `Outgoing` of a server that speaks to no other."""

    def send(self, server_name: ServerName, states: Sequence[UserPresenceState]) -> None:
        """There is nobody to tell."""

    def take_back(self) -> AbstractSet[UserId]:
        """Nothing waits."""
        return frozenset()

    def withdraw(
        self,
        server_name: ServerName,  # noqa: ARG002 - the signature is that of the port
        users: AbstractSet[UserId],  # noqa: ARG002 - likewise
    ) -> AbstractSet[UserId]:
        """Nothing waits."""
        return frozenset()

    @property
    def reaches_others(self) -> bool:
        """Tell that there is no way."""
        return False

    def sends_to(self, server_name: ServerName) -> bool:  # noqa: ARG002 - likewise
        """Tell that nothing is sent there."""
        return False

    def cease(self, is_theirs: Callable[[ServerName], bool]) -> None:
        """Nothing waits."""

    async def take_over(self, is_ours: Callable[[ServerName], bool]) -> None:
        """Nobody has sent anything."""

    def heard_from(self, server_name: ServerName) -> None:
        """No server is tried."""


@dataclass(frozen=True, slots=True)
class Federation:
    """The parts for both directions of federation."""

    _config: Config
    _clock: Clock
    _keys: SigningKeys
    _keyring: Keyring
    _policy: ServerPolicy
    _transport: Transport
    _sender: FederationSender

    @classmethod
    async def begin(
        cls,
        config: Config,
        clock: Clock,
        keys: SigningKeys,
        store: BackoffStore,
        transport: Transport | None = None,
    ) -> "Federation":
        """Load certificates and back-offs; raise `ConfigError` where a file is of no use.

        *transport* stands in for the one that opens connections.
        """
        settings = config.federation
        rules = AddressRules(settings.allow_addresses)
        if transport is None:
            transport = Transport(_tls(settings), rules.admits)
        locator = Locator(DnsResolver(), rules.admits)
        well_known = WellKnown(WellKnownRequests(transport, locator, clock).fetch)
        client = FederationClient(keys, Discovery(locator, well_known.delegate), transport, clock)
        policy = ServerPolicy(settings.allow_servers, settings.deny_servers)
        sender = FederationSender(
            server_name=config.server_name,
            clock=clock,
            request=client.request,
            policy=policy,
            store=store,
            random=lambda: secrets.randbits(53) / (1 << 53),
            settings=SenderSettings(),
        )
        await sender.start()
        return cls(config, clock, keys, Keyring(client.server_keys), policy, transport, sender)

    @property
    def outgoing(self) -> Outgoing:
        """The way to other servers."""
        return self._sender

    def destinations(self) -> Sequence[DestinationStatus]:
        """Return the status of each server for which states wait, or which did not answer last."""
        return self._sender.statuses()

    def listener(
        self,
        presence: FederatedPresence,
        accounts: Lookups,
        metrics: Metrics,
        room: ConnectionRoom,
    ) -> Listener:
        """Return the listener for other servers; raise `ConfigError` for a useless certificate."""
        settings = self._config.federation
        certificate = None
        if settings.tls_certificate is not None and settings.tls_private_key is not None:
            certificate = Certificate(settings.tls_certificate, settings.tls_private_key)
        server = matrix_server(
            self.application(presence, accounts),
            self._clock,
            room=room,
            count_refused=metrics.connection_refused,
        )
        return Listener(server, settings.listen, certificate=certificate, section="federation.")

    def application(self, presence: FederatedPresence, accounts: Lookups) -> ASGIApp:
        """Return the server-server API."""
        endpoints = federation_endpoints(
            keys=self._keys,
            keyring=self._keyring,
            policy=self._policy,
            inbound=self._inbound(presence),
            accounts=accounts,
            well_known_server=self._config.federation.well_known_server,
            notary=self._config.federation.notary == "known",
            client_address=ClientAddress(self._config.trusted_proxies),
            clock=self._clock,
        )
        return Application(endpoints)

    def in_front_of(self, homeserver: ASGIApp, presence: FederatedPresence) -> ASGIApp:
        """Return what takes presence out of what other servers send to *homeserver*."""
        return PassingTransactions(
            homeserver, self._inbound(presence), self._config.server_name, self._policy
        )

    def _inbound(self, presence: FederatedPresence) -> Inbound:
        return Inbound(
            presence.remote_updates,
            presence.heard_from,
            self._clock,
            busy_allowed=self._config.presence.busy,
        )

    async def stop(self) -> None:
        """Give up what is under way, and close all connections."""
        await self._sender.stop()
        await self._keyring.close()
        await self._transport.close()


def _tls(settings: FederationSettings) -> ssl.SSLContext:
    try:
        return tls_context(
            verify=settings.verify_certificates, extra_ca_files=settings.extra_ca_files
        )
    except ConfigError as error:
        raise ConfigError(f"federation.extra_ca_files: {error}") from None
