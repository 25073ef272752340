"""Transactions of other servers: each counts once, entry by entry, in bounded memory."""

import asyncio
from datetime import timedelta
from typing import Any, Final

import pytest
from structlog.testing import capture_logs

from lamplighter.devtools.clock import FakeClock
from lamplighter.devtools.turns import turns
from lamplighter.errors import LimitExceeded
from lamplighter.federation.inbound import SLICE, Inbound
from lamplighter.federation.transaction import parse_transaction
from lamplighter.ids import ServerName, UserId
from lamplighter.ports import Json
from lamplighter.presence.events import RemoteUpdate
from lamplighter.presence.state import Presence

THERE: Final = ServerName("there.example")
DAVE: Final = UserId("@dave:there.example")
ERIN: Final = UserId("@erin:there.example")
ONLINE: Final = RemoteUpdate(DAVE, Presence.ONLINE)
NO_ROOMS: Final = {"error": "This server takes no events of rooms of other servers"}


class Ears:
    """An `Inbound`, and the updates that it hands on, slice by slice."""

    def __init__(self, *, busy_allowed: bool = True) -> None:
        self.clock = FakeClock()
        self.batches: list[list[RemoteUpdate]] = []
        self.speakers: list[ServerName] = []
        self._inbound = Inbound(
            lambda updates: self.batches.append(list(updates)),
            self.speakers.append,
            self.clock,
            busy_allowed=busy_allowed,
        )

    @property
    def updates(self) -> list[RemoteUpdate]:
        """All updates."""
        return [update for batch in self.batches for update in batch]

    async def receive(
        self, *edus: object, txn_id: str = "1", origin: ServerName = THERE, **others: object
    ) -> Json:
        """Send a transaction with *edus*; return the answer."""
        sent = {"origin": origin, "origin_server_ts": self.clock.now(), "edus": list(edus)}
        return await self._inbound.receive(parse_transaction(sent | others, origin), txn_id)

    async def counts(self, txn_id: str, origin: ServerName = THERE, **others: object) -> bool:
        """Return whether a transaction with this ID is processed."""
        before = len(self.batches)
        entries = presence(entry(f"@dave:{origin}"))
        await self.receive(entries, txn_id=txn_id, origin=origin, **others)
        return len(self.batches) > before


def presence(*push: object) -> Json:
    """Return an EDU with the entries *push*."""
    return {"edu_type": "m.presence", "content": {"push": list(push)}}


def entry(user_id: object, name: object = "online", **fields: Any) -> Json:
    """Return an entry about one user."""
    return {"user_id": user_id, "presence": name, **fields}


CROWD: Final = [entry(f"@u{number}:{THERE}") for number in range(2 * SLICE)]


async def test_updates() -> None:
    """The updates of each presence EDU are handed on, in order."""
    ears = Ears()
    away = entry(ERIN, "unavailable", status_msg="Tea", last_active_ago=5000)
    assert await ears.receive(presence(entry(DAVE), away), presence(entry(DAVE, "offline"))) == {
        "pdus": {}
    }
    assert ears.batches == [
        [ONLINE, RemoteUpdate(ERIN, Presence.UNAVAILABLE, "Tea", timedelta(seconds=5))],
        [RemoteUpdate(DAVE, Presence.OFFLINE)],
    ]


async def test_the_same_transaction_again() -> None:
    """A transaction that comes again is answered as before, and its entries are not read again.

    Each new transaction, even an empty one, shows that its origin works.
    """
    ears = Ears()
    event = {"event_id": "$1"}
    first = await ears.receive(presence(entry(DAVE)), pdus=[event])
    ears.clock.advance(days=1)
    again = await ears.receive(presence(entry(DAVE)), pdus=[event])
    assert first == again == {"pdus": {"$1": NO_ROOMS}}
    assert ears.updates == [ONLINE]
    assert (await ears.counts("2"), await ears.counts("1")) == (True, False)
    await ears.receive(txn_id="3")
    assert ears.speakers == [THERE] * 3


async def test_the_same_id_of_another_server() -> None:
    """Two servers may use the same transaction ID. A name with a port is another server."""
    ears = Ears()
    names = [THERE, ServerName("other.example"), ServerName("there.example:8448")]
    assert [await ears.counts("1", name) for name in names * 2] == [True] * 3 + [False] * 3


async def test_how_many_transactions_are_remembered() -> None:
    """Of 60 transactions none counts twice, though only the last 50 IDs are remembered.

    An old ID may be used again for a newer transaction.
    """
    ears = Ears()
    sent_at = []
    for number in range(60):
        sent_at.append(ears.clock.now())
        assert await ears.counts(str(number))
        ears.clock.advance(seconds=1)
    for number, origin_server_ts in enumerate(sent_at):
        assert not await ears.counts(str(number), origin_server_ts=origin_server_ts)
    assert await ears.counts("0")


async def test_a_clock_that_was_fast() -> None:
    """A server whose clock was an hour fast is accepted at once when the clock is corrected."""
    ears = Ears()
    for number in range(60):
        hour_ahead = ears.clock.now() + 3_600_000
        assert await ears.counts(str(number), origin_server_ts=hour_ahead)
        ears.clock.advance(seconds=1)
    assert await ears.counts("right")


