"""Modules that read, set and subscribe to presence."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from lamplighter.devtools.client import RequestFailed
from lamplighter.presence.state import UserPresenceState
from tests.compat.modules.busy_modules import Watcher
from tests.compat.modules.held import Held
from tests.compat.world import ALICE, BOB, CHARLIE, UNSEEN, world

FAR = "@dora:elsewhere.example"


async def test_set_presence() -> None:
    """`set_presence_for_users` sets and announces state and message of several users at once."""
    async with world() as w:
        await w.server.room(w.alice, w.bob, w.charlie)
        await w.alice.sync(**UNSEEN)
        poll = await w.alice.polls(**UNSEEN)
        await w.server.api.set_presence_for_users(
            {BOB: ("online", "one"), CHARLIE: ("unavailable", None)}
        )
        assert (await poll.answer()).presence == {
            BOB: {"presence": "online", "currently_active": False, "status_msg": "one"},
            CHARLIE: {"presence": "unavailable"},
        }


async def test_set_presence_is_announced_in_any_case() -> None:
    """A state that a module sets is announced even if nothing differs."""
    async with world() as w:
        await w.server.room(w.alice, w.bob)
        for _ in range(2):
            await w.server.api.set_presence_for_users({BOB: ("online", None)})
            assert BOB in (await w.alice.sync(**UNSEEN)).presence


async def test_devices_take_the_word_back() -> None:
    """A state that a module sets stands until a device of the user says something new."""
    async with world() as w:
        await w.bob.set_status("online")
        await w.server.api.set_presence_for_users({BOB: ("unavailable", "by a module")})
        assert w.server.presence_of(w.bob).state == "unavailable"
        await w.bob.set_status("online", "by bob")
        state = w.server.presence_of(w.bob)
        assert (state.state, state.status_msg) == ("online", "by bob")


@pytest.mark.parametrize(
    "wrong",
    [
        {"bob": ("online", None)},
        {BOB: ("away", None)},
        {BOB: ("online", 7)},
        {BOB: "online"},
        {BOB: ("online", None, None)},
        {BOB: ("org.matrix.msc3026.busy", None)},
    ],
    ids=str,
)
async def test_set_wrong_presence(wrong: Any) -> None:
    """A wrong entry is a ValueError, and then nothing is set."""
    async with world() as w:
        with pytest.raises(ValueError):
            await w.server.api.set_presence_for_users({ALICE: ("online", None), **wrong})
        assert w.server.presence_of(w.alice).state == "offline"


async def test_get_presence() -> None:
    """`get_presence_for_users` gives each user's presence, whoever asks; unknown is offline."""
    async with world() as w:
        await w.bob.set_status("unavailable", "hello")
        states = await w.server.api.get_presence_for_users([BOB, FAR])
        assert states == {
            BOB: w.server.presence_of(BOB),
            FAR: UserPresenceState.default(FAR),
        }
        assert (states[BOB].state, states[BOB].status_msg) == ("unavailable", "hello")


async def test_subscribe() -> None:
    """A subscriber hears of every announced change, of local and remote users, in batches."""
    async with world() as w:
        batches: list[list[tuple[str, str | None]]] = []

        async def hear(states: list[UserPresenceState]) -> None:
            batches.append([(state.user_id, state.status_msg) for state in states])

        w.server.api.subscribe_to_presence(hear)
        await w.bob.set_status("online", "one")
        await w.server.api.set_presence_for_users({CHARLIE: ("online", "c"), FAR: ("online", "f")})
        await w.server.settled()
        assert batches == [[(BOB, "one")], [(CHARLIE, "c"), (FAR, "f")]]


async def test_subscriber_hears_of_time() -> None:
    """A subscriber hears what time does, too."""
    async with world() as w:
        heard: list[str] = []

        async def hear(states: list[UserPresenceState]) -> None:
            heard.extend(state.state for state in states)

        await w.bob.set_status("online")
        w.server.api.subscribe_to_presence(hear)
        await w.server.advance(seconds=30)
        assert heard == ["offline"]


async def test_unsubscribe() -> None:
    """The result of `subscribe_to_presence` ends the subscription; calling it twice is harmless."""
    async with world() as w:
        heard: list[str] = []

        async def hear(states: list[UserPresenceState]) -> None:
            heard.extend(state.state for state in states)

        unsubscribe = w.server.api.subscribe_to_presence(hear)
        await w.bob.set_status("online")
        await w.server.settled()
        unsubscribe()
        unsubscribe()
        await w.bob.set_status("unavailable")
        await w.server.settled()
        assert heard == ["online"]


async def test_failing_subscriber() -> None:
    """A subscriber that raises costs itself that batch: it is logged, and called again."""
    async with world() as w:
        calls: list[int] = []

        async def fail(states: list[UserPresenceState]) -> None:
            calls.append(len(states))
            raise RuntimeError("always")

        w.server.api.subscribe_to_presence(fail)
        with capture_logs() as logs:
            for state in ("online", "unavailable", "online"):
                await w.bob.set_status(state)
                await w.server.settled()
            await w.server.advance(minutes=1)
            await w.bob.set_status("unavailable")
            await w.server.settled()
        assert calls == [1] * 5  # of bob, and once that he is not active any more
        assert [(it["module"], it["callback"], it["problem"]) for it in logs] == [
            ("test", "subscribe_to_presence", "RuntimeError('always')")
        ] * 2  # the first time, and after a minute
        assert [it.get("left_out") for it in logs] == [None, 3]


async def test_hanging_subscriber() -> None:
    """Nobody waits for a subscriber that hangs; what it misses it gets later, newest per user."""
    async with world((Held, {"routes": {}, "waits": ["get_users_for_states"]})) as w:
        held = w.server.module(Held)
        heard: list[list[str | None]] = []

        async def hang_first(states: list[UserPresenceState]) -> None:
            heard.append([state.status_msg for state in states])
            await held._wait("get_users_for_states")  # noqa: SLF001 - it is ours

        w.server.api.subscribe_to_presence(hang_first)
        now = w.server.clock.now()
        for text in ("one", "two", "three"):
            await w.bob.set_status("online", text)
        assert (heard, w.server.clock.now()) == ([["one"]], now)
        await w.server.advance(seconds=5)
        assert heard == [["one"], ["three"]]


async def test_watcher() -> None:
    """A module of others subscribes, counts in the modules' database, and caches what it reads."""
    async with world(Watcher) as w:
        watcher = w.server.module(Watcher)
        for state in ("online", "unavailable"):
            await w.bob.set_status(state)
            await w.server.settled()
        while await watcher.times(BOB) < 2:
            watcher.times.invalidate((BOB,))
        assert await watcher.times(CHARLIE) == 0
        assert [state.state for state in watcher.seen] == ["online", "unavailable"]


async def test_no_way_around_the_router() -> None:
    """Setting a user's presence reveals it to no viewer who may not see the user."""
    async with world() as w:
        await w.alice.sync(**UNSEEN)
        await w.server.api.set_presence_for_users({BOB: ("online", "hello"), FAR: ("online", "f")})
        assert (await w.alice.sync(**UNSEEN)).presence == {}
        for user in (BOB, FAR):
            with pytest.raises(RequestFailed, match="M_FORBIDDEN"):
                await w.alice.status_of(user)
