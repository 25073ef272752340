"""Makes a counterexample small: fewest people, fewest rooms, simplest states."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from lamplighter.devtools.check.complement import Case
from lamplighter.devtools.check.worlds import STATES, SimulatedRoom, World, state_of
from lamplighter.ids import UserId

__all__ = ["simpler", "smallest"]

T = TypeVar("T")


async def smallest(case: Case, stands: Callable[[Case], Awaitable[bool]], tries: int) -> Case:
    """Return the smallest case for which *stands* returns true, after at most *tries* tries.

    *stands* must be true for *case* itself.
    """
    left = tries
    candidates = simpler(case)
    while left > 0 and (candidate := next(candidates, None)) is not None:
        left -= 1
        if await stands(candidate):
            case, candidates = candidate, simpler(candidate)
    return case


def simpler(case: Case) -> Iterator[Case]:
    """Yield simpler cases, those that are much simpler first."""
    for changes in _parts(case.changes):
        if changes:
            yield replace(case, changes=changes)
    for rooms in _parts(case.world.rooms):
        yield replace(case, world=replace(case.world, rooms=rooms))
    yield from _fewer_users(case)
    if case.world.admins:
        yield replace(case, world=replace(case.world, admins=frozenset()))
    yield from _fewer_members(case)
    yield from _simpler_states(case)


def _fewer_users(case: Case) -> Iterator[Case]:
    """Yield cases without people who are neither viewer, nor user, nor changed."""
    needed = {case.disagreement.viewer, case.disagreement.user}
    needed |= {UserId(state.user_id) for state in case.changes}
    others = [it for it in case.world.users if it not in needed]
    for kept in _parts(others):
        yield replace(case, world=_only(case.world, needed | set(kept)))


def _only(world: World, users: set[UserId]) -> World:
    rooms = [
        replace(room, members={it: how for it, how in room.members.items() if it in users})
        for room in world.rooms
    ]
    return replace(
        world,
        users=[it for it in world.users if it in users],
        admins=world.admins & users,
        rooms=rooms,
    )


def _fewer_members(case: Case) -> Iterator[Case]:
    rooms = case.world.rooms
    for place, room in enumerate(rooms):
        for user_id in room.members:
            fewer = {it: how for it, how in room.members.items() if it != user_id}
            smaller: list[SimulatedRoom] = [*rooms]
            smaller[place] = replace(room, members=fewer)
            yield replace(case, world=replace(case.world, rooms=smaller))


def _simpler_states(case: Case) -> Iterator[Case]:
    for place, state in enumerate(case.changes):
        for number in range(len(STATES)):
            simple = state_of(UserId(state.user_id), number, case.world.now)
            if simple == state:
                break  # the rest are not simpler
            yield replace(case, changes=[*case.changes[:place], simple, *case.changes[place + 1 :]])


def _parts(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield *items* without all of them, without either half, and without each single one."""
    if not items:
        return
    yield []
    half = len(items) // 2
    if len(items) > 3:
        yield items[half:]
        yield items[:half]
    for place in range(len(items) if len(items) > 1 else 0):
        yield [*items[:place], *items[place + 1 :]]
