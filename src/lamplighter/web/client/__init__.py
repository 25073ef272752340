"""The client-server API but for presence and `/sync`: one file per family of endpoints.

A file's first line is its routes, without the prefix `/_matrix/client/{r0,v3}`.
"""

from collections.abc import Callable, Mapping

from lamplighter.delivery.tokens import Tokens
from lamplighter.ids import ServerName
from lamplighter.ports import Requester
from lamplighter.room_ports import BuiltInDirectory
from lamplighter.web.access_log import AccessLog
from lamplighter.web.address import ClientAddress
from lamplighter.web.auth import Authenticator
from lamplighter.web.client.account import AccountEndpoints
from lamplighter.web.client.account_data import AccountData
from lamplighter.web.client.activity import Activity
from lamplighter.web.client.capabilities import Capabilities
from lamplighter.web.client.create_room import CreateRoom
from lamplighter.web.client.devices import Devices
from lamplighter.web.client.heavy import HeavyReads
from lamplighter.web.client.history import History
from lamplighter.web.client.interactive import PasswordStage
from lamplighter.web.client.login import Login
from lamplighter.web.client.logout import Logout
from lamplighter.web.client.membership import MembershipEndpoints
from lamplighter.web.client.not_here import NotHere
from lamplighter.web.client.profile import ProfileEndpoints
from lamplighter.web.client.public_rooms import PublicRooms
from lamplighter.web.client.push_rules import PushRules
from lamplighter.web.client.register import ClosedRegistration, Register
from lamplighter.web.client.room_aliases import RoomAliases
from lamplighter.web.client.room_state import RoomState
from lamplighter.web.client.send import Send
from lamplighter.web.client.typing_and_receipts import TypingAndReceipts
from lamplighter.web.client.uploaded_filters import UploadedFilters
from lamplighter.web.client.user_directory import UserDirectory
from lamplighter.web.client.versions import Versions
from lamplighter.web.limits import Limiter
from lamplighter.web.metered import MeteredAuthenticator
from lamplighter.web.places import Places
from lamplighter.web.routes import Route

__all__ = ["client_endpoints"]


def client_endpoints(
    *,
    directory: BuiltInDirectory,
    server_name: ServerName,
    registration_open: bool,
    client_address: ClientAddress,
    login_limiter: Limiter,
    registration_limiter: Limiter,
    fan_out_limiter: Limiter,
    rooms_limiter: Limiter,
    places: Places,
    acted: Callable[[Requester], None],
    unstable_features: Mapping[str, bool],
    access_log: AccessLog,
) -> list[Route]:
    """Return the routes of all families; *acted* is told of every activity of a requester.

    *fan_out_limiter* is for what is little to ask and much to do: new rooms, new names.
    *rooms_limiter* is for what is put into rooms and account data.
    """
    authenticator = Authenticator(directory)
    metered = MeteredAuthenticator(directory, rooms_limiter)
    password = PasswordStage(directory, server_name, login_limiter, access_log)
    activity = Activity(authenticator, acted)
    register = Register(directory, server_name, registration_limiter, client_address)
    families = (
        Versions(unstable_features),
        Capabilities(authenticator),
        Login(directory, server_name, login_limiter, client_address, access_log),
        register if registration_open else ClosedRegistration(),
        Logout(authenticator, directory),
        AccountEndpoints(authenticator, directory, password),
        Devices(authenticator, directory, password),
        CreateRoom(metered, directory, server_name, fan_out_limiter),
        MembershipEndpoints(metered, directory),
        RoomState(metered, directory, activity),
        History(authenticator, directory, Tokens(server_name)),
        PublicRooms(metered, directory, server_name),
        UserDirectory(authenticator, directory, fan_out_limiter),
        Send(metered, directory, activity),
        TypingAndReceipts(metered, directory, activity),
        RoomAliases(metered, directory, server_name),
        ProfileEndpoints(authenticator, directory, fan_out_limiter),
        UploadedFilters(metered, directory),
        AccountData(metered, directory),
        PushRules(authenticator),
        NotHere(authenticator),
    )
    routes = [route for family in families for route in family.routes()]
    return HeavyReads(authenticator, places).held(routes)
