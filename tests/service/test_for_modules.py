"""Presence for modules: snapshots for users of other servers, and the newest state."""

import asyncio
from typing import Any, Final

import pytest

from lamplighter.ids import ServerName, UserId
from lamplighter.presence.events import RemoteUpdate, SetByModule
from lamplighter.presence.state import Presence
from tests.routing.callbacks import Thinking, answering, turns
from tests.routing.people import ALICE, BOB, CHARLIE, DORA
from tests.service.parts import Parts

THERE: Final = ServerName("elsewhere.org")
EVE: Final = UserId("@eve:elsewhere.org")
FAY: Final = UserId("@fay:third.org")


@pytest.fixture
async def parts() -> Parts:
    """The core of presence."""
    return Parts()


async def test_the_newest_presence(parts: Parts) -> None:
    """A module that is asked about a change finds the change, though it is not published yet."""
    found: list[str | None] = []

    async def routes(_states: Any) -> object:
        found.append(parts.for_modules.presence_of(BOB).status_msg)
        return {}

    parts.module(routes)
    assert parts.for_modules.presence_of(BOB).state == "offline"
    await parts.publish(BOB, "one")
    assert (found, parts.roster.get(BOB).status_msg) == (["one"], "one")


async def test_who_is_online(parts: Parts) -> None:
    """The servers of the viewers get our users who are not offline, as far as they may see them."""
    for user_id in (ALICE, BOB, CHARLIE):
        await parts.publish(user_id, user_id)
    parts.intake.accept(RemoteUpdate(FAY, Presence.ONLINE))
    await parts.intake.accept(SetByModule(ALICE, Presence.OFFLINE, "gone"))
    parts.module(get_interested_users=answering({ALICE, BOB, FAY}))
    await parts.for_modules.send_local_online_presence_to({DORA, EVE})
    assert parts.outgoing.messages == [(THERE, {BOB: BOB})]


async def test_modules_are_asked_afresh(parts: Parts) -> None:
    """A snapshot asks the modules for the viewer again, even if their answer is not old."""
    asked: list[Any] = []

    async def interested(user_id: Any) -> object:
        asked.append(user_id)
        return {BOB} if asked.count(user_id) > 1 else set()

    await parts.publish(BOB, "one")
    parts.module(get_interested_users=interested)
    await parts.for_modules.send_local_online_presence_to({DORA})
    assert (asked, parts.outgoing.messages) == ([DORA], [])
    await parts.for_modules.send_local_online_presence_to({DORA})
    assert (asked, parts.outgoing.messages) == ([DORA, DORA], [(THERE, {BOB: "one"})])


async def test_nobody_to_show_to(parts: Parts) -> None:
    """Without viewers nobody is asked anything."""
    thinking = Thinking()
    await parts.publish(BOB, "one")
    parts.module(thinking, thinking)
    await parts.for_modules.send_local_online_presence_to(set())
    assert thinking.asked == []


@pytest.mark.parametrize(
    ("presence", "last"), [(Presence.UNAVAILABLE, {BOB: "new"}), (Presence.OFFLINE, None)]
)
async def test_what_changes_meanwhile(
    parts: Parts, presence: Presence, last: dict[UserId, str] | None
) -> None:
    """A user who changes before the modules answer is shown with the newer state, unless the user
    went offline.
    """
    thinking = Thinking()
    for user_id in (ALICE, BOB):
        await parts.publish(user_id, "old")
    parts.module(thinking, answering({ALICE, BOB}))
    showing = asyncio.ensure_future(parts.for_modules.send_local_online_presence_to({DORA}))
    await turns()
    parts.intake.accept(SetByModule(BOB, presence, "new"))
    await parts.publisher.published()
    thinking.answer({})
    await turns()
    assert parts.outgoing.messages == [(THERE, {ALICE: "old"})]
    for _ in thinking.asked[1:]:
        thinking.answer({})
    await showing
    assert parts.outgoing.messages[1:] == ([(THERE, last)] if last else [])
