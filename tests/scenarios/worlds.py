"""The oracle of the random worlds: who may know what of whom, worked out the slow and obvious way.

It shares no code with the server. It is told what happens (who is in which room, what the modules'
rules are, what everybody's presence is) and takes a picture of the world at each moment; in each
picture stands, for every viewer and sender, what may be shown, and whether it must be.
"""

import asyncio
import itertools
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

__all__ = ["MODULES", "Oracle", "Pair", "Picture", "Rules", "Shown", "altered", "shown", "turns"]

#: (viewer, sender)
Pair: TypeAlias = tuple[str, str]

#: What a module does with the pairs of its rule: by which callbacks it knows them.
MODULES: Final = ("Routing", "Pushing", "Naming", "SeeingAll", "Altering", "Raising")
PUSHES: Final = frozenset({"Routing", "Pushing", "Altering"})
NAMES: Final = frozenset({"Routing", "Naming", "SeeingAll"})

#: An answer of `get_interested_users` is kept for 60 s, from when it came: a module may have
#: thought for up to 5 s before.
KEPT: Final = 66_000


@dataclass(frozen=True)
class Shown:
    """The state that a client shows of a user: offline if the user was never heard of."""

    presence: str = "offline"
    status_msg: str | None = None


def shown(content: Mapping[str, Any]) -> Shown:
    """Return what of an event's content is compared."""
    return Shown(content["presence"], content.get("status_msg"))


def altered(told: Shown, viewer: str) -> Shown:
    """Return what the altering module makes of it for the viewer."""
    if told == Shown():
        return told
    return Shown(told.presence, altered_message(told.status_msg, viewer))


def altered_message(status_msg: str | None, viewer: str) -> str:
    """Return what the altering module writes in place of a message."""
    return f"{status_msg or ''} for {viewer}"


class _Turn:
    """Awaited, it lets the event loop turn once."""

    def __await__(self) -> Generator[None, None, None]:
        yield


async def turns(count: int) -> None:
    """Let the event loop turn *count* times."""
    for _ in range(count):
        await _Turn()


class Rules:
    """The answers of the modules, by module, and how long each takes to answer."""

    def __init__(
        self, order: Sequence[str], thinks: Mapping[str, int], gated: Iterable[str], *, early: bool
    ) -> None:
        #: The modules, in config order.
        self.order = tuple(order)
        #: The pairs for which each module shows the sender to the viewer.
        self.pairs: dict[str, set[Pair]] = {name: set() for name in order}
        #: How many turns of the loop each module thinks; 0: it answers without waiting.
        self.thinks = dict(thinks)
        #: Who also waits for the gate.
        self.gated = frozenset(gated)
        #: Whether modules know what to say before they think.
        self.early = early
        self.gate = asyncio.Event()
        self.gate.set()
        #: The pairs for which the altering module has last altered what it was asked about.
        self.altered: set[Pair] = set()
        #: The moments at which the calls that are under way began; by the oracle's count.
        self.calls: dict[int, int] = {}
        self._ended: list[int] = []
        self._numbers = itertools.count()
        self.moment = 0

    def __deepcopy__(self, memo: object) -> "Rules":
        return self  # a module's configuration is copied; this one is to stay connected

    def pushes(self, name: str, viewer: str, sender: str) -> bool:
        """Tell whether the module sends the sender's states to the viewer."""
        return name in PUSHES and (viewer, sender) in self.pairs[name]

    def names(self, name: str, viewer: str, sender: str) -> bool:
        """Tell whether the module names the sender for the viewer."""
        if name == "SeeingAll":
            return any(pair[0] == viewer for pair in self.pairs[name])
        return name in NAMES and (viewer, sender) in self.pairs[name]

    def is_late(self, name: str) -> bool:
        """Tell whether others may be told before the module has answered."""
        return name in self.gated or self.thinks[name] > 0

    async def think(self, name: str) -> None:
        """Return once the module has thought."""
        number = next(self._numbers)
        self.calls[number] = self.moment
        try:
            await turns(self.thinks[name])
            if name in self.gated:
                await self.gate.wait()
        finally:
            self._ended.append(number)

    def forget_ended_calls(self) -> None:
        """Let nothing more come of the calls that have ended: the server has told of them."""
        for number in self._ended:
            del self.calls[number]
        self._ended.clear()

    def earliest_call(self) -> int:
        """Return the moment of the oldest question whose answer may be still to tell, or now."""
        return min([*self.calls.values(), self.moment])


@dataclass(frozen=True)
class Modules:
    """The modules that are asked, and what is known of their answers."""

    order: tuple[str, ...]
    altered: frozenset[Pair]
    named_from: Mapping[Pair, int]
    named_until: Mapping[Pair, int]
    routes: Mapping[Pair, str | None]
    route_changed: Mapping[Pair, int]
    reloaded: int


