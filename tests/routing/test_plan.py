"""Who receives whose presence, and why.

A few examples, and then any world, compared with the rules for one viewer and one user at a time.
"""

from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamplighter.clock import Timestamp
from lamplighter.ids import RoomId, StreamPosition, UserId
from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.interest import SharedRooms
from lamplighter.routing.plan import Delivery, Planner, Route
from lamplighter.routing.reasons import AllUsers, Module, Reasons, Self, SharedRoom
from lamplighter.routing.visibility import Interest, ModuleInterests
from tests.routing.people import ALICE, ATTIC, BOB, CHARLIE, DORA, HALL, state

ONE, OTHER = Module("One"), Module("Other")
ALL = AllUsers("One")
EVERYBODY = {ALICE, BOB, CHARLIE, DORA}
BOBS = state(BOB, "brb")
HIDDEN = state(BOB)

Who = dict[UserId, Reasons]
#: A state and the reasons, which have no order.
Due = tuple[UserPresenceState, Counter[object]]


class Plan(Planner):
    """A planner with short ways to add rooms and names."""

    def __init__(self) -> None:
        self.rooms = SharedRooms(lambda room_id: True)
        self.interests = ModuleInterests()
        super().__init__(self.rooms, self.interests)

    def room(self, room_id: RoomId, *members: UserId, position: int = 1) -> None:
        for member in members:
            self.rooms.joined(room_id, member, StreamPosition(position))

    def named(
        self, viewer: UserId, *users: UserId, position: int = 1, sees_all: AllUsers | None = None
    ) -> None:
        all_users = (sees_all,) if sees_all else ()
        interest = Interest(dict.fromkeys(users, (ONE,)), all_users)
        self.interests.cache(viewer, interest, StreamPosition(position), Timestamp(0))


@pytest.fixture
def plan() -> Plan:
    """A planner without rooms and names."""
    return Plan()


def only(deliveries: list[Delivery]) -> Who:
    """Return the recipients of the only state in the plan."""
    (delivery,) = deliveries
    return delivery.recipients


def test_names_and_all(plan: Plan) -> None:
    """Modules' names make viewers recipients; a viewer of all users receives all users."""
    plan.room(HALL, ALICE, BOB)
    plan.named(ALICE, BOB)
    plan.named(CHARLIE, sees_all=ALL)
    plan.named(DORA, CHARLIE)
    assert only(plan.plan([BOBS], {}, EVERYBODY)) == {
        ALICE: (SharedRoom(HALL), ONE),
        BOB: (Self(),),
        CHARLIE: (ALL,),
    }


def test_a_route_is_one_more_reason(plan: Plan) -> None:
    """A route for a user whom the viewer sees anyway adds its modules as reasons, each once."""
    plan.room(HALL, CHARLIE, BOB)
    plan.named(CHARLIE, BOB)
    routes = {CHARLIE: {BOB: Route(BOBS, (ONE, OTHER))}}
    recipients = only(plan.plan([BOBS], routes, EVERYBODY))
    assert recipients[CHARLIE] == (SharedRoom(HALL), ONE, OTHER)


def test_an_altered_state_replaces(plan: Plan) -> None:
    """A recipient of an altered state does not get the real one, even if they share a room."""
    plan.room(HALL, ALICE, BOB, CHARLIE)
    routes = {viewer: {BOB: Route(HIDDEN, (ONE,))} for viewer in (ALICE, DORA)}
    assert plan.plan([BOBS], routes, EVERYBODY) == [
        Delivery(BOBS, {BOB: (Self(),), CHARLIE: (SharedRoom(HALL),)}),
        Delivery(HIDDEN, {ALICE: (SharedRoom(HALL), ONE), DORA: (ONE,)}),
    ]


def test_candidates(plan: Plan) -> None:
    """Candidates are the viewer, the members of shared rooms, and users named for the viewer."""
    plan.room(HALL, ALICE, BOB)
    plan.named(ALICE, DORA)
    plan.named(CHARLIE, sees_all=ALL)
    assert plan.candidates(ALICE) == {ALICE, BOB, DORA}
    assert plan.candidates(CHARLIE) == {CHARLIE}


def test_visible_since(plan: Plan) -> None:
    """A user is visible since the earlier of a shared room and a module's name."""
    plan.room(HALL, ALICE, BOB, CHARLIE, position=5)
    plan.named(ALICE, BOB, DORA, position=3)
    plan.named(CHARLIE, BOB, position=7)
    since = [plan.visible_since(*pair) for pair in ((ALICE, BOB), (ALICE, DORA), (CHARLIE, BOB))]
    assert since == [3, 3, 5]
    assert plan.visible_since(BOB, DORA) is None


