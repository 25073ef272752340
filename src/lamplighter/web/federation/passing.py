"""PUT /_matrix/federation/v1/send/{txnId}, which the homeserver behind this server answers.

The request is passed on byte for byte, because its origin has signed it. The homeserver verifies
the signature. Once the homeserver has accepted the transaction with 200, this server takes in the
presence in it, and then the other server gets the answer.

The homeserver verifies the origin that *it* reads in the `Authorization` header. So both servers
must read the same one: a header that two parsers could read differently brings no presence. For
example, this one is from `there.example` to a parser that knows quotes, and from `evil.example` to
a parser that cuts at each comma and believes the last value:

    X-Matrix origin="there.example",key="...",sig="...",more="a,origin=evil.example,b=c"
"""

import asyncio
import re
from typing import Final
from urllib.parse import unquote
from weakref import WeakValueDictionary

import msgspec
import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lamplighter.errors import RequestError
from lamplighter.federation.edu import PRESENCE_EDU
from lamplighter.federation.inbound import Inbound
from lamplighter.federation.policy import ServerPolicy
from lamplighter.federation.signing import BadSignature, parse_authorization
from lamplighter.federation.transaction import parse_transaction
from lamplighter.ids import ServerName
from lamplighter.ports import Json
from lamplighter.web.federation.auth import MAX_BODY, MAX_VALUES
from lamplighter.web.fields import text
from lamplighter.web.http.request import Headers

__all__ = ["PassingTransactions"]

_log = structlog.get_logger(__name__)

_SEND: Final = re.compile(rb"/_matrix/federation/v1/send/([^/]+)")
_VALUE: Final = r'[a-z]+=(?:"[^",\\\s]*"|[^",\\\s]*)'
#: Any parser reads the same parameters in it, if each is there once.
_UNAMBIGUOUS: Final = re.compile(rf"X-Matrix +{_VALUE}(?:[ \t]*,[ \t]*{_VALUE})*", re.IGNORECASE)
#: Larger bodies are copied only for this many requests at one time.
_SMALL: Final = 64 * 1024
_MOST_LARGE: Final = 16


class _Transaction(msgspec.Struct):
    origin: str
    origin_server_ts: int
    #: Undecoded; the PDUs are not decoded at all.
    edus: msgspec.Raw = msgspec.Raw(b"[]")


class PassingTransactions:
    """An ASGI application: passes requests on to *homeserver*, and sees transactions pass."""

    def __init__(
        self, homeserver: ASGIApp, inbound: Inbound, server_name: ServerName, policy: ServerPolicy
    ) -> None:
        self._homeserver = homeserver
        self._inbound = inbound
        self._server_name = server_name
        self._policy = policy
        #: By origin, while a transaction of it is taken in: `Inbound` takes one at a time.
        self._turns: WeakValueDictionary[ServerName, asyncio.Lock] = WeakValueDictionary()
        #: How many requests with large bodies are copied now.
        self._large = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = _SEND.fullmatch(scope["raw_path"]) if scope["method"] == "PUT" else None
        origin = self._origin(scope["headers"]) if found else None
        if found is None or origin is None:
            await self._homeserver(scope, receive, send)
            return
        txn_id = unquote(found[1].decode("latin-1"))
        body, is_large, is_whole, is_lost = bytearray(), False, False, False

        async def receive_and_copy() -> Message:
            nonlocal is_large, is_whole, is_lost
            message = await receive()
            part = message.get("body", b"")
            size = len(body) + len(part)
            if size > _SMALL and not is_large:
                is_large = self._large < _MOST_LARGE
                self._large += is_large
                is_lost = is_lost or not is_large
            is_lost = is_lost or size > MAX_BODY
            if is_lost:
                body.clear()
            else:
                body.extend(part)
            is_whole = message["type"] == "http.request" and not message.get("more_body", False)
            return message

        async def take_and_send(message: Message) -> None:
            if is_whole and not is_lost and _accepts(message):
                await self._take(origin, txn_id, bytes(body))
            await send(message)

        try:
            await self._homeserver(scope, receive_and_copy, take_and_send)
        finally:
            self._large -= is_large

    def _origin(self, headers: Headers) -> ServerName | None:
        """Return the server that has sent a request; None if no presence is taken from it."""
        given = [value.decode("latin-1") for name, value in headers if name == b"authorization"]
        if len(given) != 1 or not _UNAMBIGUOUS.fullmatch(given[0]):
            return None
        try:
            claim = parse_authorization(given[0])
        except BadSignature:
            return None
        origin = claim.origin
        is_admitted = origin != self._server_name and self._policy.admits(origin)
        return origin if is_admitted else None

    async def _take(self, origin: ServerName, txn_id: str, body: bytes) -> None:
        """Take in the presence of a transaction that the homeserver has accepted."""
        try:
            transaction = msgspec.json.decode(body, type=_Transaction)
            content = {
                "origin": transaction.origin,
                "origin_server_ts": transaction.origin_server_ts,
                "edus": _edus(bytes(transaction.edus)),
            }
            parsed = parse_transaction(content, origin)
            turn = self._turns.setdefault(origin, asyncio.Lock())
            async with turn:
                await self._inbound.receive(parsed, text("txnId", txn_id))
        except (msgspec.MsgspecError, RecursionError, UnicodeError, RequestError) as error:
            _log.info("presence of a transaction is ignored", origin=origin, problem=str(error))


def _accepts(message: Message) -> bool:
    """Tell whether *message* begins the homeserver's answer to a transaction that it accepts.

    A proxy before the homeserver may answer 200 to everything, with a page.
    """
    if message["type"] != "http.response.start" or message["status"] != 200:
        return False
    kind = dict(message["headers"]).get(b"content-type", b"")
    return bool(kind.lower().startswith(b"application/json"))


def _edus(encoded: bytes) -> list[Json]:
    """Return the EDUs, if there is presence among them and there are not too many values."""
    values = sum(encoded.count(it) for it in (b",", b"[", b"{"))
    if PRESENCE_EDU.encode() not in encoded or values > MAX_VALUES:
        return []
    edus: list[Json] = msgspec.json.decode(encoded)
    return edus
