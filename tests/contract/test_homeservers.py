"""What every homeserver fulfils around which a server is built: `Homeserver`, and its ports."""

from datetime import timedelta

import msgspec
import pytest

from lamplighter.devtools.clock import FakeClock
from lamplighter.errors import NotFound, PassedOn, UnknownToken
from lamplighter.ids import DeviceId, RoomId, UserId
from lamplighter.ports import (
    JoinedMember,
    MembershipChange,
    RoomsAnswer,
    SyncRequest,
)
from tests.contract.directories import ALICE, BOB, PHONE
from tests.contract.homeservers import AnyHomeserver, content, taken

NOW = FakeClock().now()

LAPTOP = DeviceId("LAPTOP")
#: A homeserver behind this server says it in its own words.
UNKNOWN = (UnknownToken, PassedOn)
#: The query and time-out of a poll that waits.
POLL = SyncRequest("timeout=30000", timeout=timedelta(seconds=30))


def polls(since: str) -> SyncRequest:
    """Return a poll that waits, with a token."""
    return msgspec.structs.replace(POLL, since=since)


async def first_sync(any_: AnyHomeserver, name: str) -> str:
    """Return the rooms part of the token after the first sync of a user's phone."""
    requester, _ = await any_.log_in(name)
    answer = await any_.answer(requester, SyncRequest())
    assert answer is not None
    return answer.next_batch


async def test_a_token_is_its_devices(any_homeserver: AnyHomeserver) -> None:
    """A token tells user and device; once looked up, it is known without asking anybody."""
    identity = any_homeserver.homeserver.identity
    requester, token = await any_homeserver.log_in("alice")
    assert identity.requester_in_use(token, NOW) in (None, requester)
    assert await identity.authenticate(token, "timeout=0") == requester
    assert identity.requester_in_use(token, NOW, "timeout=0") == requester


@pytest.mark.parametrize("token", ["", "never-given-out", "€", "a\r\nb: c", "\ud800"])
async def test_unknown_tokens(any_homeserver: AnyHomeserver, token: str) -> None:
    """A token that was never given out is unknown, and stays so."""
    identity = any_homeserver.homeserver.identity
    for _ in range(2):
        assert identity.requester_in_use(token, NOW) is None
        with pytest.raises(UNKNOWN):
            await identity.authenticate(token)


async def test_tokens_end(any_homeserver: AnyHomeserver) -> None:
    """A token ends with its device, or when the device logs in anew; the listener is told."""
    identity = any_homeserver.homeserver.identity
    requester, first = await any_homeserver.log_in("alice")
    await identity.authenticate(first)
    _, second = await any_homeserver.log_in("alice")
    await identity.authenticate(second)
    await any_homeserver.log_out(requester)
    for token in (first, second):
        assert identity.requester_in_use(token, NOW) is None
        with pytest.raises(UNKNOWN):
            await identity.authenticate(token)
    revoked = [("tokens_revoked", (ALICE, [PHONE]))] if any_homeserver.tells_new_tokens else []
    assert any_homeserver.recorder.told == [*revoked, ("devices_gone", (ALICE, [PHONE]))]


async def test_memberships(any_homeserver: AnyHomeserver) -> None:
    """Who is joined to which room is known, in the order of the joins, and told as it changes."""
    membership = any_homeserver.homeserver.membership
    for name in ("alice", "bob"):
        await any_homeserver.log_in(name)
    room = await any_homeserver.room("Lobby", ALICE, BOB)
    joined = await membership.members()
    assert [(it.room_id, it.user_id) for it in joined] == [(room, ALICE), (room, BOB)]
    assert joined == sorted(joined, key=lambda it: it.since)
    assert all(isinstance(it, JoinedMember) for it in joined)
    await any_homeserver.leave(BOB, room)
    assert (await membership.joined_rooms(ALICE), await membership.joined_rooms(BOB)) == (
        [room],
        [],
    )
    assert any_homeserver.recorder.memberships == [
        MembershipChange(room, ALICE, joined=True),
        MembershipChange(room, BOB, joined=True),
        MembershipChange(room, BOB, joined=False),
    ]


async def test_room_names(any_homeserver: AnyHomeserver) -> None:
    """A room has the name that people gave it, or none; a room that there is not has none."""
    await any_homeserver.log_in("alice")
    named = await any_homeserver.room("Lobby", ALICE)
    unnamed = await any_homeserver.room(None, ALICE)
    rooms = (named, unnamed, RoomId("!nowhere:lamp.test"))
    names = [await any_homeserver.homeserver.membership.room_name(it) for it in rooms]
    assert names == ["Lobby", None, None]