@dataclass(frozen=True)
class Picture:
    """The world at one moment."""

    states: Mapping[str, Shown]
    #: What may be told.
    allowed: Mapping[Pair, frozenset[Shown]]
    #: Of whom something must be told to who asks.
    certain: frozenset[Pair]


class Oracle:
    """Knows the truth."""

    def __init__(
        self,
        users: Sequence[str],
        counting_rooms: Iterable[str],
        rules: Rules,
        largest_room: int | None = None,
    ) -> None:
        """*counting_rooms* are those whose members see each other, if there are not too many."""
        self._largest_room = len(users) if largest_room is None else largest_room
        self.users = tuple(users)
        self.members: dict[str, set[str]] = {room: set() for room in counting_rooms}
        #: Whose joins and leaves are under way.
        self._moving: set[tuple[str, str]] = set()
        self.rules = rules
        self.states = {user: Shown() for user in users}
        self.now = 0
        self.pictures: list[Picture] = []
        #: The moment since which the modules are those that they are.
        self._reloaded = 0
        #: Since when, in ms, modules name the sender for the viewer without a break.
        self._named_from: dict[Pair, int] = {}
        #: Until when, in ms, an answer may be in use that named the sender for the viewer.
        self._named_until: dict[Pair, int] = {}
        self._routes: dict[Pair, str | None] = {}
        #: The moment at which what modules send of the sender to the viewer became what it is.
        self._route_changed: dict[Pair, int] = {}
        self._state_changed: dict[str, int] = dict.fromkeys(users, 0)
        #: Whom modules may have sent to whom by `get_users_for_states` alone: no answer ends that.
        self._sent_unnamed: set[Pair] = set()
        #: Who may have been told of whom, at any moment.
        self._ever_seen: set[Pair] = set()
        #: The pairs that were altered when the last picture was taken. A module that has altered
        #: for the first time since may have done so after the server told the viewer.
        self._altered_before: frozenset[Pair] = frozenset()

    @property
    def moment(self) -> int:
        """The number of the newest picture."""
        return len(self.pictures) - 1

    def look(self, now: int, states: Mapping[str, Shown]) -> None:
        """Take a picture at the time *now*, in ms."""
        self.now = now
        self.rules.moment = self.moment + 1
        for user, state in states.items():
            if self.states[user] != state:
                self.states[user] = state
                self._state_changed[user] = self.rules.moment
        for pair in self._pairs():
            self._look_at_rules(pair)
        allowed = {pair: frozenset(self._allowed(*pair)) for pair in self._pairs()}
        self._ever_seen |= {pair for pair, states in allowed.items() if states}
        certain = frozenset(pair for pair in self._pairs() if self.must_see(*pair))
        self.pictures.append(Picture(dict(self.states), allowed, certain))
        self._altered_before = frozenset(self.rules.altered)

    def joining(self, room: str, user: str) -> None:
        """From now on the user may be in the room, if it counts, and perhaps is not yet."""
        if room in self.members and user not in self.members[room]:
            self.members[room].add(user)
            self._moving.add((room, user))

    def joined(self, room: str, user: str) -> None:
        """Let the user be in the room, if it counts."""
        if room in self.members:
            self.members[room].add(user)
            self._moving.discard((room, user))

    def leaving(self, room: str, user: str) -> None:
        """From now on the user may be out of the room, and perhaps is not yet."""
        if user in self.members.get(room, ()):
            self._moving.add((room, user))

    def left(self, room: str, user: str) -> None:
        """Let the user be out of the room."""
        if room in self.members:
            self.members[room].discard(user)
            self._moving.discard((room, user))

    def asked_anew(self, viewer: str) -> None:
        """From now on no older answer of `get_interested_users` is in use for the viewer."""
        for user in self.users:
            self._named_until.pop((viewer, user), None)
            if (viewer, user) in self._named_from:
                self._named_from[viewer, user] = -KEPT

    def reloaded(self, modules: Sequence[str]) -> None:
        """Let only *modules* count: also for what was due to be told, and was not told yet."""
        self.rules.order = tuple(modules)
        self.rules.altered.clear()
        self.look(self.now, {})
        for viewer in self.users:
            self.asked_anew(viewer)
        self.look(self.now, {})
        self._reloaded = self.moment

    def modules(self) -> Modules:
        """Return what to `go_on_with` if the modules that are tried next are refused."""
        return Modules(
            self.rules.order,
            frozenset(self.rules.altered),
            dict(self._named_from),
            dict(self._named_until),
            dict(self._routes),
            dict(self._route_changed),
            self._reloaded,
        )

    def go_on_with(self, modules: Modules) -> None:
        """Let it be as if others had not been tried in the place of *modules*."""
        self.rules.order = modules.order
        self.rules.altered = set(modules.altered)
        self._named_from = dict(modules.named_from)
        self._named_until = dict(modules.named_until)
        self._routes = dict(modules.routes)
        self._route_changed = dict(modules.route_changed)
        self._reloaded = modules.reloaded
        self.look(self.now, {})

    def restarted(self) -> None:
        """Let the server have forgotten what modules said."""
        self.rules.altered.clear()
        for viewer in self.users:
            self.asked_anew(viewer)

    def allows(self, pair: Pair, told: Shown, start: int) -> bool:
        """Tell whether the viewer may be told that, of a moment since *start*."""
        pictures = self.pictures[max(start, self._reloaded) :]
        if any(told in picture.allowed[pair] for picture in pictures):
            return True
        if self.rules.early:
            return False
        # A module that decides after it has thought may send what was true when it was asked.
        viewer, sender = pair
        for index, picture in enumerate(pictures):
            if told in (picture.states[sender], altered(picture.states[sender], viewer)):
                return any(later.allowed[pair] for later in pictures[index:])
        return False

    def must_see(self, viewer: str, sender: str) -> bool:
        """Tell whether the viewer may see the sender, and every part of the server knows it."""
        if viewer == sender or self._are_together_for_sure(viewer, sender):
            return True
        if self._route(viewer, sender) and self._state_changed[sender]:
            return True  # modules are not asked about people of whom nothing was ever heard
        return self.now - self._named_from.get((viewer, sender), self.now) >= KEPT

    def may_have_seen(self, viewer: str, sender: str) -> bool:
        """Tell whether the viewer could see the sender at any moment."""
        return (viewer, sender) in self._ever_seen

    def must_not_see(self, viewer: str, sender: str) -> bool:
        """Tell whether the viewer does not see the sender, and the server knows that it ended."""
        pair = viewer, sender
        if self._is_self_or_in_room(viewer, sender) or pair in self._sent_unnamed:
            return False
        return self.now >= self._named_until.get(pair, 0) and not self._route(viewer, sender)

    def expected(self, viewer: str, sender: str) -> Shown:
        """Return what the viewer, who may see the sender, is to believe once all is told."""
        if self._route(viewer, sender) == "Altering":
            return altered(self.states[sender], viewer)
        return self.states[sender]

    def must_know(self, viewer: str, sender: str, began: int) -> bool:
        """Tell whether a client that has synced on since the moment *began* knows what to expect.

        A new rule of `get_users_for_states` is told with the sender's next change only.
        """
        route_changed = self._route_changed[viewer, sender]
        settled = route_changed < max(began, self._state_changed[sender])
        return self.must_see(viewer, sender) and settled

    def _pairs(self) -> Iterator[Pair]:
        return ((one, other) for one in self.users for other in self.users)

    def _look_at_rules(self, pair: Pair) -> None:
        if any(self.rules.names(name, *pair) for name in self.rules.order):
            self._named_from.setdefault(pair, self.now)
            self._named_until[pair] = self.now + KEPT
        else:
            self._named_from.pop(pair, None)
        route = self._route(*pair)
        if pair not in self._route_changed or self._routes[pair] != route:
            self._routes[pair] = route
            self._route_changed[pair] = self.rules.moment
        if route and self.now - self._named_from.get(pair, self.now) < KEPT:
            self._sent_unnamed.add(pair)

    def _is_self_or_in_room(self, viewer: str, sender: str) -> bool:
        """Tell whether they may be in a room that counts, whatever of the moves has happened."""
        together = (
            {viewer, sender} <= members
            and len(self._settled(room) | {viewer, sender}) <= self._largest_room
            for room, members in self.members.items()
        )
        return viewer == sender or any(together)

    def _are_together_for_sure(self, viewer: str, sender: str) -> bool:
        return any(
            {viewer, sender} <= self._settled(room) and len(members) <= self._largest_room
            for room, members in self.members.items()
        )

    def _settled(self, room: str) -> set[str]:
        return self.members[room] - {user for it, user in self._moving if it == room}

    def _route(self, viewer: str, sender: str) -> str | None:
        """Return the module whose state counts: one that alters, or any that pushes the sender."""
        pushing = [name for name in self.rules.order if self.rules.pushes(name, viewer, sender)]
        return "Altering" if "Altering" in pushing else next(iter(pushing), None)

    def _allowed(self, viewer: str, sender: str) -> Iterator[Shown]:
        """Return what may be told while any of the late modules have answered, or have not."""
        sees = self._is_self_or_in_room(viewer, sender)
        sees = sees or self.now < self._named_until.get((viewer, sender), 0)
        pushing = [name for name in self.rules.order if self.rules.pushes(name, viewer, sender)]
        late = [name for name in pushing if not self._is_waited_for(name, (viewer, sender))]
        for answered in itertools.product((True, False), repeat=len(late)):
            missing = {name for name, has in zip(late, answered, strict=True) if not has}
            heard = [name for name in pushing if name not in missing]
            if "Altering" in heard:
                yield altered(self.states[sender], viewer)
            elif heard or sees:
                yield self.states[sender]

    def _is_waited_for(self, name: str, pair: Pair) -> bool:
        known = self.rules.altered & self._altered_before
        return not self.rules.is_late(name) or (name == "Altering" and pair in known)
