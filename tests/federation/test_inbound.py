"""What other servers say: once each, entry by entry, in bounded memory."""

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
    """What is heard of other servers: the updates, batch by batch."""

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
        """All updates, whatever they came with."""
        return [update for batch in self.batches for update in batch]

    async def receive(
        self, *edus: object, txn_id: str = "1", origin: ServerName = THERE, **others: object
    ) -> Json:
        """Take a transaction with *edus*, shaped as it comes; return the answer."""
        sent = {"origin": origin, "origin_server_ts": self.clock.now(), "edus": list(edus)}
        return await self._inbound.receive(parse_transaction(sent | others, origin), txn_id)

    async def counts(self, txn_id: str, origin: ServerName = THERE, **others: object) -> bool:
        """Tell whether something that is sent under this ID is listened to."""
        before = len(self.batches)
        entries = presence(entry(f"@dave:{origin}"))
        await self.receive(entries, txn_id=txn_id, origin=origin, **others)
        return len(self.batches) > before


def presence(*push: object) -> Json:
    """Return an EDU with the entries *push*."""
    return {"edu_type": "m.presence", "content": {"push": list(push)}}


def entry(user_id: object, name: object = "online", **fields: Any) -> Json:
    """Return what is told of one user."""
    return {"user_id": user_id, "presence": name, **fields}


async def test_what_is_heard() -> None:
    """Each presence EDU is handed on as it comes, in its order."""
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
    """What comes again under an ID counts once, and is answered alike."""
    ears = Ears()
    event = {"event_id": "$1"}
    first = await ears.receive(presence(entry(DAVE)), pdus=[event])
    ears.clock.advance(days=1)
    again = await ears.receive(presence(entry(DAVE)), pdus=[event])
    assert first == again == {"pdus": {"$1": NO_ROOMS}}
    assert ears.updates == [ONLINE]
    assert (await ears.counts("2"), await ears.counts("1")) == (True, False)


async def test_the_same_id_of_another_server() -> None:
    """Two servers may choose one transaction ID, and both are heard; a port makes another one."""
    ears = Ears()
    names = [THERE, ServerName("other.example"), ServerName("there.example:8448")]
    assert [await ears.counts("1", name) for name in names] == [True] * 3
    assert [await ears.counts("1", name) for name in names] == [False] * 3


async def test_how_many_transactions_are_remembered() -> None:
    """The IDs of the last 50 transactions of a server are remembered; none counts twice."""
    ears = Ears()
    sent_at = []
    for number in range(60):
        sent_at.append(ears.clock.now())
        assert await ears.counts(str(number))
        ears.clock.advance(seconds=1)
    for number, origin_server_ts in enumerate(sent_at):
        assert not await ears.counts(str(number), origin_server_ts=origin_server_ts)


async def test_an_id_is_used_again_much_later() -> None:
    """A server that starts to count its transactions anew is heard: the transactions are newer."""
    ears = Ears()
    for number in range(51):
        assert await ears.counts(str(number))
        ears.clock.advance(seconds=1)
    assert await ears.counts("0")


async def test_a_clock_that_was_fast_and_is_set_right() -> None:
    """A server whose clock was an hour fast is heard at once when the clock is set right."""
    ears = Ears()
    for number in range(60):
        hour_ahead = ears.clock.now() + 3_600_000
        assert await ears.counts(str(number), origin_server_ts=hour_ahead)
        ears.clock.advance(seconds=1)
    assert await ears.counts("right")


async def test_what_comes_again_is_remembered() -> None:
    """A transaction that is sent again and again is not forgotten meanwhile."""
    ears = Ears()
    await ears.counts("first")
    for number in range(200):
        ears.clock.advance(seconds=1)
        assert await ears.counts(str(number))
        assert not await ears.counts("first")


async def test_one_server_does_not_make_another_forgotten() -> None:
    """However much one server says, what others have said is remembered."""
    ears = Ears()
    await ears.counts("1", ServerName("other.example"))
    for number in range(3000):
        await ears.counts(str(number))
    assert not await ears.counts("1", ServerName("other.example"))


async def test_how_many_servers_are_remembered() -> None:
    """Of 10,000 servers something is remembered, and one domain takes its places from itself."""
    ears = Ears()
    other = ServerName("other.example")
    assert await ears.counts("1", other)
    for number in range(10_001):
        assert await ears.counts("1", ServerName(f"s{number}.evil.example"))
    assert not await ears.counts("1", other)
    assert not await ears.counts("1", ServerName("s10000.evil.example"))
    assert await ears.counts("1", ServerName("s0.evil.example"))


async def test_a_large_transaction_is_taken_in_slices() -> None:
    """Between two slices of a transaction the event loop turns, so that others are served."""
    ears = Ears()
    served: list[int] = []
    loop = asyncio.get_running_loop()

    def serve() -> None:
        served.append(len(ears.updates))
        loop.call_soon(serve)

    loop.call_soon(serve)
    crowd = [entry(f"@u{number}:{THERE}") for number in range(2 * SLICE + 50)]
    await ears.receive(presence(*crowd[:60]), presence(*crowd[60:]))
    assert [len(batch) for batch in ears.batches] == [60, SLICE - 60, SLICE, 50]
    assert sorted(set(served)) == [SLICE, 2 * SLICE]


