"""Modules that show different states to different viewers."""

from pathlib import Path
from typing import Any

import pytest

from lamplighter.devtools.client import RequestFailed
from tests.compat.modules.held import Held
from tests.compat.modules.routers import Altering, Evolving
from tests.compat.world import ALICE, BOB, UNSEEN, World, world

#: Alice is shown "altered" where bob's message stands, charlie sees what is.
ALTERING = (Held, {"routes": {ALICE: [BOB]}, "say": "altered"})
HIDING = (Altering, {"viewers": [ALICE]})


async def readings(w: World) -> list[str | None]:
    """Return bob's message as alice gets it by an old token, GET, and a first sync."""
    answer = await w.alice.sync(**UNSEEN)
    contents = [answer.presence[BOB], await w.alice.status_of(w.bob)]
    contents.append((await w.alice.first_sync(**UNSEEN)).presence[BOB])
    return [content.get("status_msg") for content in contents]


@pytest.mark.parametrize("shares_a_room", [False, True], ids=["no room", "shared room"])
async def test_every_path(shares_a_room: bool) -> None:
    """The viewer sees the altered state, and never the original: on push, sync and GET."""
    async with world(ALTERING) as w:
        if shares_a_room:
            await w.server.room(w.alice, w.bob, w.charlie)
        await w.alice.sync(**UNSEEN)
        poll = await w.alice.polls(**UNSEEN)
        await w.bob.set_status("unavailable", "the truth")
        assert (await poll.answer()).presence[BOB] == {
            "presence": "unavailable",
            "last_active_ago": 0,
            "status_msg": "altered",
        }
        await w.bob.set_status("unavailable", "another truth")
        await w.server.advance(hours=1)
        assert await readings(w) == ["altered"] * 3


async def test_old_token() -> None:
    """A viewer who returns after a long time gets the altered state as well."""
    async with world(ALTERING) as w:
        await w.server.room(w.alice, w.bob)
        await w.alice.sync(**UNSEEN)
        await w.bob.set_status("unavailable", "the truth")
        await w.server.advance(hours=1)
        await w.alice.sync(**UNSEEN)
        assert w.alice.reads(w.bob) == "altered"


async def test_others_see_what_is() -> None:
    """An alteration for one viewer changes nothing for the others, who get the real state."""
    async with world(ALTERING) as w:
        await w.server.room(w.alice, w.bob, w.charlie)
        for client in (w.alice, w.charlie):
            await client.sync(**UNSEEN)
        await w.bob.set_status("unavailable", "the truth")
        for client in (w.alice, w.charlie):
            await client.sync(**UNSEEN)
        assert (w.alice.reads(w.bob), w.charlie.reads(w.bob)) == ("altered", "the truth")
        assert w.server.presence_of(w.bob).status_msg == "the truth"


async def test_status_message_hidden() -> None:
    """`copy_and_replace(status_msg=None)` hides the message from its viewer on every path."""
    async with world(HIDING) as w:
        await w.server.room(w.alice, w.bob)
        await w.alice.sync(**UNSEEN)
        await w.bob.set_status("unavailable", "the truth")
        assert await readings(w) == [None] * 3


@pytest.mark.parametrize("way", range(len(Evolving.WAYS)))
async def test_status_message_hidden_by_attrs(way: int) -> None:
    """A copy made with any function of attrs hides the message on every path."""
    async with world((Evolving, {"viewers": [ALICE], "say": way})) as w:
        await w.server.room(w.alice, w.bob)
        await w.alice.sync(**UNSEEN)
        poll = await w.alice.polls(**UNSEEN)
        await w.bob.set_status("unavailable", "the truth")
        assert "status_msg" not in (await poll.answer()).presence[BOB]
        await w.bob.set_status("unavailable", "another truth")
        assert await readings(w) == [None] * 3


async def test_after_a_restart(tmp_path: Path) -> None:
    """After a restart, before any alteration is known, the first answers are altered as well."""
    async with world(ALTERING, data_dir=tmp_path / "data") as w:
        await w.server.room(w.alice, w.bob)
        await w.alice.sync(**UNSEEN)
        await w.bob.set_status("unavailable", "the truth")
        await w.server.restart(w.alice, w.bob)
        assert await readings(w) == ["altered"] * 3


async def test_after_a_join() -> None:
    """A viewer who sees a user because of a join gets the altered state."""
    async with world(ALTERING) as w:
        await w.bob.set_status("unavailable", "the truth")
        room = await w.server.room(w.bob)
        await w.alice.first_sync(**UNSEEN)
        await w.alice.join(room)
        await w.alice.sync(**UNSEEN)
        assert w.alice.reads(w.bob) == "altered"


