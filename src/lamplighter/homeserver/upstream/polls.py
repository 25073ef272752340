"""The rooms half of a sync, by another homeserver: there, waiting is a request.

A client polls, and Lamplighter asks the homeserver in the client's name. Then bob comes online: the
client is answered at once, with presence alone and its own rooms token. The request to the
homeserver goes on. The client polls again with that token a moment later, and its poll is attached
to the same request. So a presence change costs the homeserver nothing: no request is cancelled, and
none is repeated.

    client       poll S0 --> presence, S0    poll S0 --> presence, S0    poll S0 -----> rooms, S1
    homeserver   ask S0 ............................................................ answer S1

Some rules follow from how homeservers work.

* The homeserver deletes messages to a device when it sees the token behind them. So it never sees a
  token that the client has not sent, and a lost answer is asked for again with the old token.
* The homeserver is asked to wait longer than clients do. A client whose time is over is answered
  here, and its next poll is attached to the same request: a poll in which nothing happens costs
  the homeserver nothing. In sliding sync each answer is the homeserver's own.
* An answer with nothing in it is no reason to answer a client. The homeserver is asked again, with
  the same token. The newer token in the empty answer means the same as the old one; from then on
  the client is given the newer one. A homeserver that does not wait would be asked without end. So
  the second empty answer in a row that comes at once is the client's.
* Every answer of the homeserver counts the device's keys. An answer that presence alone caused does
  not mention them, since a client takes a missing count in a list of counts for none.
* The homeserver may be away. Then a poll waits on, up to the client's own time-out, and presence
  goes on. A first sync, and a poll that does not wait, get the error.

In sliding sync (`questions.py`) each answer of the homeserver is news. Synapse keeps the state of a
connection by position: a request with position P ends all positions but P, and the answer to it
makes a new one. So the answer of which a client has not yet sent the position is lost when the
client sends P again with another body, and of the requests of a connection only the last is kept.
"""

import asyncio
from collections.abc import Hashable, Sequence
from datetime import timedelta
from typing import Final
from urllib.parse import quote

import msgspec

from lamplighter.clock import Clock, after, sleep
from lamplighter.errors import (
    HomeserverTooSlow,
    HomeserverUnreachable,
    NotFound,
    PassedOn,
    ShuttingDown,
)
from lamplighter.homeserver.upstream.client import UpstreamClient
from lamplighter.homeserver.upstream.connection import UpstreamAnswer
from lamplighter.homeserver.upstream.headers import ForwardedHeaders
from lamplighter.homeserver.upstream.identity import UpstreamIdentity
from lamplighter.homeserver.upstream.passed_on import passed_on
from lamplighter.homeserver.upstream.queries import ACTING, query_of
from lamplighter.homeserver.upstream.questions import RoomsQuestion, question_of
from lamplighter.homeserver.upstream.rooms import UpstreamRooms
from lamplighter.homeserver.upstream.sync_answer import RoomsHalfAnswer
from lamplighter.ids import DeviceId, UserId
from lamplighter.ports import (
    DirectoryListener,
    Json,
    Requester,
    RequestHead,
    RoomsAnswer,
    SyncRequest,
)
from lamplighter.recent import Recent
from lamplighter.service.background import Background

__all__ = ["UpstreamRoomsHalf"]

#: How long the homeserver is asked to wait for something to say. A log-out that it does not tell us
#: of, and counts of keys without anything else, are known to the client by then.
_PATIENCE: Final = timedelta(minutes=2)
#: How much earlier than the client's time is over it is asked for an answer that only it can give.
_EARLIER: Final = timedelta(milliseconds=200)
_NOTHING: Final = timedelta(0)
#: An empty answer that comes within this time has not waited.
_AT_ONCE: Final = timedelta(seconds=1)
#: How much longer than it was asked to wait the homeserver may take.
_MARGIN: Final = timedelta(seconds=30)
#: The largest answer that is read, in bytes.
_MOST: Final = 256 * 1024 * 1024
#: How long, at the least, a request or its answer is kept for a client that does not come back.
_GRACE: Final = timedelta(seconds=60)
#: Bytes of answers whose clients have gone.
_MOST_KEPT: Final = 64 * 1024 * 1024
#: Different questions of a device at one time.
_MOST_OF_A_DEVICE: Final = 8
#: Bytes of memory for heads of requests that are remembered, and for each byte of one.
_MOST_HEADS: Final = 64 * 1024 * 1024
_BYTES_OF_A_BYTE: Final = 4
#: Devices whose counts of keys are remembered.
_MOST_COUNTS: Final = 100_000

