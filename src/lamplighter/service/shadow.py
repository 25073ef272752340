"""Modules in the shadow: they are asked what the others are asked, and their answers do not count.

What the answers would change is counted and sampled. Nothing waits for them. The `Planner` is asked
twice, with and without them, and nobody is told the first of its answers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Final

import structlog

from lamplighter.clock import Clock, Timestamp, after
from lamplighter.delivery.feed import Feed
from lamplighter.ids import ServerName, UserId, server_of
from lamplighter.metrics import Metrics
from lamplighter.presence.state import UserPresenceState
from lamplighter.recent import Recent
from lamplighter.routing.plan import Planner, VisibleStates
from lamplighter.routing.registrations import Shadow
from lamplighter.routing.router import Inquiry, ModuleRouter
from lamplighter.service.background import Background
from lamplighter.service.roster import Roster
from lamplighter.service.views import Views
from lamplighter.service.witness import FreshView, Witness

__all__ = ["ShadowDifference", "ShadowKind", "ShadowModules"]

_log = structlog.get_logger(__name__)

#: At most this many differences are kept: the newest of each viewer and user.
_MOST_SAMPLES: Final = 200
#: A module is not asked about the same viewer again before.
_ASKED_AGAIN: Final = timedelta(seconds=60)
_MOST_VIEWERS: Final = 20_000
#: A module's differences make a line in the log at most this often.
_BETWEEN_LINES: Final = timedelta(minutes=1)


class ShadowKind(StrEnum):
    """The kind of a difference."""

    GAINS_SIGHT = "gains_sight"
    SEES_ALTERED = "sees_altered"


@dataclass(frozen=True, slots=True)
class ShadowDifference:
    """The difference for one viewer and one user, if the module counted."""

    module: str
    kind: ShadowKind
    viewer: UserId
    user_id: UserId
    at: Timestamp
    #: The state that the viewer sees; None is no state.
    shown: UserPresenceState | None
    would_be_shown: UserPresenceState


@dataclass(slots=True)
class _Unsaid:
    """The differences of a module that are not in the log yet."""

    last_line: Timestamp | None = None
    differences: int = 0


@dataclass(eq=False)
class ShadowModules(Witness):
    """Asks the router's shadow modules, and keeps how they differ."""

    server_name: ServerName
    clock: Clock
    roster: Roster
    router: ModuleRouter
    planner: Planner
    feed: Feed
    views: Views
    background: Background
    metrics: Metrics
    _samples: Recent[tuple[str, ShadowKind, UserId, UserId], ShadowDifference] = field(
        init=False, default_factory=lambda: Recent(_MOST_SAMPLES)
    )
    #: When whom was asked about a viewer; apart for views of everybody and of some.
    _asked_at: Recent[tuple[Shadow, UserId, bool], Timestamp] = field(
        init=False, default_factory=lambda: Recent(_MOST_VIEWERS)
    )
    _unsaid: dict[str, _Unsaid] = field(init=False, default_factory=dict)

    def samples(self) -> Sequence[ShadowDifference]:
        """Return the newest differences, the newest first."""
        return self._samples.values()[::-1]

    def begin_anew(self) -> None:
        """Other modules are in the shadow: hold nothing of those that were."""
        self._asked_at.clear()
        self._samples.clear()
        self._unsaid.clear()

    def left_undone(self, module: str, call: str) -> None:
        """Count what a shadow module wanted to do."""
        self.metrics.shadow_left_undone(module, call)

    def look_at_batch(self, states: Sequence[UserPresenceState], inquiry: Inquiry) -> None:
        """Ask the shadow modules about *states*; *inquiry* has asked the modules that count."""
        for shadow in self.router.shadows if states else ():
            self.background.run(self._look_at_batch(shadow, states, inquiry))

    def viewed(self, view: FreshView) -> None:
        for shadow in self.router.shadows:
            if self._is_due(shadow, view):
                self.background.run(self._look_at_view(shadow, view))

    async def _look_at_batch(
        self, shadow: Shadow, states: Sequence[UserPresenceState], inquiry: Inquiry
    ) -> None:
        answer = shadow.module.users_for_states(states)
        routes = await inquiry.complete()
        routes_with_it = await inquiry.including(shadow, answer).complete()
        about = {UserId(state.user_id): state for state in states}
        for viewer in (await answer).routes:
            if self._is_looking(viewer):
                visible = self.planner.view(viewer, about, routes)
                with_it = self.planner.view(viewer, about, routes_with_it)
                would_be = {user_id: with_it.states[user_id] for user_id in with_it.reasons}
                self._compare(shadow.module.name, viewer, visible, would_be)

    async def _look_at_view(self, shadow: Shadow, view: FreshView) -> None:
        # A view of everybody may have been about those only whom rooms bring into question.
        known = self.roster.known() if view.is_whole else view.users.values()
        answer = await shadow.module.interested_users(view.viewer)
        named = (it for it in known if answer.all_users or it.user_id in answer.named)
        seen = view.visible.reasons
        would_be = {UserId(it.user_id): it for it in named if it.user_id not in seen}
        self._compare(shadow.module.name, view.viewer, view.visible, would_be)

    def _is_due(self, shadow: Shadow, view: FreshView) -> bool:
        now = self.clock.now()
        key = shadow, view.viewer, view.is_whole
        asked_at = self._asked_at.get(key)
        if asked_at is not None and now < after(asked_at, _ASKED_AGAIN):
            return False
        self._asked_at.put(key, now)
        return True

    def _is_looking(self, viewer: UserId) -> bool:
        """Tell whether it is known what the viewer sees; of who is away it is found on return."""
        if server_of(viewer) != self.server_name:
            return True
        return viewer in self.feed.viewers and self.views.knows_interest(viewer)

    def _compare(
        self,
        module: str,
        viewer: UserId,
        visible: VisibleStates,
        would_be: Mapping[UserId, UserPresenceState],
    ) -> None:
        now = self.clock.now()
        for user_id, would_be_shown in would_be.items():
            shown = visible.states[user_id] if user_id in visible.reasons else None
            if would_be_shown != shown:
                kind = ShadowKind.GAINS_SIGHT if shown is None else ShadowKind.SEES_ALTERED
                self._take_in(
                    ShadowDifference(module, kind, viewer, user_id, now, shown, would_be_shown)
                )

    def _take_in(self, found: ShadowDifference) -> None:
        self.metrics.shadow_differs(found.module, found.kind)
        key = found.module, found.kind, found.viewer, found.user_id
        self._samples.put(key, found)
        self._say(found)

    def _say(self, found: ShadowDifference) -> None:
        unsaid = self._unsaid.setdefault(found.module, _Unsaid())
        unsaid.differences += 1
        if unsaid.last_line is None or found.at >= after(unsaid.last_line, _BETWEEN_LINES):
            _log.info(
                "a shadow module would decide otherwise",
                module=found.module,
                differences=unsaid.differences,
                kind=found.kind.value,
                viewer=found.viewer,
                user=found.user_id,
            )
            self._unsaid[found.module] = _Unsaid(found.at)
