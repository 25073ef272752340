"""All keys of the configuration, with their types and defaults.

The description of a type ends the error message for a wrong value: "... is not allowed; give
<description>".
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from lamplighter.config.values import (
    Address,
    BusUrl,
    DatabaseUrl,
    Duration,
    HomeserverUrl,
    Network,
    Size,
)
from lamplighter.ids import RoomId, ServerName

__all__ = [
    "AdminSettings",
    "ClusterSettings",
    "Config",
    "FederationSettings",
    "HomeserverSettings",
    "LogSettings",
    "ModuleEntry",
    "PresenceMode",
    "PresenceSettings",
    "Rate",
    "RateLimits",
    "RoutingSettings",
]


class PresenceMode(StrEnum):
    """Where presence comes from. The values are those of the configuration."""

    #: Clients, other servers and modules set presence.
    TRACKED = "true"
    #: There is no presence.
    OFF = "false"
    #: Only modules set presence; clients and other servers are ignored.
    UNTRACKED = "untracked"


Flag = Annotated[bool, Meta(description="true or false")]
Time = Annotated[
    Duration,
    Meta(
        description="a duration longer than 0, such as 500ms, 30s, 5m, 1h or 1d, "
        "or a number of milliseconds"
    ),
]
ListenOn = Annotated[
    Address, Meta(description="host:port or [IPv6 address]:port, with a port from 1 to 65535")
]


File = Annotated[Path, Meta(description="the path of a file")]


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class ModuleEntry(_Section, frozen=True):
    """A module to load, and its configuration, which the module gets unchanged."""

    module: Annotated[
        str,
        Meta(
            pattern=r"^[^\W\d]\w*(\.[^\W\d]\w*)+$",
            description="the dotted path of a class, such as my_package.MyPresenceRouter",
        ),
    ]
    config: Annotated[dict[Any, Any], Meta(description="a mapping")] = {}
    #: Whether the module is asked although its answers do not count.
    shadow: Flag = False


class HomeserverSettings(_Section, frozen=True):
    """The homeserver behind this server."""

    url: Annotated[
        HomeserverUrl,
        Meta(description="http://host:port, https://host:port or unix:/path of a socket"),
    ]
    #: The file that `lamplighter homeserver registration` writes.
    registration: File = Path("lamplighter-registration.yaml")
    #: The file of the key with which that homeserver signs; federation needs it.
    signing_key: File | None = None


class ClusterSettings(_Section, frozen=True):
    """This node of a cluster of nodes."""

    #: The name of this node, which no other node of the cluster has.
    node: Annotated[
        str,
        Meta(
            pattern=r"\A[0-9A-Za-z._-]{1,64}\Z",
            description="a name of this node alone: letters, digits, '.', '_' and '-'",
        ),
    ]
    bus: Annotated[
        BusUrl,
        Meta(
            description="the URL of a Valkey or a Redis, such as redis://127.0.0.1:6379/0, with"
            " %40, %2F, %3F and %23 for @, /, ? and # in the password"
        ),
    ]


class PresenceSettings(_Section, frozen=True):
    """When users are online, and for how long."""

    enabled: Annotated[PresenceMode, Meta(description="true, false or untracked")] = (
        PresenceMode.TRACKED
    )
    last_active_granularity: Time = Duration(seconds=60)
    sync_online_timeout: Time = Duration(seconds=30)
    idle_timeout: Time = Duration(minutes=5)
    busy: Flag = False
    busy_timeout: Time = Duration(minutes=60)
    federation_ping: Time = Duration(minutes=25)
    federation_timeout: Time = Duration(minutes=30)
    include_offline_users_on_sync: Flag = False
    sync_is_activity: Annotated[
        Literal["explicit", "always", "never"], Meta(description="explicit, always or never")
    ] = "explicit"
    presence_router: ModuleEntry | None = None


class RoutingSettings(_Section, frozen=True):
    """The visibility of users without modules, and the record of decisions."""

    shared_rooms: Flag = True
    exclude_rooms: Annotated[
        tuple[Annotated[RoomId, Meta(description="a room ID, such as !opaque:example.org")], ...],
        Meta(description="a list of room IDs"),
    ] = ()
    #: A room with more members does not count; None: any room may.
    largest_room: Annotated[int, Meta(ge=2, description="a whole number of at least 2")] | None = (
        None
    )
    #: `direct`: rooms with more than two members do not count.
    rooms: Annotated[Literal["all", "direct"], Meta(description="all or direct")] = "all"
    #: The file in which decisions are recorded; None records nothing.
    record: File | None = None
    record_size: Annotated[
        Size, Meta(description="a size larger than 0, such as 500KB, 64MB or 1GB")
    ] = Size(64_000_000)
    record_files: Annotated[
        int, Meta(ge=1, le=1000, description="a whole number from 1 to 1000")
    ] = 8

    @property
    def most_members(self) -> int | None:
        """How many members a room has at most that counts; None: any number."""
        return 2 if self.rooms == "direct" else self.largest_room

    @property
    def members_rule(self) -> str:
        """What decides `most_members`, in words."""
        if self.rooms == "direct":
            return "routing.rooms is direct"
        return f"routing.largest_room is {self.largest_room}"


class Rate(_Section, frozen=True):
    """A token bucket: *burst* requests at once, and *per_second* from then on."""

    per_second: Annotated[
        float, Meta(gt=0, le=1_000_000, description="a number above 0 and at most 1000000")
    ]
    burst: Annotated[int, Meta(ge=1, le=1_000_000, description="a whole number from 1 to 1000000")]


class RateLimits(_Section, frozen=True):
    """The rates for one requester; None is no limit."""

    presence: Rate | None = Rate(per_second=5, burst=20)
    login: Rate | None = Rate(per_second=1, burst=10)
    registration: Rate | None = Rate(per_second=1, burst=10)
    rooms: Rate | None = Rate(per_second=10, burst=100)


_Name = Annotated[
    str,
    Meta(
        pattern=r"\A[0-9A-Za-z.:*?\[\]\-]+\Z",
        description="a server name, such as example.org, *.example.org or example.org:8448",
    ),
]
Names = Annotated[
    tuple[_Name, ...], Meta(description="a list of server names; * stands for anything")
]


class FederationSettings(_Section, frozen=True):
    """Federation with other servers."""

    enabled: Flag = False
    #: In front of a homeserver: whether presence goes to the servers that share a room with a user.
    shared_rooms: Flag = True
    listen: ListenOn = Address("0.0.0.0:8448")
    tls_certificate: File | None = None
    tls_private_key: File | None = None
    #: None stands for `signing.key` in the data directory.
    signing_key: File | None = None
    verify_certificates: Flag = True
    extra_ca_files: Annotated[tuple[File, ...], Meta(description="a list of paths of files")] = ()
    allow_addresses: Annotated[
        tuple[Annotated[Network, Meta(description="a network such as 10.0.0.0/8")], ...],
        Meta(description="a list of networks, such as 10.0.0.0/8 or ::1/128"),
    ] = ()
    #: None admits all servers.
    allow_servers: Names | None = None
    deny_servers: Names = ()
    #: `known`: this server passes on keys of other servers that it has fetched for itself.
    notary: Annotated[Literal["known", "off"], Meta(description="known or off")] = "known"
    #: The content of `/.well-known/matrix/server`; None for no such document.
    well_known_server: Annotated[
        ServerName | None, Meta(description="the host or host:port that serves federation")
    ] = None


class AdminSettings(_Section, frozen=True):
    """The admin API."""

    #: The SHA-256 of the token, in hex. None: there is no admin API.
    token_hash: (
        Annotated[
            str,
            Meta(
                pattern=r"\A[0-9a-f]{64}\Z",
                description="the hash that `lamplighter admin-token` prints",
            ),
        ]
        | None
    ) = None


class LogSettings(_Section, frozen=True):
    """The log."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="debug, info, warning or error"),
    ] = "info"
    format: Annotated[
        Literal["auto", "console", "json"], Meta(description="auto, console or json")
    ] = "auto"


