"""A recorded hour with random rules, and an oracle of how other rules would have differed.

The oracle shares nothing with recorder, replay and planner: it looks at every pair of people, at
every moment at which anything was decided about them, and goes by the rules alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from hypothesis import strategies as st

from lamplighter.config import parse_config_text
from lamplighter.devtools.client import Client, RequestFailed
from lamplighter.devtools.replay import Replay, ReplayReport
from lamplighter.devtools.server import InMemoryServer, running_server
from lamplighter.modules.loader import ConfiguredModule, ModuleStyle
from lamplighter.presence.state import UserPresenceState
from lamplighter.recording.files import read_record
from lamplighter.service.witness import Published
from tests.scenarios import world_modules
from tests.scenarios.world_steps import Join, Leave, Pass
from tests.scenarios.worlds import MODULES, Pair, Rules

__all__ = ["Found", "Hour", "found_in", "hours", "record", "replay"]

NAMES: Final = ("alice", "bob", "carol", "dave")
ROOMS: Final = ("hall", "kitchen")
RITA: Final = "@rita:elsewhere.org"
USERS: Final = tuple(f"@{name}:demo" for name in NAMES)

#: (what differs, viewer, user)
Found: TypeAlias = tuple[str, str, str]


@dataclass(frozen=True)
class RuleSet:
    """Modules in config order, the pairs of each, and whether rooms count beside them."""

    order: tuple[str, ...]
    pairs: tuple[tuple[str, Pair], ...]
    shared_rooms: bool

    @property
    def rules(self) -> Rules:
        """The rules, for the modules."""
        rules = Rules(self.order, dict.fromkeys(self.order, 0), (), early=True)
        for module, pair in self.pairs:
            if module in rules.pairs:
                rules.pairs[module].add(pair)
        return rules

    def entries(self) -> list[ConfiguredModule]:
        """The modules, as a configuration has them."""
        rules = self.rules
        path = f"{world_modules.__name__}."
        style = ModuleStyle.CALLBACKS
        return [
            ConfiguredModule(path + it, {"rules": rules}, style, "modules") for it in self.order
        ]

    def config(self, more: str = "") -> str:
        """The configuration, without the modules."""
        return f"routing: {{shared_rooms: {str(self.shared_rooms).lower()}{more}}}\n"


@dataclass(frozen=True)
class Put:
    user: str
    presence: str
    says: bool


@dataclass(frozen=True)
class Sync:
    user: str
    first: bool


@dataclass(frozen=True)
class Get:
    user: str
    other: str


Step: TypeAlias = Put | Sync | Get | Join | Leave | Pass


@dataclass(frozen=True)
class Hour:
    """The steps of an hour, the rules by which it is recorded, and the rules that are tried."""

    old: RuleSet
    new: RuleSet
    members: tuple[tuple[str, str], ...]
    steps: tuple[Step, ...]


_names = st.sampled_from(NAMES)
_viewers = st.sampled_from((*USERS, RITA))
_pairs = st.tuples(_viewers, st.sampled_from(USERS))
_rule_sets = st.builds(
    RuleSet,
    st.lists(st.sampled_from(MODULES), unique=True, max_size=4).map(tuple),
    st.lists(st.tuples(st.sampled_from(MODULES), _pairs), max_size=10).map(tuple),
    st.sampled_from((True, True, True, False)),
)
_steps: st.SearchStrategy[Step] = st.one_of(
    st.builds(Put, _names, st.sampled_from(("online", "unavailable", "offline")), st.booleans()),
    st.builds(Put, _names, st.just("online"), st.just(True)),
    st.builds(Sync, _names, st.sampled_from((False, False, True))),
    st.builds(Get, _names, _names),
    st.builds(Join, _names, st.sampled_from(ROOMS)),
    st.builds(Leave, _names, st.sampled_from(ROOMS)),
    st.builds(Pass, st.sampled_from((1, 20, 40, 70, 200, 400))),
)
hours: Final = st.builds(
    Hour,
    _rule_sets,
    _rule_sets,
    st.lists(st.tuples(_names, st.sampled_from(ROOMS)), max_size=6, unique=True).map(tuple),
    st.lists(_steps, min_size=5, max_size=30).map(tuple),
)


class Oracle:
    """Knows how the two sets of rules differ, at every moment at which that matters."""

    #: Somebody who has not polled for so long, in ms, is found gone once a minute.
    KEPT: Final = 300_000
    MINUTE: Final = 60_000

    def __init__(self, hour: Hour, start: int) -> None:
        self._old, self._new = hour.old, hour.new
        self._rules = {hour.old: hour.old.rules, hour.new: hour.new.rules}
        self.members: dict[str, set[str]] = {room: set() for room in ROOMS}
        self._start = self._swept = start
        self._polled: dict[str, int] = {}
        self._synced_at: dict[str, int] = {}
        self._changes: list[str] = []
        self.states: dict[str, UserPresenceState] = {}
        self.found: set[Found] = set()

    def changed(self, users: Iterable[UserPresenceState], now: int) -> None:
        """Users have changed, and everybody who looks is to know."""
        self._sweep(now)
        for state in users:
            self.states[state.user_id] = state
            self._changes.append(state.user_id)
            for viewer in (*self._polled, RITA):
                self._compare(viewer, state.user_id)

    def synced(self, viewer: str, now: int, *, first: bool) -> None:
        """Somebody asks what is new, or for everything."""
        self._sweep(now)
        since = 0 if first else self._synced_at.get(viewer, 0)
        whole = first or viewer not in self._synced_at
        for user in set(self.states) if whole else set(self._changes[since:]):
            self._compare(viewer, user)
        self._polled[viewer] = now
        self._synced_at[viewer] = len(self._changes)

    def asked(self, viewer: str, user: str) -> None:
        """Somebody asks for somebody's presence."""
        if user in self.states:
            self._compare(viewer, user)

    def joined(self, user: str, room: str, now: int) -> None:
        """Viewers who poll, and now share a room, get each other's states."""
        self._sweep(now)
        self.members[room].add(user)
        for member in self.members[room]:
            for viewer, other in ((user, member), (member, user)):
                if viewer in self._polled and other in self.states and self._old.shared_rooms:
                    self._compare(viewer, other)

    def _sweep(self, now: int) -> None:
        while self._swept + self.MINUTE <= now:
            self._swept += self.MINUTE
            for viewer, polled in list(self._polled.items()):
                if polled + self.KEPT <= self._swept:
                    del self._polled[viewer]

    def _compare(self, viewer: str, user: str) -> None:
        before = self._visible(self._old, viewer, user)
        after = self._visible(self._new, viewer, user)
        if before != after:
            kind = "gained" if before is None else "lost" if after is None else "altered"
            self.found.add((kind, viewer, user))

    def _visible(self, rule_set: RuleSet, viewer: str, user: str) -> str | None:
        """Return whether somebody is seen, and if so, how."""
        rules = self._rules[rule_set]
        pushing = [name for name in rule_set.order if rules.pushes(name, viewer, user)]
        if pushing:
            state = self.states[user]
            silent = state.state == "offline" and not state.status_msg
            return "altered" if "Altering" in pushing and not silent else "as they are"
        if viewer == RITA:
            return None
        together = (viewer in it and user in it for it in self.members.values())
        in_room = rule_set.shared_rooms and any(together)
        named = any(rules.names(name, viewer, user) for name in rule_set.order)
        return "as they are" if viewer == user or in_room or named else None


