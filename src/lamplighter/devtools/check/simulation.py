"""One module in one world: the real loader loads it, and its `ModuleApi` works on the world.

The world takes the server's place behind the ports of `modules/host.py`. So people of other servers
can be members of rooms, rooms have the IDs that the module knows, and a world costs a millisecond.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from lamplighter.clock import Timestamp
from lamplighter.devtools.check.worlds import SimulatedRoom, World
from lamplighter.devtools.clock import FakeClock
from lamplighter.devtools.module_timers import modules_by
from lamplighter.devtools.python_clock import python_clock_at
from lamplighter.devtools.turns import turns_until_idle
from lamplighter.errors import ModuleError, NotFound, UnknownToken
from lamplighter.homeserver.values import MemberState
from lamplighter.ids import RoomAlias, RoomId, UserId, localpart_of
from lamplighter.metrics import Metrics
from lamplighter.modules import synapse_paths
from lamplighter.modules.api import ModuleApi
from lamplighter.modules.background import BackgroundWork
from lamplighter.modules.host import PresenceListener, ServerFacts
from lamplighter.modules.http_client import UnreachableHttpClient
from lamplighter.modules.loader import ConfiguredModule, LoadedModule, import_and_parse, instantiate
from lamplighter.modules.parts import ApiParts
from lamplighter.modules.sqlite import SqliteEngine
from lamplighter.modules.storage import ModuleDatabase
from lamplighter.modules.web import WebResources
from lamplighter.ports import Account, Json, Profile, Requester
from lamplighter.presence.state import Presence, UserPresenceState
from lamplighter.routing.callbacks import GetInterestedUsers, GetUsersForStates
from lamplighter.routing.guard import GuardSettings
from lamplighter.service.subscribers import Subscribers

__all__ = ["Registration", "Simulation", "simulated"]

#: Background work of modules gets at most so many turns of the loop.
_TURNS: Final = 20
#: A subscriber's time-out, as in a server by default.
_TIMEOUT: Final = GuardSettings().module_timeout
#: Nobody reads them.
_METRICS: Final = Metrics()


@dataclass(frozen=True, slots=True)
class Registration:
    """A pair of callbacks that a module has registered."""

    get_users_for_states: GetUsersForStates
    get_interested_users: GetInterestedUsers


@dataclass(slots=True)
class Simulation:
    """A running module, its registrations, and everybody's presence."""

    world: World
    clock: FakeClock
    module: LoadedModule
    registrations: Sequence[Registration]
    _presence: "_Presence"

    async def announce(self, states: Sequence[UserPresenceState]) -> None:
        """Set *states*, and give them to the module if it has subscribed."""
        self._presence.announce(states)
        await turns_until_idle(_TURNS)


@asynccontextmanager
async def simulated(entry: ConfiguredModule, world: World) -> AsyncIterator[Simulation]:
    """Load the module into a new world; raises `ConfigError` and `ModuleError`, as a start does."""
    with python_clock_at(world.now) as move, modules_by(clock := FakeClock(world.now, move)):
        registrations: list[Registration] = []
        presence, background = _Presence(clock), BackgroundWork(clock)
        parts = ApiParts(
            server=ServerFacts(world.server_name, f"https://{world.server_name}/"),
            register=lambda _, states, interest: registrations.append(
                Registration(states, interest)
            ),
            host=presence,
            directory=_Directory(world),
            background=background,
            database=ModuleDatabase(SqliteEngine(None)),
            web=WebResources(),
            http_client=UnreachableHttpClient(),
        )
        paths = synapse_paths.install(background)
        try:
            module = await asyncio.create_task(_started(entry, parts))
            background.start()
            await turns_until_idle(_TURNS)
            yield Simulation(world, clock, module, registrations, presence)
        finally:
            if paths is not None:
                paths.functions.remove(background)
            await _stop(parts, clock)


async def _started(entry: ConfiguredModule, parts: ApiParts) -> LoadedModule:
    """Start the module; in a task of its own, whose lines a check traces."""
    parsed = import_and_parse([entry])
    try:
        [module] = instantiate(parsed, lambda _: ModuleApi(parsed[0].name, parts))
    except SystemExit as leaving:
        raise ModuleError(f"the module tried to end the server: {leaving!r}") from leaving
    return module