@dataclass(frozen=True)
class World:
    rooms: dict[RoomId, frozenset[UserId]]
    named: dict[UserId, frozenset[UserId]]
    seeing_all: frozenset[UserId]
    routes: dict[UserId, dict[UserId, Route]]
    states: list[UserPresenceState]
    viewers: frozenset[UserId]

    def planner(self) -> Planner:
        plan = Plan()
        for room_id, members in self.rooms.items():
            plan.room(room_id, *members)
        for viewer in self.named.keys() | self.seeing_all:
            sees_all = ALL if viewer in self.seeing_all else None
            plan.named(viewer, *self.named.get(viewer, ()), sees_all=sees_all)
        return plan

    def told(self, viewer: UserId, user: UserId) -> Due | None:
        """Return the state of the user that the viewer must get, with the reasons."""
        if viewer not in self.viewers:
            return None
        own = next((it for it in self.states if it.user_id == user), None)
        route = self.routes.get(viewer, {}).get(user)
        if own is None and route is None:
            return None
        why = set(self.native(viewer, user)) | set(route.modules if route else ())
        state = route.state if route else own
        return (state, Counter(why)) if why and state is not None else None  # None is withheld

    def native(self, viewer: UserId, user: UserId) -> list[object]:
        if viewer == user:
            return [Self()]
        rooms = [SharedRoom(it) for it, members in self.rooms.items() if {viewer, user} <= members]
        names = [ONE] if user in self.named.get(viewer, ()) else []
        return [*rooms, *names, *([ALL] if viewer in self.seeing_all else [])]


users = st.sampled_from(sorted(EVERYBODY))
groups = st.frozensets(users)
its_states = st.builds(state, users, st.sampled_from([None, "a", "b"]))
routes = st.dictionaries(
    users,
    st.lists(
        st.tuples(its_states, st.booleans(), st.sampled_from([(ONE,), (OTHER,), (ONE, OTHER)]))
    ).map(
        lambda drawn: {
            UserId(state.user_id): Route(None if withheld else state, modules)
            for state, withheld, modules in drawn
        }
    ),
)
worlds = st.builds(
    World,
    st.dictionaries(st.sampled_from([HALL, ATTIC]), groups),
    st.dictionaries(users, groups),
    groups,
    routes,
    st.lists(its_states, unique_by=lambda it: it.user_id),
    groups,
)


@given(worlds)
def test_any_world(world: World) -> None:
    """In any world a viewer gets at most one state of a user, an altered one wins, and the reasons
    are exactly those of the rules; without a reason the viewer gets none.
    """
    deliveries = world.planner().plan(world.states, world.routes, world.viewers)
    told = [
        (viewer, delivery.user_id, delivery.state, Counter(reasons))
        for delivery in deliveries
        for viewer, reasons in delivery.recipients.items()
    ]
    expected = [
        (viewer, user, *due)
        for viewer in EVERYBODY
        for user in EVERYBODY
        if (due := world.told(viewer, user)) is not None
    ]
    assert sorted(told, key=repr) == sorted(expected, key=repr)
    assert all(delivery.recipients for delivery in deliveries)


@given(worlds)
def test_reasons_agree_with_plans(world: World) -> None:
    """`reasons` is equal to a plan without routes, for any viewer and user."""
    planner = world.planner()
    for viewer in EVERYBODY:
        for user in EVERYBODY:
            reasons = Counter(planner.reasons(viewer, user))
            assert reasons == Counter(world.native(viewer, user))


@given(worlds)
def test_views_agree_with_plans(world: World) -> None:
    """A view is equal to a plan for its viewer alone; the order of reasons does not matter."""
    planner = world.planner()
    states = {UserId(it.user_id): it for it in world.states}
    for viewer in EVERYBODY:
        deliveries = planner.plan(world.states, world.routes, {viewer})
        visible = planner.view(viewer, states, world.routes)
        seen = {it: (visible.states[it], Counter(why)) for it, why in visible.reasons.items()}
        assert seen == {it.user_id: (it.state, Counter(it.recipients[viewer])) for it in deliveries}


# --- which users became visible


moves = st.lists(
    st.tuples(
        st.sampled_from(["join", "leave", "move", "name"]),
        users,
        st.sampled_from([HALL, ATTIC]),
        st.tuples(groups, st.booleans()),
    )
)


def moved(steps: list[tuple[str, UserId, RoomId, tuple[frozenset[UserId], bool]]]) -> Plan:
    """Return a planner after *steps*, each at a position of its own."""
    plan = Plan()
    for number, (kind, user, room_id, (named, all_users)) in enumerate(steps, start=1):
        position = StreamPosition(number)
        joined_at = plan.rooms.members(room_id).get(user)
        if kind == "join":
            plan.rooms.joined(room_id, user, position)
        elif kind == "leave":
            plan.rooms.left(room_id, user)
        elif kind == "move" and joined_at is not None:
            plan.rooms.move_join(room_id, user, joined_at, position)
        elif kind == "name":
            sees_all = ALL if all_users else None
            plan.named(user, *named, position=number, sees_all=sees_all)
    return plan


@given(moves, st.integers(0, 10))
def test_becoming_visible(
    steps: list[tuple[str, UserId, RoomId, tuple[frozenset[UserId], bool]]], number: int
) -> None:
    """Every user who is visible since after a position is among those that became visible, or the
    viewer sees all users since then; and all of them are candidates.
    """
    plan, position = moved(steps), StreamPosition(number)
    for viewer in EVERYBODY:
        new = plan.became_visible(viewer, position)
        all_since = plan.sees_all_since(viewer)
        sees_all_anew = all_since is not None and all_since > position
        for user in EVERYBODY:
            since = plan.visible_since(viewer, user)
            assert since is None or since <= position or user in new or sees_all_anew
        assert new <= plan.candidates(viewer)
        assert len(plan.candidates(viewer)) <= plan.max_candidates(viewer)
