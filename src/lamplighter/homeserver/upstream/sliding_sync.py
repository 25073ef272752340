"""Sliding sync: the homeserver answers, and presence is an extension of the answer.

Implements what concerns presence of
<https://github.com/matrix-org/matrix-spec-proposals/blob/main/proposals/4186-simplified-sliding-sync.md>,
at its path and at the one from before it was accepted. There, the parameters stand in the query.

The proposal leaves presence to others. A client that sends
`extensions: {presence: {enabled: true}}` gets `extensions: {presence: {events: [...]}}`, with
events as in `/sync`, and a `pos` with a part of ours at its end. A change of presence answers at
once. Such an answer holds nothing else, and the homeserver's part of `pos` is the one that the
client has sent; the next poll is attached to the same request to the homeserver (`polls.py`). A
client that does not ask for presence gets the homeserver's own `pos`.
"""

from datetime import timedelta
from typing import Annotated, Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from lamplighter.clock import Timestamp, milliseconds
from lamplighter.delivery.tokens import SinceToken
from lamplighter.homeserver.upstream.questions import SlidingSyncRequest
from lamplighter.homeserver.upstream.sync_answer import SlidingRoomsAnswer
from lamplighter.ports import RequestHead
from lamplighter.presence.state import UserPresenceState
from lamplighter.web.body import decode, read_bytes
from lamplighter.web.client.filters import ALL_PRESENCE, PresenceFilter
from lamplighter.web.client.long_poll import LONGEST_POLL, News, SyncQuestion
from lamplighter.web.client.parts import ClientParts
from lamplighter.web.client.presence_events import PresenceEncoder
from lamplighter.web.client.sync import milliseconds_in, parameters_in
from lamplighter.web.fields import LARGEST, PresenceNames
from lamplighter.web.in_pieces import JsonInPieces
from lamplighter.web.routes import MatrixRoute, Route

__all__ = ["SlidingSync"]

_PATH: Final = "/_matrix/client/v4/sync"
_EARLIER_PATH: Final = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync"
#: The largest body that is read, in bytes: a waiting poll keeps it.
_MOST: Final = 256 * 1024
#: A client that does not ask for presence.
_NO_PRESENCE: Final = PresenceFilter(wanted=False)


_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TRUE: Final = msgspec.Raw(b"true")


class _Parameters(msgspec.Struct):
    """What is ours in a request."""

    pos: str | None = None
    timeout: Annotated[int, msgspec.Meta(ge=0)] = 0
    set_presence: str | None = None


_NAMES: Final = frozenset(_Parameters.__struct_fields__)


class SlidingSync:
    """Answers sliding syncs."""

    def __init__(self, parts: ClientParts, names: PresenceNames) -> None:
        self._authenticator = parts.authenticator
        self._long_poll = parts.long_poll
        self._reader = parts.core.reader
        self._tokens = parts.tokens
        self._encoder = PresenceEncoder()
        self._names = names

    def routes(self) -> list[Route]:
        """Return both paths."""
        return [
            MatrixRoute("POST", path, self.sync, is_read=True) for path in (_PATH, _EARLIER_PATH)
        ]

    async def sync(self, request: Request) -> Response:
        """Answer with what is new, once there is something; the requester counts as connected."""
        await self._authenticator.requester(request)
        body = await read_bytes(request, _MOST)
        # The device may have logged out while its body was on the way.
        requester = await self._authenticator.requester(request)
        question, wanted = self._read(request, body)
        client = request.client
        head = RequestHead(request.headers.raw, lambda: client.host if client else "")
        news = await self._long_poll.news(requester, question, request.receive, head, wanted=wanted)
        return JsonInPieces(self._written(news, with_presence=wanted is ALL_PRESENCE))

    def _read(self, request: Request, body: bytes) -> tuple[SyncQuestion, PresenceFilter]:
        """Return what is asked, and the presence that is wanted."""
        query: str = request.scope["query_string"].decode("latin-1")
        path: str = request.scope["path"]
        members = _members(body)
        if path == _PATH:
            given = decode(body, _Parameters)
            others = {name: it for name, it in members.items() if name not in _NAMES}
            body = msgspec.json.encode(others)
        else:
            named = parameters_in(query)
            timeout = milliseconds(milliseconds_in("timeout", named.get("timeout")))
            given = _Parameters(named.get("pos"), timeout, named.get("set_presence"))
        presence = _members(_members(members.get("extensions")).get("presence"))
        wanted = ALL_PRESENCE if presence.get("enabled") == _TRUE else _NO_PRESENCE
        since = self._tokens.read(given.pos) if given.pos else None
        asked = SlidingSyncRequest(
            query=query,
            since=None if since is None else since.rooms,
            timeout=min(timedelta(milliseconds=min(given.timeout, LARGEST)), LONGEST_POLL),
            path=path,
            conn_id=_text(members.get("conn_id")),
            body=body,
            has_parameters_in_body=path == _PATH,
        )
        if since is not None and wanted is _NO_PRESENCE:
            since = SinceToken(since.rooms, self._reader.position)  # after which nothing is news
        said = given.set_presence
        set_presence = self._names.parse("set_presence", said) if said else None
        return SyncQuestion(since, asked, set_presence=set_presence), wanted

    def _written(self, news: News, *, with_presence: bool) -> dict[str, Any]:
        """Return the answer, as `JsonInPieces` takes it."""
        rooms, pos = news.rooms, news.rooms.next_batch
        members: dict[str, Any] = {"lists": {}, "rooms": {}}  # the proposal lets them be absent
        extensions: dict[str, Any] = {}
        if isinstance(rooms, SlidingRoomsAnswer):
            members, extensions = dict(rooms.members), dict(rooms.extensions)
        if news.states:
            extensions["presence"] = {"events": [self._event(it, news.now) for it in news.states]}
        if with_presence:
            pos = self._tokens.write(pos, news.position, news.told_until)
        return {"pos": pos, **members, "extensions": extensions}

    def _event(self, state: UserPresenceState, now: Timestamp) -> msgspec.Raw:
        return msgspec.Raw(self._encoder.encode((state,), now))


def _members(text: bytes | msgspec.Raw | None) -> dict[str, msgspec.Raw]:
    """Return the members of a JSON object; none of what is none, which the homeserver judges."""
    try:
        return {} if text is None else _OBJECT.decode(text)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return {}


def _text(text: msgspec.Raw | None) -> str:
    """Return a JSON string; "" for everything else."""
    try:
        return "" if text is None else msgspec.json.decode(text, type=str)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return ""
