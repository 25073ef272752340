"""A module in a simulated world."""

from typing import Any

import pytest

from lamplighter.devtools.check.simulation import simulated
from lamplighter.devtools.check.worlds import SimulatedRoom, World, state_of
from lamplighter.devtools.clock import START
from lamplighter.errors import ModuleError
from lamplighter.homeserver.values import MemberState
from lamplighter.ids import RoomAlias, RoomId, ServerName, UserId
from lamplighter.modules.api import ModuleApi
from lamplighter.modules.loader import ConfiguredModule, ModuleStyle
from lamplighter.presence.state import UserPresenceState

ALICE, BOB, EVE = UserId("@alice:demo"), UserId("@bob:demo"), UserId("@eve:else.org")
ROOM = RoomId("!hall:demo")
MEMBERS = {EVE: MemberState.JOIN, ALICE: MemberState.JOIN, BOB: MemberState.INVITE}
HALL = SimulatedRoom(ROOM, MEMBERS, RoomAlias("#h:demo"))
WORLD = World(ServerName("demo"), START, [ALICE, BOB, EVE], frozenset({BOB}), [HALL])


class Looks:
    """Keeps its API, and what it is told of presence."""

    def __init__(self, config: dict[str, Any], api: ModuleApi) -> None:
        self.api = api
        self.told: list[UserPresenceState] = []
        self.unsubscribe = api.subscribe_to_presence(self._listen)
        self.job = api.run_in_background(self._work)

    async def _listen(self, states: list[UserPresenceState]) -> None:
        self.told += states

    async def _work(self) -> str:
        return "done"


class Broken:
    """Cannot be built."""

    def __init__(self, config: dict[str, Any], api: ModuleApi) -> None:
        raise LookupError("no such thing")


def _entry(kind: type) -> ConfiguredModule:
    return ConfiguredModule(f"{kind.__module__}.{kind.__name__}", {}, ModuleStyle.CALLBACKS, "here")


async def test_people_and_rooms() -> None:
    """The module finds the accounts, administrators, profiles, rooms and aliases of the world."""
    async with simulated(_entry(Looks), WORLD) as simulation:
        api = simulation.module.api
        assert [await api.check_user_exists(it) for it in (ALICE, EVE)] == [ALICE, None]
        assert [await api.is_user_admin(it) for it in (ALICE, BOB, EVE)] == [False, True, False]
        assert (await api.get_profile_for_user("alice")).display_name == "Alice"
        assert (await api.get_profile_for_user("nobody")).display_name is None
        assert await api.lookup_room_alias("#h:demo") == (ROOM, ["demo"])
        members = await api.get_room_state(ROOM, [("m.room.member", None)])
        assert {user: event.content["membership"] for (_, user), event in members.items()} == {
            EVE: "join",
            ALICE: "join",
            BOB: "invite",
        }
        state = await api.get_room_state(ROOM)
        assert state["m.room.power_levels", ""].content["users"] == {ALICE: 100}
        assert await api.get_room_state("!nowhere:demo") == {}


async def test_what_a_module_keeps() -> None:
    """Account data and the database are the module's own, and new in each world."""
    for _ in range(2):
        async with simulated(_entry(Looks), WORLD) as simulation:
            api = simulation.module.api
            manager = api.account_data_manager
            assert await manager.get_global(ALICE, "org.example") is None
            await manager.put_global(ALICE, "org.example", {"a": 1})
            assert await manager.get_global(ALICE, "org.example") == {"a": 1}
            await api.run_db_interaction("make", lambda txn: txn.execute("CREATE TABLE t (a)"))


async def test_presence() -> None:
    """Subscribers get the states of the questions; a module can read the presence it has set."""
    async with simulated(_entry(Looks), WORLD) as simulation:
        module = simulation.module.instance
        assert isinstance(module, Looks)
        state = state_of(BOB, 3, START)
        await simulation.announce([state])
        await module.api.set_presence_for_users({ALICE: ("unavailable", "lunch")})
        await module.api.send_local_online_presence_to([ALICE])
        seen = await module.api.get_presence_for_users([ALICE, BOB, EVE])
        assert (module.told, seen[BOB]) == ([state], state)
        assert (seen[ALICE].state, seen[ALICE].status_msg) == ("unavailable", "lunch")
        assert seen[EVE] == UserPresenceState.default(EVE)
        module.unsubscribe()
        await simulation.announce([state])
        assert module.told == [state]


async def test_time_and_work() -> None:
    """The module uses the world's clock, and its background work runs."""
    async with simulated(_entry(Looks), WORLD) as simulation:
        module = simulation.module.instance
        assert isinstance(module, Looks)
        assert module.api.get_current_time_msec() == START
        assert module.job.result() == "done"
        assert simulation.registrations == []


async def test_a_module_that_cannot_be_built() -> None:
    """The error is that of a server's start, with the module's own error as its cause."""
    with pytest.raises(ModuleError) as raised:
        async with simulated(_entry(Broken), WORLD):
            pass
    assert isinstance(raised.value.__cause__, LookupError)