class _Player:
    """Lets the hour happen on a real server."""

    def __init__(self, server: InMemoryServer, oracle: Oracle) -> None:
        self._server = server
        self._oracle = oracle
        self._people: dict[str, Client] = {}
        self._rooms: dict[str, str] = {}
        self._said = 0
        server.lamplighter.core.witnesses.observe(self._published)

    def _published(self, published: Published) -> None:
        self._oracle.changed(published.states, self._server.clock.now())

    async def begin(self) -> None:
        host = await self._server.register("host")
        self._people = {name: await self._server.register(name) for name in NAMES}
        self._rooms = {room: await host.create_room() for room in ROOMS}

    async def do(self, step: Step) -> None:
        server, oracle, now = self._server, self._oracle, self._server.clock.now()
        match step:
            case Put(user, presence, says):
                self._said += 1
                await self._people[user].set_status(
                    presence, f"word {self._said}" if says else None
                )
            case Sync(user, first):
                person = self._people[user]
                oracle.synced(person.user_id, now, first=first)
                await (person.first_sync if first else person.sync)(set_presence="offline")
            case Get(user, other):
                oracle.asked(self._people[user].user_id, self._people[other].user_id)
                await self._ask(self._people[user], self._people[other])
            case Join(user, room):
                await self._people[user].join(self._rooms[room])
                await server.settled()
                oracle.joined(self._people[user].user_id, room, now)
            case Leave(user, room):
                if self._people[user].user_id in oracle.members[room]:
                    await self._people[user].leave(self._rooms[room])
                    oracle.members[room].discard(self._people[user].user_id)
            case Pass(seconds):
                # Never at the very instant at which the server looks for who is gone.
                await server.advance(seconds=seconds, milliseconds=7)
        await server.settled()

    async def _ask(self, person: Client, other: Client) -> None:
        try:
            await person.status_of(other)
        except RequestFailed as refusal:
            if refusal.status != 403:
                raise


async def record(hour: Hour, path: Path) -> set[Found]:
    """Record the hour; return what the oracle says of it."""
    more = f", record: {path}, record_size: 1KB, record_files: 1000"
    entries = hour.old.entries()
    modules = [(it.path, dict(it.config or {})) for it in entries]
    async with running_server(modules, config=hour.old.config(more)) as server:
        oracle = Oracle(hour, server.clock.now())
        player = _Player(server, oracle)
        await player.begin()
        for step in (*(Join(*it) for it in hour.members), *hour.steps):
            await player.do(step)
        for name in NAMES:
            await player.do(Sync(name, first=True))
    return oracle.found


async def replay(hour: Hour, path: Path) -> ReplayReport:
    """Replay the hour with the other rules."""
    config = parse_config_text(f"server_name: demo\n{hour.new.config()}", Path("new.yaml"))
    return await Replay(config, hour.new.entries()).run(read_record(path))


def found_in(report: ReplayReport) -> set[Found]:
    """Return what the replay has found."""
    return {(it.kind.value, it.viewer, it.user_id) for it in report.differences}
