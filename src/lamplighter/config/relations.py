"""Checks that the type of a single key cannot express: grammars, and keys against each other."""

from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from lamplighter.config.explain import Refused, quoted
from lamplighter.config.model import Config
from lamplighter.errors import InvalidId
from lamplighter.ids import parse_room_id, parse_server_name

__all__ = ["check_relations"]

#: The keys of federation that mean nothing in front of a homeserver.
_OF_A_LISTENER: Final = ("tls_certificate", "tls_private_key", "signing_key", "well_known_server")


def check_relations(config: Config) -> None:
    """Raise `Refused` for the first key whose value is not allowed."""
    _check_name("server_name", config.server_name, "such as example.org")
    for index, address in enumerate(config.listen):
        if address in config.listen[:index]:
            raise Refused(f"listen[{index}]", f"{quoted(address)} is there twice; give it once")
    url = config.public_baseurl
    if url is not None and not _is_web_url(url):
        raise _instead("public_baseurl", url, "a URL that begins with https:// or http://")
    for key, other in (
        ("idle_timeout", "last_active_granularity"),
        ("federation_timeout", "federation_ping"),
    ):
        length, least = getattr(config.presence, key), getattr(config.presence, other)
        if length <= least:
            allowed = f"more than presence.{other}, which is {least}"
            raise Refused(f"presence.{key}", f"{length} is not allowed; give {allowed}")
    for index, room_id in enumerate(config.routing.exclude_rooms):
        if not _is_valid(parse_room_id, room_id):
            key = f"routing.exclude_rooms[{index}]"
            raise _instead(key, room_id, "a room ID, such as !opaque:example.org")
    if config.cluster is not None and config.database is None:
        raise Refused("database", "missing; cluster needs a PostgreSQL database")
    _check_federation(config)


def _check_federation(config: Config) -> None:
    federation = config.federation
    if federation.tls_private_key and not federation.tls_certificate:
        raise Refused("federation.tls_certificate", "missing; federation.tls_private_key needs it")
    if federation.tls_certificate and not federation.tls_private_key:
        raise Refused("federation.tls_private_key", "missing; federation.tls_certificate needs it")
    if config.homeserver is not None:
        for key in _OF_A_LISTENER:
            if getattr(federation, key) is not None:
                complaint = "is not allowed; the homeserver behind this server serves federation"
                raise Refused(f"federation.{key}", complaint)
        if federation.enabled and config.homeserver.signing_key is None:
            raise Refused("homeserver.signing_key", "missing; federation.enabled needs it")
    elif federation.enabled and federation.listen in config.listen:
        complaint = "is not allowed; clients are served there: give another address"
        raise Refused("federation.listen", f"{quoted(federation.listen)} {complaint}")
    if (name := federation.well_known_server) is not None:
        _check_name("federation.well_known_server", name, "such as matrix.example.org:443")


def _check_name(key: str, name: str, example: str) -> None:
    if not _is_valid(parse_server_name, name):
        raise _instead(key, name, f"a host or host:port, {example}")


def _instead(key: str, value: str, allowed: str) -> Refused:
    return Refused(key, f"{quoted(value)} is not allowed; give {allowed}")


def _is_valid(parse: Callable[[str], object], text: str) -> bool:
    try:
        parse(text)
    except InvalidId:
        return False
    return True


def _is_web_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("https", "http") and bool(parts.hostname) and text.isprintable()
