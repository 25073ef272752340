"""The oracle: looks at each answer while it comes, and at all that clients show once it is calm.

An answer may be as old as a node may be cut off without knowing it. So the oracle allows what was
possible at any time of the last `LAG` seconds before an answer to a poll; where this machine is
late, of more. A GET of presence has no such allowance: it contains what was acknowledged before.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from lamplighter.ids import UserId
from tests.chaos.passing import Lateness, instant
from tests.chaos.person import Person, Shown, Told
from tests.chaos.sight import Sight, SightOf

__all__ = ["LAG", "Oracle", "Problem"]

#: A lease lasts so many seconds, and a node that may have lost it answers nothing; and a second for
#: the way of the answer.
LAG: Final = 5.0
#: How much more time the oracle allows for each second by which this process is late.
_FOR_LATENESS: Final = 3
#: Nodes store who has ceased to see whom once a minute. A node that starts sooner does not know.
_STORED_AFTER: Final = 65.0
_NOT_SHOWN: Final = Shown("offline", 0)

#: By viewer and user.
Sights: TypeAlias = Mapping[tuple[UserId, UserId], SightOf]


@dataclass(frozen=True, slots=True)
class Problem:
    """A viewer is told, or shows, what is not so of a user."""

    viewer: Person
    user: Person
    what: str

    def __str__(self) -> str:
        return f"{self.viewer} {self.what}"


@dataclass(eq=False)
class Oracle:
    """Knows what may be so."""

    sight: Sight
    lateness: Lateness
    #: From when to when nodes have started.
    starts: Sequence[tuple[float, float]]
    people: dict[UserId, Person] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    #: How many answers and states were looked at.
    answers: int = 0
    states: int = 0

    def told(self, viewer: Person, told: Told) -> None:
        """Look at an answer to a sync."""
        start = told.answered - self.allowance
        self.answers += 1
        for user_id, shown in told.states.items():
            user = self.people[user_id]
            if why := self._mistake(viewer, user, shown, start, told.answered):
                self.problems.append(Problem(viewer, user, f"is told {shown} of {user}: {why}"))
        if told.is_first:
            self._look_for_missing(viewer, told)

    def got(self, viewer: Person, user: Person, asked: float, shown: Shown | None) -> None:
        """Look at an answer to a GET of the presence of *user*; None where it was refused."""
        now = instant()
        self.states += 1
        if shown is not None:
            why = self._mistake(viewer, user, shown, asked, now)
        else:
            sights = self.sight.between(viewer.user_id, user.user_id, asked, now)
            why = "" if SightOf.NOTHING in sights else f"sees {user} {_names(sights)}"
        if why:
            answer = shown or "nothing"
            self.problems.append(Problem(viewer, user, f"gets {answer} of {user}: {why}"))

    @property
    def allowance(self) -> float:
        """How old an answer may be, in seconds."""
        return LAG + _FOR_LATENESS * self.lateness.seconds

    def _mistake(self, viewer: Person, user: Person, shown: Shown, start: float, end: float) -> str:
        """Return why it is wrong to show this, if it is."""
        self.states += 1
        sights = self.sight.between(viewer.user_id, user.user_id, start, end)
        if shown == _NOT_SHOWN and SightOf.NOTHING in sights:
            return ""
        if sights == {SightOf.NOTHING}:
            return f"{viewer} may not see {user}"
        if shown.presence == "offline" and user.attendance.is_certain(start):
            return f"{user} polls"
        allowed = set(user.status.between(start, end)) if SightOf.PLAIN in sights else set()
        if SightOf.VEILED in sights:
            allowed.add(0)
        if shown.number not in allowed:
            return f"{user} is seen {_names(sights)}, with one of {sorted(allowed)}"
        return ""

    def _look_for_missing(self, viewer: Person, told: Told) -> None:
        """Look whether a first sync has everybody who is there, as of the request."""
        for user_id, user in self.people.items():
            is_there = user.attendance.is_certain(told.asked - self.allowance)
            sights = self.sight.between(viewer.user_id, user_id, told.asked, told.answered)
            if not is_there or SightOf.NOTHING in sights or viewer is user:
                continue
            shown = told.states.get(user_id)
            why = f"sees {user} {_names(sights)}"
            if shown is not None:
                why = self._mistake(viewer, user, shown, told.asked, told.answered)
            if why:
                what = f"has {shown or 'nothing'} of {user} in a first sync: {why}"
                self.problems.append(Problem(viewer, user, what))

    # --- once it is calm ------------------------------------------------------------------

    def sights_now(self) -> Sights:
        """Return who sees whom, and how, while nobody does anything that changes it."""
        now, users = instant(), list(self.people)
        sights = {}
        for viewer in users:
            for user_id in users:
                [sights[viewer, user_id]] = self.sight.between(viewer, user_id, now, now)
        return sights

    def false_beliefs(self, sights: Sights) -> list[Problem]:
        """Return what clients that poll show, and should not."""
        found: list[Problem] = []
        for user in self.people.values():
            seen: dict[Shown, Person] = {}
            for viewer in self.people.values():
                if viewer.away_since is None:
                    sight = sights[viewer.user_id, user.user_id]
                    found += self._false_belief(viewer, user, sight, seen)
            if len(seen) > 1:
                viewer = next(iter(seen.values()))
                by = ", ".join(f"{shown} by {it}" for shown, it in seen.items())
                found.append(Problem(viewer, user, f"and others differ about {user}: {by}"))
        return found

    def _false_belief(
        self, viewer: Person, user: Person, sight: SightOf, seen: dict[Shown, Person]
    ) -> Iterable[Problem]:
        shown = viewer.believes.get(user.user_id, _NOT_SHOWN)
        is_offline = shown.presence == "offline"
        if sight == SightOf.NOTHING:
            if not is_offline and not self._is_forgotten(viewer, user):
                yield Problem(viewer, user, f"shows {shown} of {user}, whom {viewer} may not see")
            return
        is_away = user.away_since is not None
        numbers = {0} if sight == SightOf.VEILED else user.status.now
        if is_away != is_offline or not (is_away or shown.number in numbers):
            truth = f"{'away' if is_away else 'there'}, with one of {sorted(numbers)}"
            yield Problem(viewer, user, f"shows {shown} of {user}, who is {truth}")
        elif sight == SightOf.PLAIN and not is_away:
            seen.setdefault(shown, viewer)

    def _is_forgotten(self, viewer: Person, user: Person) -> bool:
        """Tell whether a node that has started may not know that the user is not seen any more."""
        for began, ready in self.starts:
            sights = self.sight.between(viewer.user_id, user.user_id, began - _STORED_AFTER, ready)
            if len(sights) > 1:
                return True
        return False


def _names(sights: Iterable[SightOf]) -> str:
    return " or ".join(sorted(it.value for it in sights))