async def test_one_transaction_at_a_time() -> None:
    """While a transaction of a server is being taken, another one is refused with a 429."""
    ears = Ears()
    crowd = presence(*(entry(f"@u{number}:{THERE}") for number in range(2 * SLICE)))
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
    """A transaction whose request ended half way counts when it comes again."""
    ears = Ears()
    crowd = presence(*(entry(f"@u{number}:{THERE}") for number in range(2 * SLICE)))
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
    """An EDU of another kind is passed over in silence, and what stands beside it is heard."""
    ears = Ears()
    other = {"edu_type": edu_type, "content": {"push": [entry(ERIN)]}}
    with capture_logs() as logged:
        assert await ears.receive(other, presence(entry(DAVE)), other) == {"pdus": {}}
    assert (ears.batches, logged) == ([[ONLINE]], [])


async def test_events_of_rooms() -> None:
    """Each event is answered with an error, and costs the presence beside it nothing."""
    ears = Ears()
    events = [{"event_id": "$1"}, "x", {"event_id": "$2"}, {"event_id": "x"}]
    answer = await ears.receive(presence(entry(DAVE)), pdus=events)
    assert answer == {"pdus": {"$1": NO_ROOMS, "$2": NO_ROOMS}}
    assert ears.updates == [ONLINE]


async def test_each_entry_is_judged_alone() -> None:
    """What is malformed, or about somebody else's user, costs its entry, and is told the log."""
    ears = Ears()
    bad = [entry("@alice:here.example"), None, entry(DAVE, "asleep")]
    with capture_logs() as logged:
        await ears.receive(presence(entry(DAVE), *bad, entry(ERIN, "offline")))
    assert ears.batches == [[ONLINE, RemoteUpdate(ERIN, Presence.OFFLINE)]]
    assert logged == [
        {
            "event": "refused presence entries",
            "log_level": "info",
            "origin": "there.example",
            "problems": [
                "push[1]: user_id: @alice:here.example is not a user of there.example",
                "push[2]: not an object",
                "push[3]: presence: missing, or unknown",
            ],
        }
    ]


async def test_how_much_is_logged() -> None:
    """Of many faults in an EDU five are logged."""
    ears = Ears()
    with capture_logs() as logged:
        await ears.receive(presence(*[None] * 900))
    assert [line["problems"] for line in logged] == [
        [f"push[{place}]: not an object" for place in range(5)]
    ]


@pytest.mark.parametrize(
    "edu",
    [
        {"edu_type": "m.presence", "content": {}},
        {"edu_type": "m.presence", "content": {"push": None}},
        {"edu_type": "m.presence", "content": {"push": entry(ERIN)}},
        {"edu_type": "m.presence", "content": {"push": "x"}},
    ],
)
async def test_a_presence_edu_without_entries(edu: Json) -> None:
    """An EDU without an array of entries says nothing, and the others of the transaction do."""
    ears = Ears()
    with capture_logs() as logged:
        await ears.receive(edu, presence(entry(DAVE)))
    assert ears.updates == [ONLINE]
    assert [line["problems"] for line in logged] == [["push: not an array"]]


@pytest.mark.parametrize(
    "edu",
    [None, 5, [presence(entry(ERIN))], {}, {"edu_type": "m.presence"}, {"content": {"push": []}}],
)
async def test_what_is_not_an_edu(edu: object) -> None:
    """What is no EDU at all costs the others nothing."""
    ears = Ears()
    await ears.receive(edu, presence(entry(DAVE)))
    assert ears.batches == [[ONLINE]]


@pytest.mark.parametrize("busy_allowed", [True, False])
async def test_busy(busy_allowed: bool) -> None:
    """Busy is heard where this server knows it, and is unavailable where it does not."""
    ears = Ears(busy_allowed=busy_allowed)
    await ears.receive(presence(entry(ERIN, "org.matrix.msc3026.busy"), entry(DAVE)))
    heard = Presence.BUSY if busy_allowed else Presence.UNAVAILABLE
    assert ears.updates == [RemoteUpdate(ERIN, heard), ONLINE]


async def test_ages_are_judged_by_our_clock() -> None:
    """An age may reach back to the epoch by our clock; what reaches further says nothing."""
    ears = Ears()
    now = ears.clock.now()
    ears.clock.advance(milliseconds=1)
    await ears.receive(presence(*(entry(DAVE, last_active_ago=now + it) for it in (1, 2))))
    oldest = timedelta(milliseconds=now + 1)
    assert ears.updates == [
        RemoteUpdate(DAVE, Presence.ONLINE, None, oldest),
        RemoteUpdate(DAVE, Presence.ONLINE),
    ]


async def test_an_empty_transaction() -> None:
    """A transaction in which there is nothing is taken, and is no news."""
    ears = Ears()
    assert await ears.receive() == {"pdus": {}}
    assert ears.batches == []


async def test_who_speaks() -> None:
    """Each transaction says that its origin is there, one that is repeated only once."""
    ears = Ears()
    await ears.receive(txn_id="1")
    await ears.receive(txn_id="1")
    await ears.receive(txn_id="2")
    assert ears.speakers == [THERE, THERE]