async def _stop(parts: ApiParts, clock: FakeClock) -> None:
    """Cancel the module's background work; leave behind what cannot be cancelled."""
    stopping = asyncio.ensure_future(parts.background.stop())
    await turns_until_idle(_TURNS)
    clock.advance(minutes=1)
    await stopping
    parts.database.close()
    await parts.http_client.close()


class _Presence:
    """A `PresenceHost` with the states that were announced last."""

    def __init__(self, clock: FakeClock) -> None:
        self._states: dict[UserId, UserPresenceState] = {}
        self._subscribers = Subscribers(clock, _METRICS, _TIMEOUT)
        self.subscribe: Callable[[PresenceListener, str], Callable[[], None]] = (
            self._subscribers.subscribe
        )

    def announce(self, states: Sequence[UserPresenceState]) -> None:
        self._states.update({UserId(state.user_id): state for state in states})
        self._subscribers.announce(states)

    async def send_local_online_presence_to(self, users: Collection[UserId]) -> None:
        """Do nothing: nobody syncs here."""

    async def set_presence_for_users(
        self, users: Mapping[UserId, tuple[Presence, str | None]]
    ) -> None:
        for user_id, (presence, status_msg) in users.items():
            state = self.presence_of(user_id)
            self._states[user_id] = state.copy_and_replace(state=presence, status_msg=status_msg)

    def presence_of(self, user_id: UserId) -> UserPresenceState:
        return self._states.get(user_id, UserPresenceState.default(user_id))


@dataclass(slots=True)
class _Directory:
    """A `ModuleDirectory` of a world."""

    world: World
    _data: dict[tuple[UserId, RoomId | None, str], Json] = field(default_factory=dict)

    async def authenticate(self, access_token: str) -> Requester:
        del access_token
        raise UnknownToken("nobody is logged in to a simulated world")

    def is_guest(self, _user_id: UserId, /) -> bool:
        return False

    async def account(self, user_id: UserId) -> Account | None:
        if user_id not in self.world.users or not self.world.is_local(user_id):
            return None
        return Account(user_id, Timestamp(0), user_id in self.world.admins, is_deactivated=False)

    async def profile(self, user_id: UserId) -> Profile:
        if await self.account(user_id) is None:
            raise NotFound(f"there is no user {user_id}")
        return Profile(localpart_of(user_id).capitalize(), None)

    async def account_data(
        self, user_id: UserId, room_id: RoomId | None, data_type: str
    ) -> Json | None:
        return self._data.get((user_id, room_id, data_type))

    async def set_account_data(
        self, user_id: UserId, room_id: RoomId | None, data_type: str, content: Json
    ) -> None:
        self._data[user_id, room_id, data_type] = content

    async def resolve_alias(self, alias: RoomAlias) -> RoomId:
        for room in self.world.rooms:
            if room.alias == alias:
                return room.room_id
        raise NotFound(f"there is no room {alias}")

    async def state_for_modules(
        self, room_id: RoomId, wanted: Sequence[tuple[str, str | None]] | None
    ) -> Sequence[Json]:
        rooms = (room for room in self.world.rooms if room.room_id == room_id)
        return [
            event
            for room in rooms
            for event in _state_events(room)
            if wanted is None
            or any(event["type"] == it and key in (None, event["state_key"]) for it, key in wanted)
        ]


def _state_events(room: SimulatedRoom) -> Sequence[Json]:
    joined = [it for it, membership in room.members.items() if membership is MemberState.JOIN]
    creator = min(joined, default=UserId("@nobody:nowhere.example"))
    members = [
        _event(room, number, "m.room.member", user_id, user_id, {"membership": membership})
        for number, (user_id, membership) in enumerate(room.members.items(), start=3)
    ]
    powers: Json = {"users": {creator: 100}, "users_default": 0}
    events = [
        _event(room, 0, "m.room.create", "", creator, {"creator": creator, "room_version": "10"}),
        _event(room, 1, "m.room.power_levels", "", creator, powers),
        *members,
    ]
    if room.alias is not None:
        events.append(_event(room, 2, "m.room.canonical_alias", "", creator, {"alias": room.alias}))
    return events


def _event(
    room: SimulatedRoom, number: int, event_type: str, state_key: str, sender: UserId, content: Json
) -> Json:
    return {
        "type": event_type,
        "state_key": state_key,
        "sender": sender,
        "content": content,
        "event_id": f"$event-{number}-of-{room.room_id[1:]}",
        "origin_server_ts": number,
    }
