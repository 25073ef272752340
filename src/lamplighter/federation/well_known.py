"""`GET /.well-known/matrix/server`: ask a host, check the document, and cache the result.

Implements step 3 of <https://spec.matrix.org/latest/server-server-api/#resolving-server-names>,
including its rules for caching.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Final

import msgspec
from yarl import URL

from lamplighter.clock import Clock, Timestamp, after, within
from lamplighter.domains import registrable_domain
from lamplighter.errors import InvalidId, RemoteUnreachable
from lamplighter.federation.discovery import Locator, Target
from lamplighter.federation.transport import Answer, Transport
from lamplighter.ids import ServerName, parse_server_name
from lamplighter.recent import Recent

__all__ = ["WellKnown", "WellKnownRequests", "lifetime"]

PATH: Final = "/.well-known/matrix/server"
MAX_REDIRECTS: Final = 5
MAX_BYTES: Final = 50 * 1024
TIMEOUT: Final = timedelta(seconds=10)

#: The lifetime of a valid document whose headers name none, and the limits for those that do.
USUAL: Final = timedelta(hours=24)
SHORTEST: Final = timedelta(minutes=5)
LONGEST: Final = timedelta(hours=48)
#: How long to wait before asking a host again that has no valid document. The pause doubles each
#: time.
FIRST_PAUSE: Final = timedelta(minutes=1)
LONGEST_PAUSE: Final = timedelta(hours=1)

_MAX_AGE: Final = re.compile(r"max-age\s*=\s*\"?([0-9]{1,12})\"?", re.IGNORECASE)
_NOT_KEPT: Final = re.compile(r"\b(no-store|no-cache)\b", re.IGNORECASE)
_MOVED: Final = frozenset({301, 302, 303, 307, 308})


class WellKnownRequests:
    """Asks over HTTPS at *port*, and follows a few redirects to addresses that may be contacted."""

    def __init__(
        self, transport: Transport, locator: Locator, clock: Clock, *, port: int = 443
    ) -> None:
        self._transport = transport
        self._locator = locator
        self._clock = clock
        self._port = port

    async def fetch(self, host: str) -> Answer:
        """Return the answer of *host*. Raises `RemoteUnreachable` if there is none."""
        url = URL.build(scheme="https", host=host, port=self._port, path=PATH)
        try:
            return await within(self._clock, TIMEOUT, self._follow(url))
        except TimeoutError:
            raise RemoteUnreachable(f"{host} does not answer {PATH} in time") from None

    async def _follow(self, url: URL) -> Answer:
        for _ in range(MAX_REDIRECTS + 1):
            host = url.raw_host or ""
            endpoints = await self._locator.locate(host, url.port or 443)
            target = Target(url.host_port_subcomponent or host, host, endpoints)
            path = url.raw_path_qs
            answer = await self._transport.exchange(target, "GET", path, limit=MAX_BYTES)
            if answer.status not in _MOVED:
                return answer
            location = answer.headers.get("Location", "")
            try:
                moved = url.join(URL(location))
            except ValueError:
                raise RemoteUnreachable(f"{host} redirects to nowhere") from None
            if not location or moved.scheme != "https" or not moved.host:
                raise RemoteUnreachable(f"{host} redirects to something else than HTTPS")
            url = moved
        raise RemoteUnreachable(f"{url.host} redirects too often")


@dataclass(frozen=True, slots=True)
class _Known:
    server: ServerName | None
    until: Timestamp
    #: The pause before the next question if the host still has no valid document then.
    next_pause: timedelta = FIRST_PAUSE


class WellKnown:
    """The server names to which hosts delegate; at most *capacity* hosts are remembered.

    *fetch* is `WellKnownRequests.fetch`.
    """

    def __init__(
        self, fetch: Callable[[str], Awaitable[Answer]], *, capacity: int = 10_000
    ) -> None:
        self._fetch = fetch
        self._known: Recent[str, _Known] = Recent(
            capacity, lambda host: registrable_domain(ServerName(host))
        )

    async def delegate(self, host: str, now: Timestamp) -> ServerName | None:
        """Return the server name to which *host* delegates; None without a valid document."""
        known = self._known.get(host)
        if known is not None and now < known.until:
            return known.server
        pause = known.next_pause if known else FIRST_PAUSE
        try:
            answer = await self._fetch(host)
        except RemoteUnreachable:
            answer = None
        server = _server_in(answer) if answer else None
        if answer is None or server is None:
            found = _Known(None, after(now, pause), min(2 * pause, LONGEST_PAUSE))
        else:
            found = _Known(server, after(now, lifetime(answer.headers, now)))
        self._known.put(host, found)
        return server


def lifetime(headers: Mapping[str, str], now: Timestamp) -> timedelta:
    """Return how long an answer with these *headers* is cached: 5 minutes to 48 hours."""
    control = headers.get("Cache-Control", "")
    wanted = USUAL
    if _NOT_KEPT.search(control):
        wanted = SHORTEST
    elif age := _MAX_AGE.search(control):
        wanted = timedelta(seconds=int(age[1]))
    elif "Expires" in headers:
        try:
            expires = parsedate_to_datetime(headers["Expires"]).timestamp()
            wanted = timedelta(milliseconds=expires * 1000 - now)
        except (ValueError, OverflowError):
            wanted = SHORTEST  # RFC 9111: an invalid date counts as a date in the past
    return min(max(wanted, SHORTEST), LONGEST)


def _server_in(answer: Answer) -> ServerName | None:
    """Return the server name in the document; None if the document is not valid."""
    if answer.status != 200:
        return None
    try:
        content = msgspec.json.decode(answer.body, type=dict[str, object])
        server = content.get("m.server")
        return parse_server_name(server) if isinstance(server, str) else None
    except (msgspec.MsgspecError, RecursionError, UnicodeError, InvalidId):
        return None
