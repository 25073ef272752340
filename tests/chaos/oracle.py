"""The oracle: looks at each answer while it comes, and at all that clients show once it is calm.

An answer may be as old as a node may be cut off without knowing it. So the oracle allows what was
possible at any time of the last `LAG` seconds before an answer to a poll; where this machine is
late, of more. A node that was frozen tells, at first, what it had read before that. Where nothing
has failed for a while, an answer is at most `_PROMPT` seconds old. A GET of presence has no such
allowance: it contains what was acknowledged before.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Final, TypeAlias

from lamplighter.ids import UserId
from tests.chaos.passing import Lateness, instant
from tests.chaos.person import LogOut, Person, Shown, Told
from tests.chaos.sight import Sight, SightOf

__all__ = ["LAG", "Freeze", "Oracle", "Problem"]

#: A node that has not reached the log for 3 s answers nothing; and a second for the way of the
#: answer.
LAG: Final = 4.0
#: A node that is cut off twice answers a poll in between, by a new lease and without news: what it
#: does not tell may be older by so many seconds than what it tells.
_UNREAD: Final = 5.0
#: Where nothing fails, nodes hear of everything as it happens: this is for the way of the answer.
_PROMPT: Final = 1.0
#: A node that was frozen finds out within so many seconds what it has missed, or that it has no
#: lease; the way of the answer is in it.
_THAWS: Final = 1.0
#: A node saves within so many seconds whom modules show at it; until then only that node knows.
_SAVES: Final = 2.0
#: How much more time the oracle allows for each second by which this process is late.
_FOR_LATENESS: Final = 3
_NOT_SHOWN: Final = Shown("offline", 0)

#: By viewer and user.
Sights: TypeAlias = Mapping[tuple[UserId, UserId], SightOf]


@dataclass(frozen=True, slots=True)
class Freeze:
    """When a node was frozen, from its beginning to its end."""

    url: str
    began: float
    ended: float


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
    #: When all nodes died, and all data of the log were lost.
    blackouts: Sequence[float] = ()
    #: When no node was there any more that was ready.
    darknesses: Sequence[float] = ()
    freezes: Sequence[Freeze] = ()
    #: When a node was killed.
    kills: Sequence[float] = ()
    #: When PostgreSQL was away, from the beginning to the end.
    outages: Sequence[tuple[float, float]] = ()
    people: dict[UserId, Person] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    #: Since when nothing fails, and all nodes are ready; infinity while something may fail.
    quiet_since: float = inf
    #: How many answers and states were looked at.
    answers: int = 0
    states: int = 0

    def told(self, viewer: Person, told: Told) -> None:
        """Look at an answer to a sync, and at what the client goes on to show with it."""
        start = self._possible_since(told)
        self.answers += 1
        for user_id, user in self.people.items():
            before = viewer.believes.get(user_id, _NOT_SHOWN)
            shown = told.states.get(user_id)
            if shown is not None:
                why = self._mistake(viewer, user, shown, start, told.answered)
                self._note(viewer, user, f"is told {shown}", why or _step_back(user, before, shown))
            elif not told.is_first:
                unread = start if self._is_quiet(told.answered) else start - _UNREAD
                why = self._mistake(viewer, user, before, unread, told.answered)
                if why and not self._is_forgotten(viewer, user):
                    self._note(viewer, user, f"still shows {before}", why)
        if told.is_first:
            self._look_for_missing(viewer, told)

    def told_after(self, viewer: Person, told: Told, log_out: LogOut) -> None:
        """Look at an answer to a device that was logged out, or is about to be.

        A node hears of the log-out before it hears that the user has gone offline by that.
        """
        if log_out.at < self._possible_since(told):
            seconds = told.answered - log_out.at
            what = f"gets an answer to a poll {seconds:.1f} s after the log-out"
            self.problems.append(Problem(viewer, viewer, what))
        before, shown = (it.get(viewer.user_id) for it in (viewer.believes, told.states))
        if log_out.was_there and before and shown and _goes_offline(before, shown):
            what = f"is told {shown} of itself, which follows from its log-out"
            self.problems.append(Problem(viewer, viewer, what))

    def got(self, viewer: Person, user: Person, asked: float, shown: Shown | None) -> None:
        """Look at an answer to a GET of the presence of *user*; None where it was refused."""
        now = instant()
        self.states += 1
        if shown is not None:
            why = self._mistake(viewer, user, shown, asked, now)
        else:
            sights = self.sight.between(viewer.user_id, user.user_id, asked, now)
            why = "" if SightOf.NOTHING in sights else f"sees {user} {_names(sights)}"
        self._note(viewer, user, f"gets {shown or 'nothing'}", why)

    @property
    def allowance(self) -> float:
        """How old an answer may be, in seconds."""
        return LAG + _FOR_LATENESS * self.lateness.seconds

    def _possible_since(self, told: Told) -> float:
        """Return how far back an answer to a poll may go."""
        if self._is_quiet(told.answered):
            return told.answered - self.allowance + LAG - _PROMPT
        thaws = _THAWS + _FOR_LATENESS * self.lateness.seconds
        frozen = [
            it.began - LAG
            for it in self.freezes
            if it.url == told.url and told.answered < it.ended + thaws
        ]
        return min([told.answered - self.allowance, *frozen])

    def _is_quiet(self, at: float) -> bool:
        """Tell whether no fault can be a reason any more for what a node tells."""
        return at > self.quiet_since + self.allowance

    def _note(self, viewer: Person, user: Person, what: str, why: str) -> None:
        """Note a problem, if there is a reason *why* it is one."""
        if why:
            self.problems.append(Problem(viewer, user, f"{what} of {user}: {why}"))

    def _is_forgotten(self, viewer: Person, user: Person) -> bool:
        """Tell whether perhaps nobody knows that the client shows a user.

        Nodes save every second whom a viewer does not see any more. In a blackout that is lost
        with the log and the memory of all nodes, more than the cluster promises to survive.
        Whomever the viewer may see is told anew after it. If all nodes end, and no data of the log
        are lost, only the nodes' memory of whom modules have shown is. If one node is killed, so is
        its memory of whom modules have shown just before, which it has not saved.
        """
        now, learned = instant(), viewer.learned.get(user.user_id, inf)
        if SightOf.NOTHING not in self.sight.between(viewer.user_id, user.user_id, now, now):
            return False
        if self.sight.was_by_rule(viewer.user_id, user.user_id, learned - self.allowance):
            lost = (*self.blackouts, *self.darknesses)
            return any(learned < at for at in lost) or self._is_unsaved(learned)
        return any(learned < at for at in self.blackouts)

    def _is_unsaved(self, learned: float) -> bool:
        """Tell whether a node was killed before it could save what a client *learned*."""
        time = _SAVES + _FOR_LATENESS * self.lateness.seconds
        return any(
            learned <= killed
            and (
                killed - learned < time
                or any(began < killed and learned < ended + time for began, ended in self.outages)
            )
            for killed in self.kills
        )

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
            self._note(viewer, user, f"has in a first sync {shown or 'nothing'}", why)

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
            if shown != _NOT_SHOWN and not self._is_forgotten(viewer, user):
                yield Problem(viewer, user, f"shows {shown} of {user}, whom {viewer} may not see")
            return
        is_away = user.away_since is not None
        numbers = {0} if sight == SightOf.VEILED else user.status.now
        if is_away != is_offline or not (is_away or shown.number in numbers):
            truth = f"{'away' if is_away else 'there'}, with one of {sorted(numbers)}"
            yield Problem(viewer, user, f"shows {shown} of {user}, who is {truth}")
        elif sight == SightOf.PLAIN and not is_away:
            seen.setdefault(shown, viewer)


def _goes_offline(before: Shown, shown: Shown) -> bool:
    return before.presence != "offline" and shown.presence == "offline"


def _step_back(user: Person, before: Shown, shown: Shown) -> str:
    """Return why it is wrong that a client which showed *before* is told *shown*, if it is."""
    for number in user.acknowledged:
        if 0 < shown.number < number <= before.number:
            return f"{before} was told before, and {number} is acknowledged"
    return ""


def _names(sights: Iterable[SightOf]) -> str:
    return " or ".join(sorted(it.value for it in sights))
