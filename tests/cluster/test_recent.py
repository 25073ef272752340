"""A node that starts knows what the log has told lately, although the database does not have it."""

from lamplighter.clock import Timestamp
from lamplighter.cluster.entries import (
    Changed,
    Entry,
    Forgotten,
    HomeserverNews,
    Idle,
    Refreshed,
    VisibilityEnded,
)
from lamplighter.cluster.log import Lease, NodeFacts, NodeName, PartitionId
from lamplighter.cluster.partitions import ALL_PARTITIONS
from lamplighter.cluster.positions import BEGINNING, RECORD
from lamplighter.cluster.recent import ended_of, news_of, read_recent, unsure_of, with_recent
from lamplighter.cluster.wire import WireRecord, encode_record
from lamplighter.devtools.clock import FakeClock
from lamplighter.ids import StreamPosition, UserId
from lamplighter.ports import SavedPresence
from lamplighter.presence.changes import Change, ChangeReason
from lamplighter.presence.machine import StateSource, TrackedUser
from tests.cluster.memory_log import LogServer, MemoryLog
from tests.routing.people import ALICE, BOB, CHARLIE, state

OLD = StreamPosition(7 * RECORD)


def user(user_id: UserId, message: str | None) -> TrackedUser:
    """Return a user whom a module has set."""
    return TrackedUser(state(user_id, message), StateSource.MODULE)


def changed(user_id: UserId, message: str) -> Changed:
    """Return the entry of a change."""
    change = Change(state(user_id, None), state(user_id, message), ChangeReason.STATUS_MSG)
    return Changed((change,), {}, {})


class Told:
    """A log to which a node tells records."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.server = LogServer(self.clock)

    async def begin(self) -> None:
        self.log: MemoryLog = self.server.log()
        self.lease: Lease = await self.log.join(NodeName("a"), NodeFacts("a", {}), BEGINNING)
        await self.log.take(self.lease, [PartitionId(it) for it in ALL_PARTITIONS])

    async def tell(self, *entries: Entry, users: tuple[TrackedUser, ...] = ()) -> StreamPosition:
        """Tell one record; return the position of its last entry."""
        payload = encode_record(WireRecord(entries, users))
        return await self.log.tell(self.lease, [], payload, len(entries))

    async def known(self, *saved: SavedPresence) -> dict[str, SavedPresence]:
        """Return what a node that starts knows, beside what the database has *saved*."""
        standing = await self.log.renew(self.lease, BEGINNING)
        recent = await read_recent(self.log, self.lease, standing)
        return {it.user.state.user_id: it for it in with_recent(saved, recent)}


async def test_the_newest_counts() -> None:
    """What was told last of each user counts, with its position, over what was saved before."""
    told = Told()
    await told.begin()
    await told.tell(changed(ALICE, "one"), users=(user(ALICE, "one"),))
    last = await told.tell(
        changed(ALICE, "two"), changed(BOB, "new"), users=(user(ALICE, "two"), user(BOB, "new"))
    )
    saved = SavedPresence(user(ALICE, "old"), OLD), SavedPresence(user(CHARLIE, "kept"), OLD)
    assert await told.known(*saved) == {
        ALICE: SavedPresence(user(ALICE, "two"), StreamPosition(last - RECORD)),
        BOB: SavedPresence(user(BOB, "new"), last),
        CHARLIE: SavedPresence(user(CHARLIE, "kept"), OLD),
    }


async def test_what_is_saved_may_be_newer() -> None:
    """What was saved after it was told is not replaced by an older record, of any kind."""
    told = Told()
    await told.begin()
    older = changed(ALICE, "told"), Refreshed((state(ALICE, "told"),)), Forgotten(ALICE)
    for entry in older:
        position = await told.tell(entry, users=(user(ALICE, "told"),))
    newer = SavedPresence(user(ALICE, "saved"), StreamPosition(position + RECORD))
    assert await told.known(newer) == {ALICE: newer}


async def test_refreshed_and_forgotten() -> None:
    """A refreshed state keeps the place of the last change; who was forgotten is unknown."""
    told = Told()
    await told.begin()
    refreshed = state(ALICE, "old").copy_and_replace(last_active_ts=Timestamp(99))
    await told.tell(
        Refreshed((refreshed,)), Forgotten(BOB), users=(TrackedUser(refreshed, StateSource.MODULE),)
    )
    saved = SavedPresence(user(ALICE, "old"), OLD), SavedPresence(user(BOB, "gone"), OLD)
    assert await told.known(*saved) == {
        ALICE: SavedPresence(TrackedUser(refreshed, StateSource.MODULE), OLD)
    }


async def test_news_of_the_homeserver() -> None:
    """What the homeserver has written lately is known, with its positions, in their order."""
    told = Told()
    await told.begin()
    await told.tell(HomeserverNews(b"old"))
    await told.tell(Idle(), HomeserverNews(b"new"))
    standing = await told.log.renew(told.lease, BEGINNING)
    news = news_of(await read_recent(told.log, told.lease, standing))
    assert list(news.values()) == [b"old", b"new"]
    assert list(news) == sorted(news)


async def test_whom_modules_have_ceased_to_show() -> None:
    """Whom modules have lately ceased to show is known."""
    told = Told()
    await told.begin()
    ended = VisibilityEnded(ALICE, (BOB,), False)
    await told.tell(Idle(), ended)
    standing = await told.log.renew(told.lease, BEGINNING)
    assert ended_of(await read_recent(told.log, told.lease, standing)) == [ended]


async def test_what_nobody_may_know() -> None:
    """Tokens from before the log began, or lost its data, say nothing until it reaches back."""
    told = Told()
    await told.begin()
    began = (await told.log.renew(told.lease, BEGINNING)).complete_after
    standings = []
    for seconds in (74, 1):
        told.clock.advance(seconds=seconds)
        standings.append(await told.log.standing())
    assert [unsure_of(it) for it in standings] == [range(began + 1), range(0)]