async def test_what_comes_again_is_remembered() -> None:
    """A transaction that is sent again and again is not forgotten."""
    ears = Ears()
    await ears.counts("first")
    for number in range(200):
        ears.clock.advance(seconds=1)
        assert await ears.counts(str(number))
        assert not await ears.counts("first")


async def test_one_server_does_not_make_another_forgotten() -> None:
    """Many transactions of one server do not displace those of another server."""
    ears = Ears()
    await ears.counts("1", ServerName("other.example"))
    for number in range(3000):
        await ears.counts(str(number))
    assert not await ears.counts("1", ServerName("other.example"))


async def test_how_many_servers_are_remembered() -> None:
    """10,000 servers are remembered, and the names of one domain displace each other."""
    ears = Ears()
    other = ServerName("other.example")
    assert await ears.counts("1", other)
    for number in range(10_001):
        assert await ears.counts("1", ServerName(f"s{number}.evil.example"))
    assert not await ears.counts("1", other)
    assert not await ears.counts("1", ServerName("s10000.evil.example"))
    assert await ears.counts("1", ServerName("s0.evil.example"))


async def test_a_large_transaction_is_processed_in_slices() -> None:
    """Between two slices of a transaction the event loop serves other requests."""
    ears = Ears()
    served: list[int] = []
    loop = asyncio.get_running_loop()

    def serve() -> None:
        served.append(len(ears.updates))
        loop.call_soon(serve)

    loop.call_soon(serve)
    await ears.receive(presence(*CROWD[:60]), presence(*CROWD[60:]), presence(*CROWD[:50]))
    assert [len(batch) for batch in ears.batches] == [60, SLICE - 60, SLICE, 50]
    assert sorted(set(served)) == [SLICE, 2 * SLICE]


async def test_one_transaction_at_a_time() -> None:
    """While a transaction of a server is processed, another one is refused with a 429."""
    ears = Ears()
    crowd = presence(*CROWD)
    first = asyncio.ensure_future(ears.receive(crowd, txn_id="1"))
    await turns(1)
    for txn_id in ("1", "2"):
        with pytest.raises(LimitExceeded) as refused:
            await ears.receive(presence(entry(DAVE)), txn_id=txn_id)
        assert refused.value.retry_after == timedelta(seconds=1)
    assert await ears.counts("1", ServerName("other.example"))
    await first
    assert await ears.counts("2")


async def test_a_transaction_given_up_half_way() -> None:
    """A transaction whose processing was cancelled is processed when it comes again."""
    ears = Ears()
    crowd = presence(*CROWD)
    first = asyncio.ensure_future(ears.receive(crowd))
    await turns(1)
    first.cancel()
    await asyncio.wait({first})
    assert len(ears.updates) == SLICE
    await ears.receive(crowd)
    assert len(ears.updates) == 3 * SLICE


@pytest.mark.parametrize(
    "edu_type", ["m.typing", "m.receipt", "m.direct_to_device", "M.PRESENCE", "m.presence ", ""]
)
async def test_other_kinds(edu_type: str) -> None:
    """An EDU of another type is ignored without a log line, and costs the others nothing."""
    ears = Ears()
    other = {"edu_type": edu_type, "content": {"push": [entry(ERIN)]}}
    with capture_logs() as logged:
        assert await ears.receive(other, presence(entry(DAVE)), other) == {"pdus": {}}
    assert (ears.batches, logged) == ([[ONLINE]], [])


async def test_each_entry_is_judged_alone() -> None:
    """A malformed entry, or one about another server's user, is left out; five are logged."""
    ears = Ears()
    bad = [entry("@alice:here.example"), entry(DAVE, "asleep"), *[None] * 900]
    with capture_logs() as logged:
        await ears.receive(presence(entry(DAVE), *bad, entry(ERIN, "offline")))
    assert ears.batches == [[ONLINE, RemoteUpdate(ERIN, Presence.OFFLINE)]]
    problems = [
        "push[1]: user_id: @alice:here.example is not a user of there.example",
        "push[2]: presence: missing, or unknown",
        *[f"push[{place}]: not an object" for place in (3, 4, 5)],
    ]
    line = {"event": "refused presence entries", "log_level": "info", "origin": "there.example"}
    assert logged == [{**line, "problems": problems}]


@pytest.mark.parametrize("busy_allowed", [True, False])
async def test_busy(busy_allowed: bool) -> None:
    """Busy counts as unavailable if this server does not allow busy."""
    ears = Ears(busy_allowed=busy_allowed)
    await ears.receive(presence(entry(ERIN, "org.matrix.msc3026.busy"), entry(DAVE)))
    heard = Presence.BUSY if busy_allowed else Presence.UNAVAILABLE
    assert ears.updates == [RemoteUpdate(ERIN, heard), ONLINE]


async def test_ages_are_judged_by_our_clock() -> None:
    """An age may reach back to the epoch by our clock; a longer one is ignored."""
    ears = Ears()
    now = ears.clock.now()
    ears.clock.advance(milliseconds=1)
    await ears.receive(presence(*(entry(DAVE, last_active_ago=now + it) for it in (1, 2))))
    oldest = timedelta(milliseconds=now + 1)
    assert ears.updates == [
        RemoteUpdate(DAVE, Presence.ONLINE, None, oldest),
        RemoteUpdate(DAVE, Presence.ONLINE),
    ]
