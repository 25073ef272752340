"""Fakes for the server around modules: a router, a presence host and a directory."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from lamplighter.clock import Timestamp
from lamplighter.devtools.clock import FakeClock
from lamplighter.errors import NotFound, UnknownToken
from lamplighter.ids import DeviceId, RoomAlias, RoomId, ServerName, UserId
from lamplighter.metrics import Metrics
from lamplighter.modules.api import ModuleApi
from lamplighter.modules.background import resolved
from lamplighter.modules.host import PresenceListener, ServerFacts
from lamplighter.modules.loader import ConfiguredModule, LoadedModule, ModuleStyle
from lamplighter.modules.module_set import ModuleSet
from lamplighter.modules.runtime import ModuleRuntime, ReloadSource
from lamplighter.modules.sqlite import sqlite_databases
from lamplighter.ports import Account, Json, Profile, Requester
from lamplighter.presence.state import Presence, UserPresenceState
from lamplighter.routing.callbacks import GetInterestedUsers, GetUsersForStates
from lamplighter.routing.guard import GuardSettings
from lamplighter.routing.loop_time import LoopTime
from lamplighter.routing.registrations import Registrations

ALICE = UserId("@alice:example.com")
BOB = UserId("@bob:example.com")
ROOM = RoomId("!room:example.com")


class FakeRouter(Registrations):
    """Records what is registered, over all sets of modules of a server."""

    def __init__(self) -> None:
        clock = FakeClock()
        super().__init__(clock, LoopTime(clock), Metrics(), GuardSettings())
        self.registered: list[tuple[str, GetUsersForStates, GetInterestedUsers]] = []

    def register(
        self,
        module: str,
        get_users_for_states: GetUsersForStates,
        get_interested_users: GetInterestedUsers,
        *,
        shadow: bool = False,
    ) -> None:
        super().register(module, get_users_for_states, get_interested_users, shadow=shadow)
        self.registered.append((module, get_users_for_states, get_interested_users))

    @property
    def names(self) -> list[str]:
        return [name for name, _, _ in self.registered]

    async def ask(self, states: Sequence[UserPresenceState]) -> list[object]:
        return [await states_of(list(states)) for _, states_of, _ in self.registered]

    async def ask_interest(self, user_id: str) -> list[object]:
        return [await interest(user_id) for _, _, interest in self.registered]


@dataclass
class FakeExchange:
    """Makes every set of modules register with one router, and tries nothing out."""

    router: FakeRouter

    def prepare(self) -> FakeRouter:
        return self.router

    def adopt(self, registrations: Registrations) -> None:
        """Do nothing: the router asks all modules."""

    async def try_out(self, registrations: Registrations) -> None:
        """Do nothing: there are no users to ask about."""

    def left_undone(self, module: str, call: str) -> None:
        """Do nothing: no module is in the shadow."""

    async def swap(self, registrations: Registrations, along: Callable[[], None]) -> None:
        along()


@dataclass
class FakeHost:
    presence: dict[UserId, UserPresenceState] = field(default_factory=dict)
    sent_to: list[Collection[UserId]] = field(default_factory=list)
    was_set: list[Mapping[UserId, tuple[Presence, str | None]]] = field(default_factory=list)
    listeners: dict[str, PresenceListener] = field(default_factory=dict)

    async def send_local_online_presence_to(self, users: Collection[UserId]) -> None:
        self.sent_to.append(users)

    async def set_presence_for_users(
        self, users: Mapping[UserId, tuple[Presence, str | None]]
    ) -> None:
        self.was_set.append(users)

    def presence_of(self, user_id: UserId) -> UserPresenceState:
        return self.presence.get(user_id, UserPresenceState.default(user_id))

    def subscribe(self, callback: PresenceListener, module: str) -> Callable[[], None]:
        self.listeners[module] = callback
        return lambda: self.listeners.__delitem__(module)


@dataclass
class FakeDirectory:
    data: dict[tuple[UserId, str], Json] = field(default_factory=dict)
    state: list[Json] = field(default_factory=list)
    bob_is_a_guest: bool = False

    async def authenticate(self, access_token: str) -> Requester:
        if access_token != "bobs-token":
            raise UnknownToken("Unknown access token")
        return Requester(BOB, DeviceId("PHONE"))

    def is_guest(self, user_id: UserId, /) -> bool:
        return user_id == BOB and self.bob_is_a_guest

    async def account(self, user_id: UserId) -> Account | None:
        accounts = {
            ALICE: Account(ALICE, Timestamp(1_700_000_000_500), True, False),
            BOB: Account(BOB, Timestamp(1_700_000_001_000), False, True),
        }
        return accounts.get(user_id)

    async def profile(self, user_id: UserId) -> Profile:
        if user_id != ALICE:
            raise NotFound("no such user")
        return Profile("Alice", "mxc://example.com/alice")

    async def account_data(
        self, user_id: UserId, room_id: RoomId | None, data_type: str
    ) -> Json | None:
        return self.data.get((user_id, data_type))

    async def set_account_data(
        self, user_id: UserId, room_id: RoomId | None, data_type: str, content: Json
    ) -> None:
        self.data[user_id, data_type] = content

    async def resolve_alias(self, alias: RoomAlias) -> RoomId:
        if alias != "#hall:example.com":
            raise NotFound("no such alias")
        return ROOM

    async def state_for_modules(
        self, room_id: RoomId, wanted: Sequence[tuple[str, str | None]] | None
    ) -> Sequence[Json]:
        return [event for event in self.state if wanted is None or _is_wanted(event, wanted)]


def _is_wanted(event: Json, wanted: Sequence[tuple[str, str | None]]) -> bool:
    return any(event["type"] == t and key in (None, event["state_key"]) for t, key in wanted)


class World:
    """The modules of a server, on fakes."""

    def __init__(
        self,
        clock: FakeClock | None = None,
        source: ReloadSource | None = None,
        **facts: Any,
    ) -> None:
        self.clock = clock or FakeClock()
        self.router = FakeRouter()
        self.host = FakeHost()
        self.directory = FakeDirectory()
        server = ServerFacts(ServerName("example.com"), "https://example.com/", **facts)
        exchange = FakeExchange(self.router)
        make_set = partial(
            ModuleSet,
            server,
            exchange=exchange,
            host=self.host,
            directory=self.directory,
            clock=self.clock,
            make_databases=partial(sqlite_databases, None),
        )
        self.runtime = ModuleRuntime(exchange, make_set, source)

    def api(self, module: str = "TestModule") -> ModuleApi:
        return self.runtime.make_api(module)

    async def tick(self) -> None:
        """Let the background work that is due run."""
        for _ in range(3):
            await resolved(self.api().run_in_background(lambda: None))

    async def pass_time(self, times: int, **step: float) -> None:
        """Advance the clock *times* times by *step*, with the background work of each."""
        for _ in range(times):
            self.clock.advance(**step)
            await self.tick()

    def load(self, *entries: ConfiguredModule) -> Sequence[LoadedModule]:
        return self.runtime.load(entries)


def entry(path: str, config: Any = None, where: str = "modules[0]") -> ConfiguredModule:
    """Return a module of tests/compat/modules in the list `modules:`."""
    return ConfiguredModule(f"tests.compat.modules.{path}", config, ModuleStyle.CALLBACKS, where)


def legacy(path: str, config: Any = None) -> ConfiguredModule:
    """Return a module of tests/compat/modules at `presence.presence_router`."""
    where = "presence.presence_router"
    return ConfiguredModule(f"tests.compat.modules.{path}", config, ModuleStyle.ROUTER, where)


def state_of(user_id: str, **fields: Any) -> UserPresenceState:
    """Return the user's default state, with other *fields*."""
    return UserPresenceState.default(user_id).copy_and_replace(**fields)
