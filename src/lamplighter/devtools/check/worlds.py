"""The small worlds in which a module is asked: people, their presence, and the rooms they share.

The worlds depend on their number only, so that two checks of one module ask the same questions.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from random import Random  # noqa: TID251 - seeded: the same choices every time
from typing import Final

from lamplighter.clock import Timestamp, after, milliseconds
from lamplighter.devtools.check.population import Population
from lamplighter.devtools.clock import START
from lamplighter.homeserver.values import MemberState
from lamplighter.ids import RoomAlias, RoomId, ServerName, UserId, server_of
from lamplighter.presence.state import Presence, UserPresenceState

__all__ = ["STATES", "SimulatedRoom", "World", "first_world", "state_of", "worlds"]

#: The possible states, the simplest first: presence, status message, currently active.
STATES: Final = (
    (Presence.ONLINE, None, True),
    (Presence.OFFLINE, None, False),
    (Presence.UNAVAILABLE, None, False),
    (Presence.ONLINE, "in a meeting", True),
    (Presence.OFFLINE, "gone fishing", False),
    (Presence.UNAVAILABLE, "lunch", False),
    (Presence.ONLINE, None, False),
    (Presence.BUSY, None, False),
)
#: The most people in one world: larger worlds show nothing more.
_MOST_USERS: Final = 18
_ROOMS: Final = 3
#: Each world has another hour and another day of the week than the one before.
_BETWEEN_WORLDS: Final = timedelta(days=1, hours=5)


@dataclass(frozen=True, slots=True)
class SimulatedRoom:
    """A room with its memberships and perhaps an alias."""

    room_id: RoomId
    members: Mapping[UserId, MemberState]
    alias: RoomAlias | None = None

    def is_joined(self, user_id: UserId) -> bool:
        """Tell whether the user is joined."""
        return self.members.get(user_id) is MemberState.JOIN

    @property
    def joined(self) -> int:
        """How many users are joined."""
        return sum(it is MemberState.JOIN for it in self.members.values())


@dataclass(frozen=True, slots=True)
class World:
    """Everything that a module can learn from its API."""

    server_name: ServerName
    now: Timestamp
    users: Sequence[UserId]
    admins: frozenset[UserId] = frozenset()
    rooms: Sequence[SimulatedRoom] = ()

    def is_local(self, user_id: UserId) -> bool:
        """Tell whether it is a user of the simulated server."""
        return server_of(user_id) == self.server_name

    def shared_rooms(self, one: UserId, other: UserId) -> Iterator[SimulatedRoom]:
        """Yield the rooms to which both are joined."""
        return (it for it in self.rooms if it.is_joined(one) and it.is_joined(other))


def state_of(user_id: UserId, number: int, now: Timestamp) -> UserPresenceState:
    """Return a user's state, by its number in `STATES`."""
    presence, status_msg, currently_active = STATES[number % len(STATES)]
    idle = timedelta(0) if currently_active else timedelta(minutes=7)
    last_active = now - milliseconds(idle)
    return UserPresenceState(
        user_id, presence, last_active, 0, last_active, status_msg, currently_active
    )


def first_world(people: Population) -> World:
    """Return a world of all *people*, in which the rooms that the module knows are empty."""
    return World(people.server_name, START, people.users, rooms=_rooms(people, (), 0, Random(0)))


def worlds(people: Population, count: int) -> Iterator[tuple[World, Sequence[UserPresenceState]]]:
    """Yield *count* worlds with everybody's states, the simplest first.

    Over all worlds, everybody is in every state, and shares a room with everybody else or does not.
    """
    for number in range(count):
        choices = Random(number)
        now = _instant(people.hours, number)
        users = _some_of(people, choices)
        local = [it for it in users if server_of(it) == people.server_name]
        admins = frozenset({choices.choice(local)}) if local else frozenset[UserId]()
        if number % 4 == 3:  # a module may name users because they are administrators
            admins |= {it for it in local if it in people.named}
        world = World(
            people.server_name, now, users, admins, _rooms(people, users, number, choices)
        )
        states = [state_of(it, number + place, now) for place, it in enumerate(users)]
        yield world, states


def _instant(hours: Sequence[int], number: int) -> Timestamp:
    """Return the instant of a world; every other world is close to one of the *hours*."""
    now = after(START, _BETWEEN_WORLDS * number)
    place, is_plain = divmod(number, 2)
    if is_plain or not hours:
        return now
    hour, before = divmod(place, 3)
    minute = hours[hour % len(hours)] + before - 1
    midnight = after(START, timedelta(days=number))
    return after(midnight, timedelta(minutes=minute))


def _some_of(people: Population, choices: Random) -> Sequence[UserId]:
    """Return all people, or as many as fit, in their order; at least half are named ones."""
    if len(people.users) <= _MOST_USERS:
        return people.users
    room_for_named = max(_MOST_USERS // 2, _MOST_USERS - len(people.others))
    named = choices.sample(people.named, min(len(people.named), room_for_named))
    others = choices.sample(people.others, min(len(people.others), _MOST_USERS - len(named)))
    chosen = {*named, *others}
    return [it for it in people.users if it in chosen]


def _rooms(
    people: Population, users: Sequence[UserId], number: int, choices: Random
) -> Sequence[SimulatedRoom]:
    generic = [RoomId(f"!room-{it}:{people.server_name}") for it in range(1, _ROOMS + 1)]
    aliases = dict(zip(people.rooms, people.aliases, strict=False))
    return [
        SimulatedRoom(room_id, _members(users, number, choices), aliases.get(room_id))
        for room_id in [*people.rooms, *generic]
    ]


def _members(users: Sequence[UserId], number: int, choices: Random) -> Mapping[UserId, MemberState]:
    """Return nobody in the first world, everybody in the second, and some in the others."""
    if number < 2:
        return dict.fromkeys(users, MemberState.JOIN) if number else {}
    members: dict[UserId, MemberState] = {}
    for user_id in users:
        match choices.randrange(8):
            case 0 | 1 | 2:
                members[user_id] = MemberState.JOIN
            case 3:
                members[user_id] = choices.choice((MemberState.INVITE, MemberState.LEAVE))
    return members
