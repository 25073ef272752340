"""The client API of the built-in homeserver: one file per family of endpoints.

A file's first line is its routes, without the prefix `/_matrix/client/{r0,v3}`.
"""

from collections.abc import Callable, Iterable, Mapping

from lamplighter.delivery.tokens import Tokens
from lamplighter.homeserver.client.account import AccountEndpoints
from lamplighter.homeserver.client.account_data import AccountDataEndpoints
from lamplighter.homeserver.client.activity import ActivityNotes
from lamplighter.homeserver.client.create_room import CreateRoom
from lamplighter.homeserver.client.devices import DeviceEndpoints
from lamplighter.homeserver.client.fixed_answers import FixedAnswers
from lamplighter.homeserver.client.heavy import HeavyReads
from lamplighter.homeserver.client.history import HistoryEndpoints
from lamplighter.homeserver.client.interactive import PasswordStage
from lamplighter.homeserver.client.login import LoginEndpoints
from lamplighter.homeserver.client.logout import Logout
from lamplighter.homeserver.client.membership import MembershipEndpoints
from lamplighter.homeserver.client.metered import MeteredAuthenticator
from lamplighter.homeserver.client.profile import ProfileEndpoints
from lamplighter.homeserver.client.public_rooms import PublicRoomsEndpoints
from lamplighter.homeserver.client.register import ClosedRegistration, Register
from lamplighter.homeserver.client.room_aliases import RoomAliases
from lamplighter.homeserver.client.room_state import RoomState
from lamplighter.homeserver.client.send import Send
from lamplighter.homeserver.client.typing_and_receipts import TypingAndReceipts
from lamplighter.homeserver.client.uploaded_filters import UploadedFilters
from lamplighter.homeserver.client.user_directory import UserDirectory
from lamplighter.homeserver.client.versions import Versions
from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.ids import ServerName
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
    server_name: ServerName,
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

    *fan_out_limiter* is for what is little to ask and much to do: new rooms, new names.
    *rooms_limiter* is for what is put into rooms and account data.
    """
    authenticator = Authenticator(directory)
    metered = MeteredAuthenticator(directory, rooms_limiter)
    password = PasswordStage(directory, server_name, login_limiter, access_log)
    activity = ActivityNotes(authenticator, acted)
    register = Register(directory, server_name, registration_limiter, client_address)
    families = (
        Versions(unstable_features),
        LoginEndpoints(directory, server_name, login_limiter, client_address, access_log),
        register if registration_open else ClosedRegistration(),
        Logout(authenticator, directory),
        AccountEndpoints(authenticator, directory, password),
        DeviceEndpoints(authenticator, directory, password),
        CreateRoom(metered, directory, server_name, fan_out_limiter),
        MembershipEndpoints(metered, directory),
        RoomState(metered, directory, activity),
        HistoryEndpoints(authenticator, directory, tokens),
        PublicRoomsEndpoints(metered, directory, server_name),
        UserDirectory(authenticator, directory, fan_out_limiter),
        Send(metered, directory, activity),
        TypingAndReceipts(metered, directory, activity),
        RoomAliases(metered, directory, server_name),
        ProfileEndpoints(authenticator, directory, fan_out_limiter),
        UploadedFilters(metered, directory),
        AccountDataEndpoints(metered, directory),
        FixedAnswers(authenticator),
    )
    routes = [route for family in families for route in family.routes()]
    return HeavyReads(authenticator, places).held([*routes, *more])