_FIRST_PAUSE: Final = timedelta(seconds=1)
_LONGEST_PAUSE: Final = timedelta(seconds=10)
#: The part of a client's query that tells who asks.
_WHO: Final = ACTING | {"access_token"}
#: The answers by which a proxy says that the homeserver is away.
_AWAY: Final = (502, 503, 504)


class _PassedHead(msgspec.Struct, frozen=True):
    """The head of a client's request as it is passed on: a device repeats it with each poll."""

    #: The same list with each request of one connection that repeats them, and of no other one.
    headers: Sequence[tuple[bytes, bytes]]
    #: What the homeserver gets, as `UpstreamClient.fields` has made it.
    fields: bytes
    #: As a header has it; empty if none does.
    access_token: bytes


class UpstreamRoomsHalf:
    """A `RoomsHalf` that asks another homeserver."""

    def __init__(
        self,
        client: UpstreamClient,
        identity: UpstreamIdentity,
        rooms: UpstreamRooms,
        forwarded: ForwardedHeaders,
        clock: Clock,
        background: Background,
    ) -> None:
        self.client = client
        self.identity = identity
        self.rooms = rooms
        self.clock = clock
        self.background = background
        self._forwarded = forwarded
        self._listener: DirectoryListener | None = None
        #: The requests under way, and answers whose clients have gone, by the question's place.
        self._asked: dict[Requester, dict[Hashable, _Asked]] = {}
        #: The answers whose clients have gone, by their size.
        self._kept: Recent[tuple[Requester, Hashable], None] = Recent(_MOST_KEPT)
        self._counts: Recent[Requester, bytes] = Recent(_MOST_COUNTS)
        self._heads: Recent[Requester, _PassedHead] = Recent(_MOST_HEADS)
        background.every(_GRACE, self._clean_up)

    def listen(self, listener: DirectoryListener) -> None:
        """Tell *listener* when there is something to take."""
        self._listener = listener

    def begin(self, requester: Requester, request: SyncRequest, head: RequestHead, /) -> "_Pending":
        return _Pending(self, requester, request, head)

    async def filter(
        self, requester: Requester, request: SyncRequest, head: RequestHead, filter_id: str, /
    ) -> Json:
        user_id, name = quote(requester.user_id, safe=""), quote(filter_id, safe="")
        query = query_of(request.query, _WHO)
        target = f"/_matrix/client/v3/user/{user_id}/filter/{name}?{query}".rstrip("?")
        headers = self._forwarded(head)
        answer = await self.client.fetch(
            "GET", target.encode("latin-1"), headers, time_limit=_MARGIN
        )
        if answer.status == 404:
            raise NotFound("There is no such filter")
        if answer.status != 200:
            raise passed_on(answer)
        return answer.content(Json)

    def forget(self, user_id: UserId, device_ids: frozenset[DeviceId]) -> None:
        """Give up the requests of devices that have logged out."""
        for device_id in device_ids:
            for asked in self._asked.pop(Requester(user_id, device_id), {}).values():
                asked.give_up()

    # For the requests.

    def attach(self, pending: "_Pending") -> "_Asked":
        """Return the request to the homeserver that answers *pending*: a new one if need be."""
        head = self._passed(pending.requester, pending.head)
        question = question_of(pending.request, head.access_token)
        of_device = self._asked.get(pending.requester, {})
        asked = of_device.get(question.place)
        if asked is not None:
            if pending.may_wait and question == asked.question and asked.attach(pending):
                return asked
            self._remove(asked)
        elif pending.may_wait and len(of_device) >= _MOST_OF_A_DEVICE:
            self._remove(next(iter(of_device.values())))
        asked = _Asked(self, pending, question, head.fields)
        if pending.may_wait:
            self._asked.setdefault(pending.requester, {})[question.place] = asked
        return asked

    def taken(self, asked: "_Asked") -> None:
        """Learn that a client is given the answer. A repeated token asks the homeserver again."""
        if asked.counts:
            self._counts.put(asked.requester, asked.counts)
        self._remove(asked)

    def wake(self, user_id: UserId) -> None:
        """Let the user's polls look."""
        if self._listener is not None:
            self._listener.rooms_news((user_id,))

    def ended(self, asked: "_Asked") -> None:
        """Learn that a request has its answer, or has failed; then the next poll asks again."""
        failure = asked.failure
        if isinstance(failure, PassedOn) and failure.status == 401:
            self.identity.forget_token(asked.question.access_token.decode("latin-1"))
        if asked.answer is None:
            self._remove(asked)
        elif not asked.waiting:
            self._keep(asked)

    def knows_other_counts(self, requester: Requester, counts: bytes) -> bool:
        """Tell whether the device was given other counts of keys than these."""
        return counts != self._counts.peek(requester)

    def _passed(self, requester: Requester, head: RequestHead) -> _PassedHead:
        """Return the head for the homeserver; that of a head that repeats is there."""
        known = self._heads.peek(requester)
        if known is None or known.headers is not head.headers:
            fields = self.client.fields(self._forwarded(head))
            tokens = [value for name, value in head.headers if name == b"authorization"]
            token = tokens[-1].partition(b" ")[2].strip() if tokens else b""
            known = _PassedHead(head.headers, fields, token)
            self._heads.put(requester, known, _BYTES_OF_A_BYTE * len(fields))
        return known

    def _keep(self, asked: "_Asked") -> None:
        """Keep an answer whose client has gone for its next poll, if there is room for it."""
        place = asked.question.place
        for (requester, other), _ in self._kept.put((asked.requester, place), None, asked.size):
            displaced = self._asked.get(requester, {}).get(other)
            if displaced is not None:
                self._remove(displaced)

    def _remove(self, asked: "_Asked") -> None:
        place = asked.question.place
        of_device = self._asked.get(asked.requester, {})
        if of_device.get(place) is asked:
            self._kept.drop((asked.requester, place))
            del of_device[place]
            if not of_device:
                del self._asked[asked.requester]
            if not asked.waiting:
                asked.give_up()

    def _clean_up(self) -> None:
        """Give up what no client has come back for since the last time."""
        for of_device in list(self._asked.values()):
            for asked in list(of_device.values()):
                if asked.is_left:
                    self._remove(asked)
                asked.is_left = not asked.waiting  # here, and not with each poll


