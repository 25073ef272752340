"""The entries of single rooms: the members that a client gets which loads members lazily."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from lamplighter.database.memory import open_memory
from lamplighter.errors import Forbidden
from lamplighter.homeserver.sql.filtering import RoomFilter
from lamplighter.ids import RoomId
from tests.contract.directories import ALICE, BOB, CHARLIE, Answer, Subject, in_words, subject_in
from tests.effort import EXAMPLES
from tests.homeserver.sql.stories import step, steps

MEMBER = "m.room.member"


def lazily(limit: int) -> RoomFilter:
    """Return the filter of a client that loads members lazily."""
    return RoomFilter(timeline_limit=limit, state={"lazy_load_members": True})


class LazyClient:
    """Alice's client: it remembers the memberships that it has got, and has asked for no others."""

    def __init__(self, tested: Subject, limit: int) -> None:
        self._tested = tested
        self._wanted = lazily(limit)
        self._since: str | None = None
        self._known: dict[RoomId, dict[str, Any]] = {}

    async def sync(self) -> None:
        """Sync; check that the client can name everybody whom the answer shows."""
        answer = await self._tested.sync(ALICE, self._since, self._wanted)
        for room_id, entry in answer.rooms.get("join", {}).items():
            self._check(RoomId(room_id), entry, is_new=self._since is None)
        for room_id in answer.rooms.get("leave", {}):
            self._known.pop(RoomId(room_id), None)  # whoever comes back gets everything anew
        self._since = answer.next_batch

    def _check(self, room_id: RoomId, entry: dict[str, Any], *, is_new: bool) -> None:
        known = self._known.setdefault(room_id, {})
        state, timeline = entry["state"]["events"], entry["timeline"]["events"]
        assert len({it["event_id"] for it in (*state, *timeline)}) == len(state) + len(timeline)
        for event in (*state, *timeline):
            if event["type"] == MEMBER:
                known[event["state_key"]] = event["content"]
        needed = {event["sender"] for event in timeline} | {*entry["summary"].get("m.heroes", ())}
        assert known.keys() >= (needed | {ALICE} if is_new else needed)


async def play(story: list[Any], limit: int) -> None:
    """Go through a story; let the client sync after each of its steps."""
    async with subject_in(open_memory(), "alice", "bob", "charlie") as tested:
        rooms = [await tested.room(ALICE, BOB), await tested.room(BOB, ALICE, CHARLIE)]
        client = LazyClient(tested, limit)
        for number, ((kind, user_id, other, place), syncs) in enumerate(story):
            tested.clock.advance(milliseconds=7)
            with suppress(Forbidden):
                await step(tested, kind, user_id, other, rooms[place], number)
            if syncs:
                await client.sync()


@given(
    st.lists(st.tuples(steps, st.booleans()), min_size=10, max_size=40),
    st.sampled_from([1, 3, 10]),
)
@settings(
    max_examples=max(1, EXAMPLES // 6),  # a story is long
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
def test_everybody_who_is_shown_has_a_name(story: list[Any], limit: int) -> None:
    """After any story, a client that loads members lazily has the memberships of all senders,
    of the heroes and, from the beginning, of its own user; no event comes twice in an answer.
    """
    asyncio.run(play(story, limit))


def members(answer: Answer, room_id: RoomId) -> list[str]:
    """Return whose memberships are in the state of the room."""
    state = answer.rooms["join"][room_id]["state"]["events"]
    return sorted(in_words(event) for event in state if event["type"] == MEMBER)


NAMES = [f"m{number}" for number in range(9)]


async def test_whose_memberships_are_left_out() -> None:
    """Of a room of ten a lazy client gets the memberships of its own user, of six who can be
    heroes and of who has spoken; with news, that of whoever speaks.
    """
    async with subject_in(open_memory(), "alice", "bob", "charlie") as tested:
        others = await tested.users(*NAMES)
        room_id = await tested.room(BOB, *others, ALICE)
        for text in ("one", "two"):
            await tested.say(others[7], room_id, text)
        whole = await tested.sync(ALICE, wanted=RoomFilter(timeline_limit=2))
        first = await tested.sync(ALICE, wanted=lazily(2))
        assert len(members(whole, room_id)) == 11
        shown = ["@alice join", "@bob join", *(f"@m{it} join" for it in (0, 1, 2, 3, 4, 7))]
        assert members(first, room_id) == shown
        with_former_rooms = replace(lazily(2), include_leave=True)  # which are on no page
        again = await tested.sync(ALICE, wanted=with_former_rooms)
        assert members(again, room_id) == shown
        assert first.timeline(room_id) == whole.timeline(room_id)
        await tested.say(others[8], room_id, "three")
        later = await tested.sync(ALICE, first.next_batch, lazily(2))
        assert (members(later, room_id), later.timeline(room_id)) == (["@m8 join"], ["three"])


async def test_who_comes_and_goes_is_told() -> None:
    """A lazy client is told of each membership that has changed since, also where a limited
    timeline leaves the change out: so a list of members that it has asked for stays right.
    """
    async with subject_in(open_memory(), "alice", "bob", "charlie") as tested:
        room_id = await tested.room(ALICE, BOB)
        since = (await tested.sync(ALICE, wanted=lazily(1))).next_batch
        await tested.directory.join(CHARLIE, room_id)
        await tested.directory.leave(BOB, room_id)
        await tested.say(ALICE, room_id, "two")
        await tested.say(ALICE, room_id, "three")
        answer = await tested.sync(ALICE, since, lazily(1))
        assert members(answer, room_id) == ["@alice join", "@bob leave", "@charlie join"]


async def test_no_memberships_for_who_wants_none() -> None:
    """Whoever wants no memberships gets none because they are loaded lazily."""
    unwanted = {"lazy_load_members": True, "not_types": [MEMBER]}
    async with subject_in(open_memory(), "alice", "bob", "charlie") as tested:
        room_id = await tested.room(ALICE, BOB)
        await tested.say(BOB, room_id, "one")
        wanted = RoomFilter(timeline_limit=1, state=unwanted)
        answer = await tested.sync(ALICE, wanted=wanted)
        assert (members(answer, room_id), answer.timeline(room_id)) == ([], ["one"])
