"""Values for which YAML has no type: durations, sizes, networks, and addresses to listen on."""

import ipaddress
import re
from datetime import timedelta
from typing import Final
from urllib.parse import parse_qs, urlsplit

__all__ = [
    "Address",
    "BusUrl",
    "DatabaseUrl",
    "Duration",
    "HomeserverUrl",
    "Network",
    "Size",
    "parse_address",
    "parse_bus_url",
    "parse_database_url",
    "parse_duration",
    "parse_homeserver_url",
    "parse_network",
    "parse_size",
]

_UNITS: Final = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
_SIZES: Final = {"KB": 1_000, "MB": 1_000_000, "GB": 1_000_000_000}
_SIZE: Final = re.compile(r"([0-9]{1,9})\s*(KB|MB|GB)")
_DURATION: Final = re.compile(r"([0-9]{1,15})\s*(ms|s|m|h|d)?")
#: Scheme, user and password, host and port, name, and options.
_DATABASE_URL: Final = re.compile(
    r"postgres(?:ql)?://(?:[^/?#@:]*(?::[^/?#@:]*)?@)?(?:\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z.\-]*)"
    r"(?::[0-9]{1,5})?/[^/?#@]+(?:\?[^?#@]*)?"
)
#: Scheme, user and password, host and port, and the number of the database, or a path; options.
_BUS_URL: Final = re.compile(
    r"(?:(?:rediss?|valkeys?)://(?:[^/?#@:]*(?::[^/?#@:]*)?@)?"
    r"(?:\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z.\-]+)(?::[0-9]{1,5})?(?:/[0-9]{0,3})?"
    r"|unix://(?:[^/?#@:]*(?::[^/?#@:]*)?@)?/[^?#]+)"
    r"(?:\?(?:(?:db=[0-9]{1,3}|ssl_ca_certs=/[^?#&@]+)(?:&(?!$)|$)){1,2})?"
)
_HOMESERVER_URL: Final = re.compile(
    r"(https?)://(\[[0-9a-f:.]+\]|(?:[0-9a-z_\-]{1,63}\.)*[0-9a-z_\-]{1,63})(?::([0-9]{1,5}))?/?",
    re.IGNORECASE,
)
_SOCKET: Final = re.compile(r"unix:(?://)?(/.*[^/])")
#: Linux takes no longer path, in bytes.
_LONGEST_SOCKET: Final = 107
_ADDRESS: Final = re.compile(r"(?:\[([^\]]*)\]|([0-9A-Za-z._\-]+)):([0-9]{1,5})")


class Duration(timedelta):
    """A `timedelta` that is written `30s`, `5m`, `1h`, `1d`, `500ms`, or in milliseconds."""

    def __str__(self) -> str:
        fitting = [unit for unit, length in _UNITS.items() if self % length == timedelta(0)]
        unit = fitting[-1] if fitting else "ms"
        return f"{self // _UNITS[unit]}{unit}"


