"""Counterexamples become as small as they can be."""

from dataclasses import replace

from lamplighter.devtools.check.complement import Case, Disagreement
from lamplighter.devtools.check.findings import Kind
from lamplighter.devtools.check.population import Names, populate
from lamplighter.devtools.check.shrinking import simpler, smallest
from lamplighter.devtools.check.worlds import World, state_of, worlds
from lamplighter.homeserver.values import MemberState
from lamplighter.ids import UserId

VIEWER, USER, THIRD = UserId("@v:demo"), UserId("@u:demo"), UserId("@third:demo")


def _case() -> Case:
    """Return a case in the largest of worlds."""
    people = populate(Names([VIEWER, USER, THIRD]))
    *_, (world, states) = worlds(people, 8)
    return Case(world, states, Disagreement(Kind.TOLD_NOT_SHOWN, VIEWER, USER))


def _size(case: Case) -> tuple[int, int, int, int]:
    world = case.world
    members = sum(len(room.members) for room in world.rooms)
    return len(world.users), len(case.changes), len(world.rooms), members


async def test_nothing_is_needed() -> None:
    """If every case stands, the smallest has two people and nothing else."""

    async def stands(case: Case) -> bool:
        return any(state.user_id == USER for state in case.changes)

    case = await smallest(_case(), stands, tries=500)
    assert _size(case) == (2, 1, 0, 0)
    assert case.world.admins == frozenset()
    assert list(case.changes) == [state_of(USER, 0, case.world.now)]


async def test_what_is_needed_stays() -> None:
    """A third person in a room with the viewer, the user's message, an administrator."""

    async def stands(case: Case) -> bool:
        together = any({VIEWER, THIRD} <= set(room.members) for room in case.world.rooms)
        says = any(it.user_id == USER and it.status_msg for it in case.changes)
        return together and says and bool(case.world.admins)

    first = _case()
    everywhere = dict.fromkeys(first.world.users, MemberState.JOIN)
    rooms = [replace(room, members=everywhere) for room in first.world.rooms]
    world = replace(first.world, rooms=rooms, admins=frozenset({THIRD}))
    says = state_of(USER, 5, world.now)
    first = replace(first, world=world, changes=[*first.changes, says])
    assert await stands(first)
    case = await smallest(first, stands, tries=500)
    assert _size(case) == (3, 1, 1, 2)
    assert set(case.world.users) == {VIEWER, USER, THIRD}
    [state] = case.changes
    assert (state.state, state.status_msg) == ("online", "in a meeting")


async def test_tries_are_counted() -> None:
    """The search ends after the given number of tries."""
    tried: list[Case] = []

    async def stands(case: Case) -> bool:
        tried.append(case)
        return False

    case = _case()
    assert await smallest(case, stands, tries=5) is case
    assert len(tried) == 5


def test_every_candidate_is_simpler() -> None:
    """Each candidate is smaller than the case, so the search ends."""
    case = _case()
    candidates = list(simpler(case))
    assert len(candidates) > 50
    for candidate in candidates:
        assert candidate != case
        assert all(a <= b for a, b in zip(_size(candidate), _size(case), strict=True))


def test_the_smallest_case_of_all() -> None:
    """Two people, one of them online, and nothing else: there is nothing simpler."""
    world = World(populate(Names()).server_name, _case().world.now, [VIEWER, USER])
    disagreement = Disagreement(Kind.TOLD_NOT_SHOWN, VIEWER, USER)
    assert list(simpler(Case(world, [state_of(USER, 0, world.now)], disagreement))) == []