class Config(_Section, frozen=True):
    """The whole configuration."""

    server_name: Annotated[
        ServerName, Meta(description="the host or host:port that user IDs end in")
    ]
    listen: Annotated[
        tuple[ListenOn, ...], Meta(min_length=1, description="host:port, or a list of them")
    ] = (Address("127.0.0.1:8008"),)
    #: The homeserver behind this server; None is the built-in one.
    homeserver: HomeserverSettings | None = None
    data_dir: Annotated[Path, Meta(description="the path of a directory")] = Path("data")
    #: None keeps everything in a SQLite file in `data_dir`.
    database: Annotated[
        DatabaseUrl | None,
        Meta(
            description="a URL such as postgresql://user:password@host/name, with %40, %2F, %3F and"
            " %23 for @, /, ? and # in the password"
        ),
    ] = None
    #: This node of a cluster; None is a single node.
    cluster: ClusterSettings | None = None
    trusted_proxies: Annotated[
        tuple[Annotated[Network, Meta(description="a network such as 10.0.0.0/8")], ...],
        Meta(description="a list of addresses or networks, such as 10.0.0.0/8 or ::1/128"),
    ] = (Network("127.0.0.0/8"), Network("::1/128"))
    public_baseurl: Annotated[
        str | None, Meta(description="a URL that begins with https:// or http://")
    ] = None
    registration: Annotated[Literal["closed", "open"], Meta(description="closed or open")] = (
        "closed"
    )
    presence: PresenceSettings = PresenceSettings()
    routing: RoutingSettings = RoutingSettings()
    rate_limits: RateLimits = RateLimits()
    federation: FederationSettings = FederationSettings()
    module_timeout: Time = Duration(seconds=5)
    #: What to do with a module that has nothing to do with presence.
    modules_not_of_presence: Annotated[
        Literal["refuse", "skip"], Meta(description="refuse or skip")
    ] = "refuse"
    modules: Annotated[
        tuple[ModuleEntry, ...],
        Meta(description="a list of modules, each with module: and config:"),
    ] = ()
    admin: AdminSettings = AdminSettings()
    log: LogSettings = LogSettings()
