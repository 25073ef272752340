"""Whether the two callbacks agree: the recipients of a user's changes are the user's viewers.

Three kinds of pairs are not compared. Two people who share a room see each other anyway, and a
module may alter what they see. The presence of two people of other servers is not ours to send. And
everybody sees themselves.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from lamplighter.devtools.check.findings import Callback, Counterexample, Finding, Kind, Place
from lamplighter.devtools.check.words import changes_in_words, rooms_in_words
from lamplighter.devtools.check.worlds import World
from lamplighter.ids import UserId
from lamplighter.presence.state import Presence, UserPresenceState
from lamplighter.routing.answers import CheckedInterest, CheckedRoutes

__all__ = ["Case", "Disagreement", "RoomRules", "disagreements", "finding_of", "strangeness"]


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A pair of people about whom the two callbacks disagree."""

    kind: Kind
    viewer: UserId
    user: UserId


@dataclass(frozen=True, slots=True)
class Case:
    """A disagreement, and all that is needed to reproduce it."""

    world: World
    #: What the module is asked about, together.
    changes: Sequence[UserPresenceState]
    disagreement: Disagreement


@dataclass(frozen=True, slots=True)
class RoomRules:
    """Which rooms make their members visible to each other, by the server's configuration."""

    shared_rooms: bool = True
    excluded: frozenset[str] = frozenset()
    #: A room with more members does not count; None: any room may.
    most_members: int | None = None

    def make_visible(self, world: World, one: UserId, other: UserId) -> bool:
        """Tell whether two people see each other without any module."""
        return self.shared_rooms and any(
            it.room_id not in self.excluded
            and (self.most_members is None or it.joined <= self.most_members)
            for it in world.shared_rooms(one, other)
        )


def disagreements(
    world: World,
    rooms: RoomRules,
    changes: Iterable[UserPresenceState],
    routes: CheckedRoutes,
    interests: Mapping[UserId, CheckedInterest],
) -> Iterator[Disagreement]:
    """Yield the pairs on which an answer about *changes* and the viewers' *interests* differ."""
    changed = [UserId(state.user_id) for state in changes]
    for viewer, interest in interests.items():
        sent = routes.routes.get(viewer, {})
        for user_id in dict.fromkeys([*changed, *sent]):
            is_shown = interest.all_users or user_id in interest.named
            if is_shown == (user_id in sent) or not _matters(world, rooms, viewer, user_id):
                continue
            kind = Kind.SHOWN_NOT_TOLD if is_shown else Kind.TOLD_NOT_SHOWN
            yield Disagreement(kind, viewer, user_id)


def _matters(world: World, rooms: RoomRules, viewer: UserId, user_id: UserId) -> bool:
    return (
        viewer != user_id
        and (world.is_local(viewer) or world.is_local(user_id))
        and not rooms.make_visible(world, viewer, user_id)
    )


def strangeness(case: Case) -> tuple[bool, bool, int, int]:
    """Return a sort key: cases about people whom the author knows come first."""
    world, pair = case.world, case.disagreement
    places = {user_id: place for place, user_id in enumerate(world.users)}
    return (
        not world.is_local(pair.viewer),
        not world.is_local(pair.user),
        len(case.changes),
        sum(places.get(it, len(places)) for it in (pair.viewer, pair.user)),
    )


def finding_of(case: Case, places: Mapping[Callback, Place | None]) -> Finding:
    """Return the finding for a case."""
    kind, world = case.disagreement.kind, case.world
    viewer, user = case.disagreement.viewer, case.disagreement.user
    sends, names = "sends", f"does not name {user}"
    at_fault = Callback.INTEREST
    if kind is Kind.SHOWN_NOT_TOLD:
        sends, names = "does not send", f"names {user}"
        at_fault = Callback.STATES
    details = (
        f"get_users_for_states {sends} {user} to {viewer}",
        f"get_interested_users({viewer}) {names}",
    )
    counterexample = Counterexample(
        viewer,
        user,
        tuple(changes_in_words(case.changes)),
        tuple(world.users),
        tuple(sorted(world.admins)),
        tuple(rooms_in_words(world)),
    )
    return Finding(kind, _sentence(case), at_fault, places[at_fault], details, counterexample)


def _sentence(case: Case) -> str:
    """Return what the disagreement means to people; Lamplighter itself asks both callbacks."""
    viewer, user = case.disagreement.viewer, case.disagreement.user
    told = f"when {user} {_does(case)}"
    match case.disagreement.kind, case.world.is_local(viewer):
        case Kind.TOLD_NOT_SHOWN, True:
            return f"{viewer} is told {told}, but a first sync in Synapse would not show {user}"
        case Kind.TOLD_NOT_SHOWN, False:
            return (
                f"the server of {viewer} is told {told}, but in Synapse "
                f"send_local_online_presence_to([{viewer}]) would not send it {user}"
            )
        case _, True:
            return (
                f"a first sync shows {user} to {viewer}, but Synapse would not tell {viewer} {told}"
            )
    return (
        f"send_local_online_presence_to([{viewer}]) sends {user} to the server of {viewer}, "
        f"but Synapse would not tell it {told}"
    )


def _does(case: Case) -> str:
    """Return what the user does, as the verb of a sentence."""
    others = " at the same moment as others" if len(case.changes) > 1 else ""
    for state in case.changes:
        if state.user_id == case.disagreement.user:
            message = f" with the message “{state.status_msg}”" if state.status_msg else ""
            return f"{_VERBS[Presence(state.state)]}{message}{others}"
    return "has not changed, but somebody else has"


_VERBS: Final = {
    Presence.ONLINE: "comes online",
    Presence.OFFLINE: "goes offline",
    Presence.UNAVAILABLE: "becomes unavailable",
    Presence.BUSY: "becomes busy",
}
