"""Where a Valkey or Redis is, as an operator writes it.

redis://127.0.0.1:6379/0                        also valkey://
rediss://user:secret@valkey.example:6380/2      encrypted
rediss://valkey.example/0?ssl_ca_certs=/etc/ssl/our-own.pem
unix:///run/valkey/valkey.sock?db=2
"""

import ssl
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

__all__ = ["ValkeyAddress", "parse_valkey_url"]

_PLAIN: Final = ("redis", "valkey", "unix")
_ENCRYPTED: Final = ("rediss", "valkeys")
_QUERY: Final = {"db", "ssl_ca_certs"}
_PORT: Final = 6379


class ValkeyAddress(msgspec.Struct, frozen=True):
    """How a server is reached: by the socket at *path*, or at *host* and *port* if that is `""`."""

    host: str
    port: int
    path: str
    encrypted: bool
    #: The file with the certificates that are trusted; `""` for those of the machine.
    trusted: str
    username: str
    password: str
    database: int

    @property
    def shown(self) -> str:
        """The address for people, without the password."""
        return self.path or f"{self.host}:{self.port}"

    def tls(self) -> ssl.SSLContext | None:
        """Return how the connection is encrypted, if it is."""
        return ssl.create_default_context(cafile=self.trusted or None) if self.encrypted else None

    def greeting(self) -> tuple[tuple[str | int, ...], ...]:
        """Return the commands with which a connection begins."""
        who = (self.username, self.password) if self.username else (self.password,)
        log_in = (("AUTH", *who),) if self.password else ()
        return (*log_in, ("SELECT", self.database)) if self.database else log_in


def parse_valkey_url(url: str) -> ValkeyAddress:
    """Return the address that *url* writes.

    Raises `ValueError`, which says what is wrong without showing the password.
    """
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    if parts.scheme not in (*_PLAIN, *_ENCRYPTED):
        raise ValueError("it must begin with redis://, rediss://, unix://, valkey:// or valkeys://")
    if unknown := sorted(query.keys() - _QUERY):
        raise ValueError(f"there is no {unknown[0]}; known are db and ssl_ca_certs")
    socket = parts.scheme == "unix"
    database = query.get("db") or ("" if socket else parts.path.strip("/")) or "0"
    if not (database.isascii() and database.isdecimal()):
        raise ValueError("the database is a number, as in redis://127.0.0.1:6379/0")
    if socket and not parts.path:
        raise ValueError("the path of the socket is missing, as in unix:///run/valkey.sock")
    return ValkeyAddress(
        host="" if socket else parts.hostname or "127.0.0.1",
        port=parts.port or _PORT,
        path=unquote(parts.path) if socket else "",
        encrypted=parts.scheme in _ENCRYPTED,
        trusted=query.get("ssl_ca_certs", ""),
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        database=int(database),
    )
