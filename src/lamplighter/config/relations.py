"""Checks that the type of a single key cannot express: grammars, and keys against each other."""

from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from lamplighter.config.explain import Refused, quoted
from lamplighter.config.model import Config
from lamplighter.errors import InvalidId
from lamplighter.ids import parse_room_id, parse_server_name

__all__ = ["check_relations"]


def check_relations(config: Config) -> None:
    """Raise `Refused` for the first key whose value is not allowed."""
    for key, complaint in _complaints(config):
        raise Refused(key, complaint)


def _complaints(config: Config) -> Iterator[tuple[str, str]]:
    """Yield each key whose value is not allowed, with the complaint."""
    presence = config.presence
    if not _is_valid(parse_server_name, config.server_name):
        yield (
            "server_name",
            _instead(config.server_name, "a host or host:port, such as example.org"),
        )
    for index, address in enumerate(config.listen):
        if address in config.listen[:index]:
            yield f"listen[{index}]", f"{quoted(address)} is there twice; give it once"
    url = config.public_baseurl
    if url is not None and not _is_web_url(url):
        yield "public_baseurl", _instead(url, "a URL that begins with https:// or http://")
    for key, other in (
        ("idle_timeout", "last_active_granularity"),
        ("federation_timeout", "federation_ping"),
    ):
        length, least = getattr(presence, key), getattr(presence, other)
        if length <= least:
            allowed = f"more than presence.{other}, which is {least}"
            yield f"presence.{key}", f"{length} is not allowed; give {allowed}"
    for index, room_id in enumerate(config.routing.exclude_rooms):
        if not _is_valid(parse_room_id, room_id):
            allowed = "a room ID, such as !opaque:example.org"
            yield f"routing.exclude_rooms[{index}]", _instead(room_id, allowed)
    yield from _complaints_of_federation(config)


def _complaints_of_federation(config: Config) -> Iterator[tuple[str, str]]:
    federation = config.federation
    if federation.tls_private_key and not federation.tls_certificate:
        yield "federation.tls_certificate", "missing; federation.tls_private_key needs it"
    if federation.tls_certificate and not federation.tls_private_key:
        yield "federation.tls_private_key", "missing; federation.tls_certificate needs it"
    if federation.enabled and federation.listen in config.listen:
        complaint = "is not allowed; clients are served there: give another address"
        yield "federation.listen", f"{quoted(federation.listen)} {complaint}"
    name = federation.well_known_server
    if name is not None and not _is_valid(parse_server_name, name):
        allowed = "a host or host:port, such as matrix.example.org:443"
        yield "federation.well_known_server", _instead(name, allowed)


def _instead(value: str, allowed: str) -> str:
    return f"{quoted(value)} is not allowed; give {allowed}"


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
