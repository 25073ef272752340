"""`GET /.well-known/matrix/server`: asked of a host, judged, and remembered.

Implements step 3 of <https://spec.matrix.org/latest/server-server-api/#resolving-server-names>,
with its rules for caching.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Final, Protocol

import msgspec
from yarl import URL

from lamplighter.clock import Clock, Timestamp, after, within
from lamplighter.domains import registrable_domain
from lamplighter.errors import InvalidId, RemoteUnreachable
from lamplighter.federation.discovery import Locator, Target
from lamplighter.federation.transport import Answer, Transport
from lamplighter.ids import ServerName, parse_server_name
from lamplighter.recent import Recent

__all__ = ["WellKnown", "WellKnownFetcher", "WellKnownRequests", "lifetime"]

PATH: Final = "/.well-known/matrix/server"
MAX_REDIRECTS: Final = 5
MAX_BYTES: Final = 50 * 1024
PATIENCE: Final = timedelta(seconds=10)

#: How long a good answer is kept: if it does not say, and whatever it says.
USUAL: Final = timedelta(hours=24)
SHORTEST: Final = timedelta(minutes=5)
LONGEST: Final = timedelta(hours=48)
#: How long it is kept that there is none: the first time, and after that twice as long each time.
FIRST_PAUSE: Final = timedelta(minutes=1)
LONGEST_PAUSE: Final = timedelta(hours=1)

_MAX_AGE: Final = re.compile(r"max-age\s*=\s*\"?([0-9]{1,12})\"?", re.IGNORECASE)
_NOT_KEPT: Final = re.compile(r"\b(no-store|no-cache)\b", re.IGNORECASE)
_MOVED: Final = frozenset({301, 302, 303, 307, 308})


class WellKnownFetcher(Protocol):
    """What asks a host for its well-known document."""

    async def fetch(self, host: str) -> Answer:
        """Return what *host* answers in the end. Raises `RemoteUnreachable` without an answer."""


class WellKnownRequests:
    """Asks over HTTPS, and follows a few redirects, each to an address that may be contacted.

    *port* is where hosts listen for HTTPS.
    """

    def __init__(
        self, transport: Transport, locator: Locator, clock: Clock, *, port: int = 443
    ) -> None:
        self._transport = transport
        self._locator = locator
        self._clock = clock
        self._port = port

    async def fetch(self, host: str) -> Answer:
        url = URL.build(scheme="https", host=host, port=self._port, path=PATH)
        try:
            return await within(self._clock, PATIENCE, self._follow(url))
        except TimeoutError:
            raise RemoteUnreachable(f"{host} does not answer to {PATH} in time") from None

    async def _follow(self, url: URL) -> Answer:
        for _ in range(MAX_REDIRECTS + 1):
            answer = await self._get(url)
            if answer.status not in _MOVED:
                return answer
            url = _next(url, answer.headers.get("Location", ""))
        raise RemoteUnreachable(f"{url.host} redirects without end")

    async def _get(self, url: URL) -> Answer:
        host = url.raw_host or ""
        endpoints = await self._locator.locate(host, url.port or 443)
        target = Target(url.host_port_subcomponent or host, host, endpoints)
        return await self._transport.exchange(target, "GET", url.raw_path_qs, limit=MAX_BYTES)


@dataclass(frozen=True, slots=True)
class _Known:
    server: ServerName | None
    until: Timestamp
    #: How long it is kept the next time that there is none.
    next_pause: timedelta = FIRST_PAUSE


class WellKnown:
    """Which server names stand for hosts; at most *capacity* hosts are remembered."""

    def __init__(self, fetcher: WellKnownFetcher, *, capacity: int = 10_000) -> None:
        self._fetcher = fetcher
        self._known: Recent[str, _Known] = Recent(
            capacity, lambda host: registrable_domain(ServerName(host))
        )

    async def delegate(self, host: str, now: Timestamp) -> ServerName | None:
        """Return the server name that stands for *host*; None if there is no valid document."""
        known = self._known.get(host)
        if known is None or known.until <= now:
            known = await self._ask(host, now, known.next_pause if known else FIRST_PAUSE)
            self._known.put(host, known)
        return known.server

    async def _ask(self, host: str, now: Timestamp, pause: timedelta) -> _Known:
        try:
            answer = await self._fetcher.fetch(host)
        except RemoteUnreachable:
            answer = None
        server = _judge(answer) if answer else None
        if answer is None or server is None:
            return _Known(None, after(now, pause), min(2 * pause, LONGEST_PAUSE))
        return _Known(server, after(now, lifetime(answer.headers, now)))


def lifetime(headers: Mapping[str, str], now: Timestamp) -> timedelta:
    """Return for how long an answer with these *headers* is kept: 5 minutes to 48 hours."""
    return min(max(_wanted_lifetime(headers, now), SHORTEST), LONGEST)


def _wanted_lifetime(headers: Mapping[str, str], now: Timestamp) -> timedelta:
    control = headers.get("Cache-Control", "")
    if _NOT_KEPT.search(control):
        return SHORTEST
    if age := _MAX_AGE.search(control):
        return timedelta(seconds=min(int(age[1]), LONGEST // timedelta(seconds=1)))
    if "Expires" in headers:
        return _until(headers["Expires"], now)
    return USUAL


def _until(date: str, now: Timestamp) -> timedelta:
    try:
        expires = parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return SHORTEST  # RFC 9111: a date that is none has passed
    return timedelta(milliseconds=expires * 1000 - now)


def _judge(answer: Answer) -> ServerName | None:
    """Return what the document says, if it is one."""
    if answer.status != 200:
        return None
    try:
        content = msgspec.json.decode(answer.body, type=dict[str, object])
        server = content.get("m.server")
        return parse_server_name(server) if isinstance(server, str) else None
    except (msgspec.MsgspecError, RecursionError, UnicodeError, InvalidId):
        return None


def _next(url: URL, location: str) -> URL:
    try:
        moved = url.join(URL(location))
    except ValueError:
        raise RemoteUnreachable(f"{url.host} redirects to nowhere") from None
    if not location or moved.scheme != "https" or not moved.host:
        raise RemoteUnreachable(f"{url.host} redirects to something else than HTTPS")
    return moved