class _Asked:
    """One question to the homeserver, and the polls that wait for the answer."""

    __slots__ = (
        "_fields", "_half", "_is_awaited", "_sent", "_task", "_timeout", "answer", "counts",
        "failure", "is_left", "question", "quiet", "requester", "size", "waiting",
    )  # fmt: skip

    def __init__(
        self, half: UpstreamRoomsHalf, first: "_Pending", question: RoomsQuestion, fields: bytes
    ) -> None:
        self._half = half
        self.requester = first.requester
        self.question = question
        self._fields = fields
        #: Whether any answer is one for the client, even one without news.
        self._is_awaited = not first.may_wait
        #: How long the homeserver is asked to wait.
        self._timeout = max(first.request.timeout - _EARLIER, _NOTHING)
        if first.may_wait and question.outlives_polls:
            self._timeout = _PATIENCE
        #: The newest token that the client has sent.
        self._sent = first.request.since
        #: The token to answer with where there is no news: the same, or one that means the same.
        self.quiet = first.request.since
        self.waiting = [first]
        #: Whether no poll has waited for it since the last clean-up.
        self.is_left = False
        self.answer: RoomsAnswer | None = None
        self.counts = b""
        #: How long the answer is, in bytes.
        self.size = 0
        self.failure: Exception | None = None
        self._task = half.background.run(self._ask())

    def attach(self, pending: "_Pending") -> bool:
        """Let a poll with the same question wait for this answer, if it has the token for it."""
        since = pending.request.since
        if since != self._sent and since != self.quiet:
            return False
        self._sent = since  # the client has it, so the homeserver may see it
        pending.quiet_token = self.quiet
        self.waiting.append(pending)
        self.is_left = False
        return True

    def give_up(self) -> None:
        """Ask no more: nobody comes for the answer."""
        self._task.cancel()

    async def _ask(self) -> None:
        """Ask until there are news, or somebody's time is over, or nobody waits any more.

        It is one coroutine, since each poll that waits keeps its coroutines in memory.
        """
        half, pause, goes_on, hasty = self._half, _FIRST_PAUSE, True, 0
        try:
            while goes_on:
                has_waited = after(half.clock.now(), _AT_ONCE)
                asking = self.question.request(self._sent, self._timeout)
                try:
                    answer = await half.client.ask(
                        asking.method,
                        asking.target,
                        self._fields,
                        asking.body,
                        time_limit=self._timeout + _MARGIN,
                        most=_MOST,
                    )
                    if answer.status in _AWAY:
                        raise passed_on(answer)
                except (HomeserverUnreachable, HomeserverTooSlow, PassedOn):
                    if not any(it.may_wait for it in self.waiting):
                        raise
                    await sleep(half.clock, pause)
                    pause = min(2 * pause, _LONGEST_PAUSE)
                else:
                    pause = _FIRST_PAUSE
                    hasty = hasty + 1 if half.clock.now() < has_waited else 0
                    is_taken = self._take(answer, is_hasty=hasty > 1)
                    goes_on = not is_taken and bool(self.waiting)
            half.ended(self)
        except Exception as error:  # noqa: BLE001 - the polls are told
            self.failure = error
            half.ended(self)
        except asyncio.CancelledError:
            self.failure = ShuttingDown()
            raise
        finally:
            half.wake(self.requester.user_id)

    def _take(self, answer: UpstreamAnswer, *, is_hasty: bool) -> bool:
        """Take what the homeserver says, or raise it; tell whether it answers the polls.

        *is_hasty* is a homeserver that has not waited, for the second time in a row.
        """
        if answer.status != 200:
            raise passed_on(answer)
        try:
            found = self.question.read(answer.body, is_first=self._sent is None)
        except ValueError:
            raise HomeserverUnreachable("The homeserver's answer is not understood") from None
        if not found.is_empty:
            self._half.rooms.seen(self.requester.user_id, found.rooms)
        if self._is_news(found) or (self.waiting and is_hasty):
            self.counts, self.size = found.counts, len(answer.body)
            self.answer = found.answer
            return True
        self.quiet = found.answer.next_batch
        for pending in self.waiting:
            pending.quiet_token = self.quiet
        return False

    def _is_news(self, found: RoomsHalfAnswer) -> bool:
        if self._is_awaited or not found.is_empty:
            return True
        return self._half.knows_other_counts(self.requester, found.counts)


class _Pending:
    """One poll of a client."""

    __slots__ = ("_asked", "_half", "head", "may_wait", "quiet_token", "request", "requester")

    def __init__(
        self, half: UpstreamRoomsHalf, requester: Requester, request: SyncRequest, head: RequestHead
    ) -> None:
        self._half = half
        self._asked: _Asked | None = None
        self.requester = requester
        self.request = request
        self.head = head
        #: Whether it may be answered without the homeserver, and be attached to another request.
        self.may_wait = (
            request.since is not None and not request.full_state and bool(request.timeout)
        )
        self.quiet_token = request.since if self.may_wait else None

    def take(self) -> RoomsAnswer | None:
        asked = self._asked
        if asked is None:
            asked = self._asked = self._half.attach(self)
        if asked.failure is not None:
            raise asked.failure
        if asked.answer is not None:
            self._half.taken(asked)
        return asked.answer

    def cancel(self) -> None:
        asked = self._asked
        if asked is not None:
            asked.waiting.remove(self)
            if not self.may_wait:
                asked.give_up()