async def test_state_altered() -> None:
    """A module may alter any field, and show a user as offline for instance."""
    async with world((Hiding, {"routes": {ALICE: [BOB]}})) as w:
        await w.server.room(w.alice, w.bob)
        await w.alice.sync(**UNSEEN)
        await w.bob.set_status("online", "the truth")
        content = (await w.alice.sync(**UNSEEN)).presence[BOB]
        assert (content["presence"], "status_msg" in content) == ("offline", False)
        assert await w.alice.status_of(w.bob) == content
        assert BOB not in (await w.alice.first_sync(**UNSEEN)).presence


async def test_viewers_of_a_module_that_thinks_wait() -> None:
    """Viewers for whom a module has altered states wait for it; other room members do not."""
    async with world(ALTERING) as w:
        await w.server.room(w.alice, w.bob, w.charlie)
        for client in (w.alice, w.charlie):
            await client.sync(**UNSEEN)
        held = w.server.module(Held)
        await w.bob.set_status("unavailable", "before")
        for client in (w.alice, w.charlie):
            await client.sync(**UNSEEN)
        held.waits = {"get_users_for_states"}
        waiting, other = await w.alice.polls(**UNSEEN), await w.charlie.polls(**UNSEEN)
        await w.bob.set_status("unavailable", "the truth")
        assert (await other.answer()).presence[BOB]["status_msg"] == "the truth"
        await w.server.advance(seconds=4)
        assert not waiting.answered
        held.let_go()
        assert (await waiting.answer()).presence[BOB]["status_msg"] == "altered"


async def test_what_a_failing_module_alters_is_withheld() -> None:
    """While a module fails, its viewers get nothing about the users whom it altered for them."""
    async with world(ALTERING) as w:
        await w.server.room(w.alice, w.bob, w.charlie)
        for client in (w.alice, w.charlie):
            await client.sync(**UNSEEN)
        await w.bob.set_status("unavailable", "before")
        await w.alice.sync(**UNSEEN)
        held = w.server.module(Held)
        held.waits = {"get_users_for_states"}
        poll = await w.alice.polls(**UNSEEN)
        await w.bob.set_status("unavailable", "the truth")
        await w.server.advance(seconds=6)
        assert not poll.answered
        await w.charlie.sync(**UNSEEN)
        assert w.charlie.reads(w.bob) == "the truth"
        held.waits = set()
        await w.bob.set_status("online", "the truth again")
        assert (await poll.answer()).presence[BOB]["status_msg"] == "altered"


async def test_one_event_per_sender() -> None:
    """A viewer never gets both the real and an altered state of a user at once."""
    async with world(ALTERING) as w:
        await w.server.room(w.alice, w.bob)
        await w.alice.sync(**UNSEEN)
        for text in ("one", "two"):
            await w.bob.set_status("unavailable", text)
        events = (await w.alice.sync(**UNSEEN)).content["presence"]["events"]
        assert [it["sender"] for it in events] == [BOB]
        events = (await w.alice.first_sync(**UNSEEN)).content["presence"]["events"]
        assert sorted(it["sender"] for it in events) == [ALICE, BOB]


async def test_state_of_somebody_who_was_not_asked_about() -> None:
    """A state of another user in an answer reaches the viewer it is for, and no other."""
    async with world((Inventing, {"routes": {}})) as w:
        for client in (w.alice, w.charlie):
            await client.sync(**UNSEEN)
        await w.bob.set_status("unavailable")
        answer = await w.alice.sync(**UNSEEN)
        assert {sender: it["presence"] for sender, it in answer.presence.items()} == {
            "@ghost:example.com": "online"
        }
        assert (await w.charlie.sync(**UNSEEN)).presence == {}
        with pytest.raises(RequestFailed, match="M_FORBIDDEN"):
            await w.charlie.status_of("@ghost:example.com")


class Hiding(Held):
    """Shows the users of its routes as if they did not exist."""

    def _shown(self, state: Any) -> Any:
        return type(state).default(state.user_id)


class Inventing(Held):
    """Sends alice the state of a user who does not exist."""

    async def get_users_for_states(self, state_updates: Any) -> Any:
        ghost = state_updates[0].copy_and_replace(user_id="@ghost:example.com", state="online")
        return {ALICE: {ghost}}
