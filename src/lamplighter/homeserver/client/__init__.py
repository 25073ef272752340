"""The client API of the built-in homeserver: one file per family of endpoints.

A file's first line is its routes, without the prefix `/_matrix/client/{r0,v3}`.
"""

from collections.abc import Callable, Iterable, Mapping

from lamplighter.delivery.tokens import Tokens
from lamplighter.homeserver.client.account import AccountEndpoints
from lamplighter.homeserver.client.account_data import AccountDataEndpoints
from lamplighter.homeserver.client.create_room import CreateRoom
from lamplighter.homeserver.client.fixed_answers import FixedAnswers
from lamplighter.homeserver.client.heavy import held
from lamplighter.homeserver.client.history import HistoryEndpoints
from lamplighter.homeserver.client.interactive import PasswordStage
from lamplighter.homeserver.client.login import LoginEndpoints
from lamplighter.homeserver.client.membership import MembershipEndpoints
from lamplighter.homeserver.client.metered import MeteredAuthenticator
from lamplighter.homeserver.client.profile import ProfileEndpoints
from lamplighter.homeserver.client.register import Register
from lamplighter.homeserver.client.room_directory import RoomDirectoryEndpoints
from lamplighter.homeserver.client.room_state import RoomState
from lamplighter.homeserver.client.send import Send
from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.ports import Requester
from lamplighter.web.access_log import AccessLog
from lamplighter.web.address import ClientAddress
from lamplighter.web.auth import Authenticator
from lamplighter.web.limits import Limiter
from lamplighter.web.places import Places
from lamplighter.web.routes import Route

__all__ = ["client_endpoints"]


def client_endpoints(
    *,
    directory: SqlDirectory,
    registration_open: bool,
    client_address: ClientAddress,
    login_limiter: Limiter,
    registration_limiter: Limiter,
    fan_out_limiter: Limiter,
    rooms_limiter: Limiter,
    places: Places,
    tokens: Tokens,
    acted: Callable[[Requester], None],
    unstable_features: Mapping[str, bool],
    access_log: AccessLog,
    more: Iterable[Route] = (),
) -> list[Route]:
    """Return the routes of all families, and *more*; *acted* is told of requesters' activity.

    *fan_out_limiter* is for small requests that cause much work: new rooms, new names, searches.
    *rooms_limiter* is for writes to rooms and account data.
    """
    authenticator = Authenticator(directory)
    metered = MeteredAuthenticator(directory, rooms_limiter, acted)
    password = PasswordStage(directory, login_limiter, access_log)
    families = (
        FixedAnswers(authenticator, unstable_features),
        LoginEndpoints(authenticator, directory, login_limiter, client_address, access_log),
        Register(directory, registration_limiter, client_address, registration_open),
        AccountEndpoints(authenticator, directory, password),
        CreateRoom(metered, directory, fan_out_limiter),
        MembershipEndpoints(metered, directory),
        RoomState(metered, directory),
        HistoryEndpoints(authenticator, directory, tokens),
        RoomDirectoryEndpoints(metered, directory),
        Send(metered, directory),
        ProfileEndpoints(authenticator, directory, fan_out_limiter),
        AccountDataEndpoints(metered, directory),
    )
    routes = [route for family in families for route in family.routes()]
    return held([*routes, *more], authenticator, places)
