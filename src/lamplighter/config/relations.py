"""What a single key's type cannot say: grammars, and what keys demand of one another."""

from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from lamplighter.config.explain import Refused, shown
from lamplighter.config.model import Config, PresenceSettings
from lamplighter.errors import InvalidId
from lamplighter.ids import parse_room_id, parse_server_name

__all__ = ["check_relations"]


def check_relations(config: Config) -> None:
    """Raise `Refused` for the first key whose value cannot stand."""
    for check in _CHECKS:
        check(config)


def _server_name(config: Config) -> None:
    try:
        parse_server_name(config.server_name)
    except InvalidId:
        allowed = "give a host or host:port, such as example.org"
        raise Refused(
            "server_name", f"{shown(config.server_name)} is not allowed; {allowed}"
        ) from None


def _listen(config: Config) -> None:
    for index, address in enumerate(config.listen):
        if address in config.listen[:index]:
            raise Refused(f"listen[{index}]", f"{shown(address)} is there twice; give it once")


def _public_baseurl(config: Config) -> None:
    url = config.public_baseurl
    if url is not None and not _is_web_url(url):
        allowed = "give a URL that begins with https:// or http://"
        raise Refused("public_baseurl", f"{shown(url)} is not allowed; {allowed}")


def _idle_timeout(config: Config) -> None:
    _longer(config.presence, "idle_timeout", "last_active_granularity")


def _federation_timeout(config: Config) -> None:
    _longer(config.presence, "federation_timeout", "federation_ping")


def _exclude_rooms(config: Config) -> None:
    for index, room_id in enumerate(config.routing.exclude_rooms):
        try:
            parse_room_id(room_id)
        except InvalidId:
            allowed = "give a room ID, such as !opaque:example.org"
            raise Refused(
                f"routing.exclude_rooms[{index}]", f"{shown(room_id)} is not allowed; {allowed}"
            ) from None


def _federation_tls(config: Config) -> None:
    federation = config.federation
    given = {
        "tls_certificate": federation.tls_certificate,
        "tls_private_key": federation.tls_private_key,
    }
    missing = [key for key, path in given.items() if path is None]
    if len(missing) == 1:
        [other] = given.keys() - missing
        raise Refused(f"federation.{missing[0]}", f"missing; federation.{other} needs it")


def _federation_listen(config: Config) -> None:
    if config.federation.enabled and config.federation.listen in config.listen:
        listen = shown(config.federation.listen)
        allowed = "clients are served there: give another address"
        raise Refused("federation.listen", f"{listen} is not allowed; {allowed}")


def _well_known_server(config: Config) -> None:
    name = config.federation.well_known_server
    try:
        parse_server_name("localhost" if name is None else name)
    except InvalidId:
        allowed = "give a host or host:port, such as matrix.example.org:443"
        complaint = f"{shown(name)} is not allowed; {allowed}"
        raise Refused("federation.well_known_server", complaint) from None


def _longer(presence: PresenceSettings, key: str, other: str) -> None:
    length, least = getattr(presence, key), getattr(presence, other)
    if length <= least:
        raise Refused(
            f"presence.{key}",
            f"{length} is not allowed; give more than presence.{other}, which is {least}",
        )


def _is_web_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("https", "http") and bool(parts.hostname) and text.isprintable()


_CHECKS: Final[tuple[Callable[[Config], None], ...]] = (
    _server_name,
    _listen,
    _public_baseurl,
    _idle_timeout,
    _federation_timeout,
    _exclude_rooms,
    _federation_tls,
    _federation_listen,
    _well_known_server,
)