async def test_a_first_sync_is_answered(any_homeserver: AnyHomeserver) -> None:
    """A first sync is answered in full, even if there is nothing to say."""
    requester, _ = await any_homeserver.log_in("alice")
    empty = await any_homeserver.answer(requester, SyncRequest())
    assert empty is not None
    assert "rooms" not in content(empty)
    room = await any_homeserver.room("Lobby", ALICE)
    await any_homeserver.say(requester, room, "hello")
    full_state = SyncRequest("full_state=true", since=empty.next_batch, full_state=True)
    for request in (SyncRequest(), full_state):
        found = content(await any_homeserver.answer(requester, request))
        events = found["rooms"]["join"][room]["timeline"]["events"]
        assert events[-1]["content"]["body"] == "hello"


async def test_nothing_goes_out_before_a_first_answer(any_homeserver: AnyHomeserver) -> None:
    """A first sync has no token for an answer with presence alone; what is woken finds the rest."""
    requester, _ = await any_homeserver.log_in("alice")
    pending = any_homeserver.begin(requester, SyncRequest())
    assert (pending.take(), pending.quiet_token) == (None, None)
    answer = await taken(pending, any_homeserver.recorder)
    assert isinstance(answer, RoomsAnswer)
    assert any_homeserver.recorder.news == [{ALICE}]
    pending.cancel()


async def test_a_quiet_request(any_homeserver: AnyHomeserver) -> None:
    """While nothing happens there is nothing to take, and an answer without rooms may go out."""
    since = await first_sync(any_homeserver, "alice")
    requester, _ = await any_homeserver.log_in("alice")
    pending = any_homeserver.begin(requester, polls(since))
    assert await taken(pending, any_homeserver.recorder) is None
    assert pending.quiet_token == since
    pending.cancel()


async def test_what_happens_wakes_and_is_told(any_homeserver: AnyHomeserver) -> None:
    """News of a room wake the polls of those who are in it, and are there to take; others'
    requests stay quiet.
    """
    alice, _ = await any_homeserver.log_in("alice")
    bob, _ = await any_homeserver.log_in("bob")
    room = await any_homeserver.room("Lobby", ALICE)
    tokens = [(it, await any_homeserver.answer(it, SyncRequest())) for it in (alice, bob)]
    pending = [any_homeserver.begin(it, polls(found.next_batch)) for it, found in tokens if found]
    assert [await taken(it, any_homeserver.recorder) for it in pending] == [None, None]
    any_homeserver.recorder.forget()
    await any_homeserver.say(alice, room, "hello")
    first, second = [await taken(it, any_homeserver.recorder) for it in pending]
    assert any_homeserver.recorder.news[0] == {ALICE}
    assert BOB not in set().union(*any_homeserver.recorder.news)
    event = content(first)["rooms"]["join"][room]["timeline"]["events"][-1]
    assert event["content"]["body"] == "hello"
    assert second is None
    for it in pending:
        it.cancel()


async def test_a_request_that_is_given_up(any_homeserver: AnyHomeserver) -> None:
    """What is cancelled before its answer is there loses nothing: the same token tells it again."""
    alice, _ = await any_homeserver.log_in("alice")
    room = await any_homeserver.room("Lobby", ALICE)
    first = await any_homeserver.answer(alice, SyncRequest())
    assert first is not None
    await any_homeserver.say(alice, room, "hello")
    request = polls(first.next_batch)
    given_up = any_homeserver.begin(alice, request)
    given_up.take()
    given_up.cancel()
    again = content(await any_homeserver.answer(alice, request))
    assert again["rooms"]["join"][room]["timeline"]["events"][-1]["content"]["body"] == "hello"


async def test_filters_that_are_not_there(any_homeserver: AnyHomeserver) -> None:
    """A filter that nobody has uploaded is not found."""
    requester, _ = await any_homeserver.log_in("alice")
    with pytest.raises(NotFound):
        await any_homeserver.homeserver.rooms_half.filter(
            requester, SyncRequest(), any_homeserver.head(requester), "9"
        )


async def test_lookups(any_homeserver: AnyHomeserver) -> None:
    """Modules and operators learn who exists, with which devices, and may keep account data."""
    lookups = any_homeserver.homeserver.lookups
    nobody = UserId("@nobody:lamp.test")
    for name, device_id in (("alice", PHONE), ("alice", LAPTOP), ("bob", PHONE)):
        await any_homeserver.log_in(name, device_id)
    accounts = await lookups.accounts(None, 9)
    assert [it.user_id for it in accounts] == [ALICE, BOB]
    assert accounts[0] == await lookups.account(ALICE)
    assert [it.user_id for it in await lookups.accounts(ALICE, 9)] == [BOB]
    assert [it.user_id for it in await lookups.accounts(None, 9, "lic")] == [ALICE]
    assert {it.device_id for it in await lookups.devices(ALICE)} == {PHONE, LAPTOP}
    assert (await lookups.account(nobody), await lookups.devices(nobody)) == (None, [])
    assert (await lookups.profile(ALICE)).avatar_url is None
    with pytest.raises(NotFound):
        await lookups.profile(nobody)
    assert await lookups.account_data(ALICE, None, "a") is None
    await lookups.set_account_data(ALICE, None, "a", {"b": 1})
    assert await lookups.account_data(ALICE, None, "a") == {"b": 1}