class Address(str):
    """An address to listen on: `host:port`, or `[IPv6 address]:port`. Made by `parse_address`."""

    __slots__ = ()

    @property
    def host(self) -> str:
        """The host name or IP address, without brackets."""
        return self.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The TCP port."""
        return int(self.rpartition(":")[2])


class Network(str):
    """A network of IP addresses, such as `10.0.0.0/8`. Made by `parse_network`."""

    __slots__ = ()


class DatabaseUrl(str):
    """The URL of a PostgreSQL database. Made by `parse_database_url`.

    It may hold a password, which neither `shown` nor `repr` has.
    """

    __slots__ = ()

    @property
    def shown(self) -> str:
        """The user, the host and the name of the database, for people."""
        parts = urlsplit(self)
        user = f"{parts.username}@" if parts.username else ""
        host = parts.netloc.rpartition("@")[2] or parse_qs(parts.query).get("host", [""])[0]
        return f"{user}{host}{parts.path}"

    def __repr__(self) -> str:
        return f"<{self.shown}>"


class BusUrl(str):
    """The URL of a Valkey or a Redis. Made by `parse_bus_url`.

    It may hold a password, which neither `shown` nor `repr` has.
    """

    __slots__ = ()

    @property
    def shown(self) -> str:
        """The URL without user and password, for people."""
        scheme, _, rest = self.partition("://")
        return f"{scheme}://{rest.rpartition('@')[2]}"

    def __repr__(self) -> str:
        return f"<{self.shown}>"


class HomeserverUrl(str):
    """Where the homeserver is: `http://host:port`, `https://host:port`, or `unix:/path`.

    Made by `parse_homeserver_url`.
    """

    __slots__ = ()

    @property
    def socket(self) -> str | None:
        """The path of the Unix socket; None for a URL with a host."""
        return self.removeprefix("unix:") if self.startswith("unix:") else None

    @property
    def is_tls(self) -> bool:
        """Whether connections are TLS."""
        return self.startswith("https:")

    @property
    def address(self) -> Address:
        """The host and the port; for a Unix socket, those that its Host header names."""
        return Address("localhost:80" if self.socket else self.partition("://")[2])


class Size(int):
    """A number of bytes that is written `64MB`. Made by `parse_size`."""

    def __str__(self) -> str:
        unit = [unit for unit, length in _SIZES.items() if self % length == 0][-1]
        return f"{self // _SIZES[unit]}{unit}"


def parse_database_url(value: object) -> DatabaseUrl:
    """Return the URL that *value* is; raise `ValueError`, which does not quote it, if it is none.

    A password with an unescaped `/`, `?`, `#` or `@` makes another URL than was meant.
    """
    if not isinstance(value, str) or any(it.isspace() or not it.isprintable() for it in value):
        raise ValueError("not a URL")
    if _DATABASE_URL.fullmatch(value) is None:
        raise ValueError("not the URL of a PostgreSQL database")
    return DatabaseUrl(value)


def parse_bus_url(value: object) -> BusUrl:
    """Return the URL that *value* is. Raises `ValueError`, which does not quote it."""
    if not isinstance(value, str) or any(it.isspace() or not it.isprintable() for it in value):
        raise ValueError("not a URL")
    if _BUS_URL.fullmatch(value) is None or urlsplit(value).port == 0:
        raise ValueError("not the URL of a Valkey or a Redis")
    return BusUrl(value)


def parse_homeserver_url(value: object) -> HomeserverUrl:
    """Return the URL that *value* is, with its port. Raises `ValueError` if it is none."""
    if not isinstance(value, str) or any(it.isspace() or not it.isprintable() for it in value):
        raise ValueError("not a URL")
    if (path := _SOCKET.fullmatch(value)) is not None:
        if len(path[1].encode()) > _LONGEST_SOCKET:
            raise ValueError("too long for a socket")
        return HomeserverUrl(f"unix:{path[1]}")
    match = _HOMESERVER_URL.fullmatch(value)
    if match is None:
        raise ValueError("not the URL of a homeserver")
    scheme = match[1].lower()
    address = parse_address(f"{match[2]}:{match[3] or (443 if scheme == 'https' else 80)}")
    return HomeserverUrl(f"{scheme}://{address}")


def parse_size(value: object) -> Size:
    """Return *value* as a size. Raises `ValueError` unless it is one, and larger than 0."""
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None or not int(match[1]):
        raise ValueError("not a size")
    return Size(int(match[1]) * _SIZES[match[2]])


def parse_network(value: object) -> Network:
    """Return *value* as a network. Raises `ValueError` if it is not one."""
    if not isinstance(value, str):
        raise ValueError("not text")
    return Network(ipaddress.ip_network(value))


def parse_duration(value: object) -> Duration:
    """Return *value* as a duration. Raises `ValueError` unless it is one, and longer than 0."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("neither text nor a whole number")
    match = _DURATION.fullmatch(str(value))
    if match is None:
        raise ValueError("not a duration")
    try:
        length = int(match[1]) * _UNITS[match[2] or "ms"]
    except OverflowError:
        raise ValueError("too long") from None
    if not length:
        raise ValueError("no time at all")
    return Duration(days=length.days, seconds=length.seconds, microseconds=length.microseconds)


def parse_address(value: object) -> Address:
    """Return *value* as an address. Raises `ValueError` if it is not one."""
    match = _ADDRESS.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("not host:port")
    host, port = match[2], int(match[3])
    if not 1 <= port <= 65535:
        raise ValueError("not a TCP port")
    if host is None:
        host = f"[{ipaddress.IPv6Address(match[1])}]"
    return Address(f"{host.lower()}:{port}")
