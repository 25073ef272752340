"""Modules that show different states to different viewers."""

from pathlib import Path
from typing import Any, Final

import pytest

from lamplighter.devtools.client import RequestFailed
from lamplighter.devtools.server import ModuleToLoad
from tests.compat.modules.held import Held, Hiding
from tests.compat.modules.routers import Altering, Evolving
from tests.compat.world import ALICE, BOB, UNSEEN, World, world

#: Alice is shown "altered" where bob's message stands, charlie sees what is.
ALTERING = (Held, {"routes": {ALICE: [BOB]}, "say": "altered"})
#: Modules; the message that alice then gets; and whether she shares a room with bob.
MODULES: Final[dict[str, tuple[ModuleToLoad, str | None, bool]]] = {
    "no room": (ALTERING, "altered", False),
    "shared room": (ALTERING, "altered", True),
    "copy_and_replace": ((Altering, {"viewers": [ALICE]}), None, True),
    **{
        f"attrs, way {way}": ((Evolving, {"viewers": [ALICE], "say": way}), None, True)
        for way in range(len(Evolving.WAYS))
    },
}


async def readings(w: World) -> list[str | None]:
    """Return bob's message as alice gets it, once, by an old token, GET, and a first sync."""
    contents = [await w.alice.status_of(w.bob)]
    for answer in (await w.alice.sync(**UNSEEN), await w.alice.first_sync(**UNSEEN)):
        events = answer.content["presence"]["events"]
        contents += [it["content"] for it in events if it["sender"] == BOB]
    return [content.get("status_msg") for content in contents]


@pytest.mark.parametrize(("module", "shown", "shares_a_room"), MODULES.values(), ids=MODULES)
async def test_every_path(module: ModuleToLoad, shown: str | None, shares_a_room: bool) -> None:
    """The viewer gets the altered state, and never the original: on push, sync and GET, also with
    an old token. Other viewers get the real state.
    """
    async with world(module) as w:
        if shares_a_room:
            await w.server.room(w.alice, w.bob, w.charlie)
        for client in (w.alice, w.charlie):
            await client.sync(**UNSEEN)
        poll = await w.alice.polls(**UNSEEN)
        await w.bob.set_status("unavailable", "the truth")
        status = {"presence": "unavailable", "last_active_ago": 0}
        assert (await poll.answer()).presence[BOB] == {
            **status,
            **({"status_msg": shown} if shown else {}),
        }
        await w.charlie.sync(**UNSEEN)
        assert w.charlie.reads(w.bob) == ("the truth" if shares_a_room else None)
        await w.server.advance(hours=1)
        await w.bob.set_status("unavailable", "another truth")
        assert await readings(w) == [shown] * 3
        assert w.server.presence_of(w.bob).status_msg == "another truth"


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


async def test_a_user_that_the_server_did_not_ask_about() -> None:
    """A state of another user in an answer reaches only the viewer to whom the module sends it."""
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


class Inventing(Held):
    """Sends alice the state of a user who does not exist."""

    async def get_users_for_states(self, state_updates: Any) -> Any:
        ghost = state_updates[0].copy_and_replace(user_id="@ghost:example.com", state="online")
        return {ALICE: {ghost}}
