"""What the homeserver is asked in a client's name: a `/sync`, or a sliding sync.

Two polls of one device with the same question and the same token get the same answer.
"""

from collections.abc import Hashable
from datetime import timedelta
from typing import ClassVar, Final

import msgspec

from lamplighter.clock import milliseconds
from lamplighter.homeserver.upstream.queries import query_with, query_without
from lamplighter.homeserver.upstream.sync_answer import (
    RoomsHalfAnswer,
    read_sliding_answer,
    read_sync_answer,
)
from lamplighter.ports import SyncRequest

__all__ = ["RoomsQuestion", "SlidingSyncRequest", "UpstreamRequest", "question_of"]

_SYNC: Final = "/_matrix/client/v3/sync"
#: What each request to the homeserver gets anew.
_OURS: Final = frozenset({"since", "timeout", "set_presence"})
_OURS_SLIDING: Final = frozenset({"pos", "timeout", "set_presence"})


class UpstreamRequest(msgspec.Struct, frozen=True):
    """A request to the homeserver, apart from its headers."""

    method: str
    target: bytes
    body: bytes = b""


class RoomsQuestion(msgspec.Struct, frozen=True):
    """A `/sync` without token, time-out and presence."""

    #: As a header had it; a token in the query is part of the query.
    access_token: bytes
    query: str
    #: Whether a poll may end without an answer of the homeserver to it.
    outlives_polls: ClassVar[bool] = True

    @property
    def place(self) -> Hashable:
        """A device asks one question of a place at a time: a later one ends it."""
        return self

    def request(self, since: str | None, timeout: timedelta) -> UpstreamRequest:
        """Return the request that asks the homeserver.

        Presence is set here, so the homeserver is not to learn of it.
        """
        parameters = _parameters("since", since, timeout)
        target = f"{_SYNC}?{query_with(self.query, parameters)}"
        return UpstreamRequest("GET", target.encode("latin-1"))

    def read(self, body: bytes, *, is_first: bool) -> RoomsHalfAnswer:
        """Return what the homeserver answers, to a first sync perhaps; raise `ValueError`."""
        return read_sync_answer(body, is_first=is_first)


class SlidingSyncRequest(SyncRequest, frozen=True):
    """A sliding sync. `since` is the homeserver's part of `pos`."""

    path: str = ""
    #: The name of the connection: at the homeserver, a device has one of each name.
    conn_id: str = ""
    #: As the client sent it; where the parameters stand in it, a JSON object without them.
    body: bytes = b""
    #: Whether `pos`, `timeout` and `set_presence` stand in the body, else in the query.
    has_parameters_in_body: bool = False


class _SlidingQuestion(RoomsQuestion, frozen=True):
    """A sliding sync without position, time-out and presence."""

    path: str
    conn_id: str
    body: bytes
    has_parameters_in_body: bool
    outlives_polls: ClassVar[bool] = False

    @property
    def place(self) -> Hashable:
        # The homeserver, which sees a position again, forgets what it has answered to it.
        return self.conn_id

    def request(self, since: str | None, timeout: timedelta) -> UpstreamRequest:
        parameters = _parameters("pos", since, timeout)
        query, body = self.query, self.body
        if self.has_parameters_in_body:
            ours = msgspec.json.encode(parameters)
            body = ours if body == b"{}" else b"%b,%b" % (ours[:-1], body[1:])
        else:
            query = query_with(query, parameters)
        target = f"{self.path}?{query}" if query else self.path
        return UpstreamRequest("POST", target.encode("latin-1"), body)

    def read(self, body: bytes, *, is_first: bool) -> RoomsHalfAnswer:  # noqa: ARG002 - no rooms
        return read_sliding_answer(body)


def question_of(request: SyncRequest, token: bytes) -> RoomsQuestion:
    """Return the question of a client's request, whose access token a header has; else b""."""
    if not isinstance(request, SlidingSyncRequest):
        return RoomsQuestion(token, query_without(request.query, _OURS))
    return _SlidingQuestion(
        token,
        query_without(request.query, _OURS_SLIDING),
        request.path,
        request.conn_id,
        request.body,
        request.has_parameters_in_body,
    )


def _parameters(name: str, since: str | None, timeout: timedelta) -> dict[str, int | str]:
    ours: dict[str, int | str] = {"timeout": milliseconds(timeout), "set_presence": "offline"}
    return ours if since is None else {**ours, name: since}
