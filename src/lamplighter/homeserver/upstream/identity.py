"""Who sends a request: the homeserver is asked, and its answer is remembered for some minutes.

The homeserver tells nobody of a log-out. What passes through Lamplighter is seen; what happens
elsewhere shows only as a 401 to a later request with the same token. So what is remembered of a
token ends after some minutes, and with any 401 that passes.
"""

import re
from collections.abc import Awaitable, Callable, Hashable
from datetime import timedelta
from typing import Any, Final, TypeVar

import msgspec

from lamplighter.clock import Clock, Timestamp, after
from lamplighter.errors import HomeserverUnreachable, InvalidParam, UnknownToken
from lamplighter.homeserver.upstream.client import UpstreamClient
from lamplighter.homeserver.upstream.headers import ABOUT_CLIENT, ForwardedHeaders
from lamplighter.homeserver.upstream.passed_on import passed_on
from lamplighter.homeserver.upstream.queries import acts_for
from lamplighter.ids import DeviceId, ServerName, UserId, is_user_id, server_of
from lamplighter.ports import NO_HEAD, Requester, RequestHead
from lamplighter.recent import Recent

__all__ = ["UpstreamIdentity"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V", bound=Hashable)

_WHOAMI: Final = "/_matrix/client/v3/account/whoami"
_TIME_LIMIT: Final = timedelta(seconds=30)
_REMEMBERED: Final = timedelta(minutes=5)
_MOST_REMEMBERED: Final = 100_000
#: A token from a query may be any text; a header takes visible ASCII.
_TOKEN: Final = re.compile(r"[!-~]+")
#: The device of an application service that acts for a user and names none.
_NO_DEVICE: Final = DeviceId("application service")

#: An access token, and the part of the query that names the user for whom a service acts.
_Credentials = tuple[str, str]


class _Whoami(msgspec.Struct):
    user_id: UserId
    device_id: DeviceId | None = None
    # Of any type: a homeserver need not know guests.
    is_guest: Any = False


class _Known(msgspec.Struct, frozen=True):
    requester: Requester
    until: Timestamp
    is_guest: bool


class UpstreamIdentity:
    """An `Identity` that asks the homeserver."""

    def __init__(
        self,
        client: UpstreamClient,
        server_name: ServerName,
        forwarded: ForwardedHeaders,
        clock: Clock,
        appeared: Callable[[UserId], Awaitable[None]],
    ) -> None:
        """*appeared* is awaited with each user who is found, before anybody is told of it."""
        self._client = client
        self._server_name = server_name
        self._forwarded = forwarded
        self._clock = clock
        self._appeared = appeared
        self._known: Recent[_Credentials, _Known] = Recent(_MOST_REMEMBERED)
        self._by_user: dict[UserId, set[_Credentials]] = {}
        #: By the token of an application service: the parts of queries that are remembered with it.
        self._acting: dict[str, set[str]] = {}
        #: For each question under way: the tokens and users that were forgotten meanwhile.
        self._forgotten: list[set[str]] = []
        self._catch_up: Callable[[], Awaitable[None]] | None = None

    def join_cluster(self, catch_up: Callable[[], Awaitable[None]]) -> None:
        """Be at one of many nodes: *catch_up* is that of `WayToNodes`."""
        self._catch_up = catch_up

    async def authenticate(
        self, access_token: str, query: str = "", head: RequestHead = NO_HEAD, /
    ) -> Requester:
        """Return the sender of a request; raise `PassedOn` with the homeserver's refusal.

        Raises `UnknownToken` for a token that no header can carry, so that nobody has it, and
        `InvalidParam` for a query that the homeserver could read differently.

        On many nodes, log-outs count that have passed through any of them before the call. Raises
        `ClusterUnavailable` where this node cannot know that.
        """
        if self._catch_up is not None:
            await self._catch_up()
        requester = self.requester_in_use(access_token, self._clock.now(), query)
        if requester is None:
            acting = acts_for(query)
            assert acting is not None  # else the line above has raised
            requester = await self._learn(access_token, acting, head)
            await self._appeared(requester.user_id)
        return requester

    def requester_in_use(
        self, access_token: str, now: Timestamp, query: str = "", /
    ) -> Requester | None:
        acting = acts_for(query)
        if acting is None:
            raise InvalidParam("The query has a semicolon that is not percent-encoded")
        known = self._known.peek((access_token, acting))
        if known is None or known.until < now:
            return None
        return known.requester

    def is_guest(self, user_id: UserId, /) -> bool:
        known = map(self._known.peek, self._by_user.get(user_id, ()))
        return any(it is not None and it.is_guest for it in known)

    def last_requester(self, access_token: str, query: str) -> Requester | None:
        """Return who used this token last, for a request that the homeserver has accepted."""
        acting = acts_for(query)
        known = None if acting is None else self._known.peek((access_token, acting))
        return None if known is None else known.requester

    def forget_token(self, access_token: str) -> None:
        """Ask anew who uses this token: the homeserver has refused it, or may."""
        self._note(access_token)
        for acting in ("", *self._acting.get(access_token, ())):
            self._forget((access_token, acting))

    def forget_user(self, user_id: UserId) -> None:
        """Ask anew who uses the tokens of this user: some of them may have ended."""
        self._note(user_id)
        for credentials in list(self._by_user.get(user_id, ())):
            self._forget(credentials)

    def forget_everybody(self) -> None:
        """Ask anew who uses any token."""
        for user_id in self.users():
            self.forget_user(user_id)

    def devices_of(self, user_id: UserId) -> frozenset[DeviceId]:
        """Return the devices of the user that are remembered."""
        known = [self._known.peek(it) for it in self._by_user.get(user_id, ())]
        return frozenset(it.requester.device_id for it in known if it is not None)

    def users(self) -> frozenset[UserId]:
        """Return the users who are remembered."""
        return frozenset(self._by_user)

    async def _learn(self, access_token: str, acting: str, head: RequestHead) -> Requester:
        """Ask until an answer has come that is not older than any log-out that has passed."""
        if _TOKEN.fullmatch(access_token) is None:
            raise UnknownToken("The access token is not known")
        forgotten: set[str] = set()
        self._forgotten.append(forgotten)
        try:
            while True:
                found = await self._ask(access_token, acting, head)
                requester = Requester(found.user_id, found.device_id or _NO_DEVICE)
                if forgotten.isdisjoint((access_token, requester.user_id)):
                    break
                forgotten.clear()
        finally:
            self._forgotten = [it for it in self._forgotten if it is not forgotten]
        credentials = access_token, acting
        until = after(self._clock.now(), _REMEMBERED)
        known = _Known(requester, until, is_guest=found.is_guest is True)
        self._by_user.setdefault(requester.user_id, set()).add(credentials)
        if acting:
            self._acting.setdefault(access_token, set()).add(acting)
        for displaced, it in self._known.put(credentials, known):
            self._drop(it.requester.user_id, displaced)
        return requester

    async def _ask(self, access_token: str, acting: str, head: RequestHead) -> _Whoami:
        # The homeserver notes from where its users come.
        headers = [it for it in self._forwarded(head) if it[0] in ABOUT_CLIENT]
        headers.append((b"authorization", b"Bearer " + access_token.encode()))
        target = f"{_WHOAMI}?{acting}" if acting else _WHOAMI
        answer = await self._client.fetch("GET", target.encode(), headers, time_limit=_TIME_LIMIT)
        if answer.status != 200:
            raise passed_on(answer)
        found = answer.content(_Whoami)
        if not is_user_id(found.user_id) or server_of(found.user_id) != self._server_name:
            raise HomeserverUnreachable("The homeserver names a user who is not one of its users")
        return found

    def _note(self, forgotten: str) -> None:
        for it in self._forgotten:
            it.add(forgotten)

    def _forget(self, credentials: _Credentials) -> None:
        known = self._known.peek(credentials)
        if known is not None:
            self._known.drop(credentials)
            self._drop(known.requester.user_id, credentials)

    def _drop(self, user_id: UserId, credentials: _Credentials) -> None:
        _discard(self._by_user, user_id, credentials)
        if credentials[1]:
            _discard(self._acting, *credentials)


def _discard(sets: dict[K, set[V]], key: K, value: V) -> None:
    """Take *value* out of the set of *key*, and an empty set out of *sets*."""
    sets[key].discard(value)
    if not sets[key]:
        del sets[key]
