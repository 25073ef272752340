"""The server-server API: one file per family of endpoints. The first line names the routes."""

from lamplighter.clock import Clock
from lamplighter.federation.inbound import Inbound
from lamplighter.federation.keyring import Keyring
from lamplighter.federation.keys import SigningKeys
from lamplighter.federation.policy import ServerPolicy
from lamplighter.ids import ServerName
from lamplighter.ports import Lookups
from lamplighter.web.address import ClientAddress
from lamplighter.web.federation.auth import XMatrixAuth
from lamplighter.web.federation.keys import ServerKeyEndpoints
from lamplighter.web.federation.query import ProfileQuery
from lamplighter.web.federation.send import SendTransaction
from lamplighter.web.federation.version import FederationVersion, WellKnownServer
from lamplighter.web.routes import Route

__all__ = ["federation_endpoints"]


def federation_endpoints(
    *,
    keys: SigningKeys,
    keyring: Keyring,
    policy: ServerPolicy,
    inbound: Inbound,
    accounts: Lookups,
    well_known_server: ServerName | None,
    notary: bool,
    client_address: ClientAddress,
    clock: Clock,
) -> list[Route]:
    """Return the routes of all families."""
    auth = XMatrixAuth(keys.server_name, keyring, policy, client_address, clock)
    families = (
        ServerKeyEndpoints(keys, keyring, clock, notary=notary),
        SendTransaction(auth, inbound),
        ProfileQuery(keys.server_name, auth, accounts),
        FederationVersion(),
        WellKnownServer(well_known_server),
    )
    return [route for family in families for route in family.routes()]
