"""GET /_matrix/client/versions: the homeserver's answer, with `busy` among its features.

A client offers its user to be busy (MSC3026) only if the homeserver says that it knows this
presence. Presence is here, so the homeserver does not say it.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["with_busy"]

_PATH: Final = b"/_matrix/client/versions"
_FEATURE: Final = "org.matrix.msc3026.busy_presence"
#: The longest answer that is altered, in bytes.
_MOST: Final = 64 * 1024
_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def with_busy(homeserver: ASGIApp) -> ASGIApp:
    """Return what passes requests on to *homeserver*, and adds the feature to its answer."""

    async def pass_on(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "GET" and scope["raw_path"] == _PATH:
            # The answer is to be read.
            headers = [it for it in scope["headers"] if it[0] != b"accept-encoding"]
            scope, send = {**scope, "headers": headers}, _Altering(send)
        await homeserver(scope, receive, send)

    return pass_on


class _Altering:
    """Sends an answer, altered if it is one that says what the homeserver can do."""

    def __init__(self, send: Send) -> None:
        self._send = send
        #: The start of an answer whose body is awaited.
        self._start: Message | None = None
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_short(message):
            self._start = message
            return
        if self._start is None:
            await self._send(message)
            return
        self._body += message["body"]
        if message["more_body"]:
            return
        body = _altered(self._body)
        headers = [it for it in self._start["headers"] if it[0] != b"content-length"]
        headers.append((b"content-length", b"%d" % len(body)))
        await self._send({**self._start, "headers": headers})
        await self._send({**message, "body": body})


def _is_short(start: Message) -> bool:
    headers: Mapping[bytes, bytes] = dict(start["headers"])
    length = int(headers.get(b"content-length", _MOST + 1))
    return start["status"] == 200 and b"content-encoding" not in headers and length <= _MOST


def _altered(body: bytes) -> bytes:
    """Return *body* with the feature; as it is if it is not what the specification describes."""
    try:
        members = _OBJECT.decode(body)
        features = _OBJECT.decode(members.get("unstable_features", b"{}"))
        features[_FEATURE] = msgspec.Raw(b"true")
        members["unstable_features"] = msgspec.Raw(msgspec.json.encode(features))
        return msgspec.json.encode(members)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return body
