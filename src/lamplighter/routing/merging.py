"""Merging the answers of several modules: an alteration is never undone by an unaltered state.

Most modules return the states as they got them. Such a module names a recipient; it does not mean
that the recipient should see what another module hides. So an altered state wins over an unaltered
one, whatever the order of the modules. Only between two modules that alter the same user for the
same viewer in different ways does the order matter: the later one in config order decides. That is
a *conflict*, which the log and the explanations name.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TypeAlias

import structlog

from lamplighter.clock import Clock
from lamplighter.ids import UserId
from lamplighter.log_limits import LogLimit
from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.answers import CheckedRoutes
from lamplighter.routing.plan import Route
from lamplighter.routing.reasons import Module

__all__ = ["Conflict", "Conflicts", "Merging"]

_Alteration: TypeAlias = tuple[Module, UserPresenceState | None]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two modules alter the same user for the same viewer in different ways."""

    #: The module whose state the viewer gets: the later one in config order.
    decides: str
    overruled: str
    viewer: UserId
    user_id: UserId


class Merging:
    """The routes of several answers, which are added in config order."""

    def __init__(self, about: Mapping[UserId, UserPresenceState]) -> None:
        """*about* are the real states that the modules were asked about."""
        self._about = about
        self.routes: dict[UserId, dict[UserId, Route]] = {}
        #: (Later module, earlier module) to the first viewer and user on whom they disagree.
        self.conflicts: dict[tuple[str, str], Conflict] = {}
        #: (Viewer, user) to what modules have altered or withheld.
        self._alterations: dict[tuple[UserId, UserId], list[_Alteration]] = {}

    def add(
        self,
        module: Module,
        alters: Mapping[UserId, AbstractSet[UserId]],
        checked: CheckedRoutes,
    ) -> None:
        """Add the answer of one more module, whose earlier alterations are *alters*."""
        #: The unaltered routes by state: many viewers usually get the same one.
        plain: dict[int, Route] = {}
        for viewer, states in checked.routes.items():
            seen = self.routes.setdefault(viewer, {})
            usually = alters.get(viewer, frozenset())
            for user_id, state in states.items():
                before = seen.get(user_id)
                if self._is_altered(user_id, state, usually):
                    seen[user_id] = self._altered(before, module, state, viewer, user_id)
                elif before is None:
                    seen[user_id] = plain.get(id(state)) or plain.setdefault(
                        id(state), Route(state, (module,))
                    )
                else:
                    modules = (*before.modules, module)
                    shown = before.state if before.altering else state
                    seen[user_id] = Route(shown, modules, before.altering, before.overruled)
        for viewer, users in checked.withheld.items():
            seen = self.routes.setdefault(viewer, {})
            for user_id in users:
                seen[user_id] = self._altered(seen.get(user_id), module, None, viewer, user_id)

    def _is_altered(
        self, user_id: UserId, state: UserPresenceState, usually: AbstractSet[UserId]
    ) -> bool:
        original = self._about.get(user_id)
        if original is None:  # no module was asked about this user: the real state is unknown
            return user_id in usually
        return state is not original and state != original

    def _altered(
        self,
        before: Route | None,
        module: Module,
        state: UserPresenceState | None,
        viewer: UserId,
        user_id: UserId,
    ) -> Route:
        """Return the route *before*, changed by the alteration of one more module."""
        alterations = self._alterations.setdefault((viewer, user_id), [])
        alterations.append((module, state))
        modules = before.modules if before else ()
        altering = tuple(it for it, other in alterations if other == state)
        if state is None:
            return Route(None, modules, altering)
        # A withheld state is no other alteration: nobody knows what it would have been.
        overruled = tuple(it for it, other in alterations if other not in (state, None))
        for it in overruled:
            conflict = Conflict(module.name, it.name, viewer, user_id)
            self.conflicts.setdefault((module.name, it.name), conflict)
        return Route(state, (*modules, module), altering, overruled)


class Conflicts:
    """Logs conflicts, those of the same two modules at most once in a while."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._said = LogLimit()

    def report(self, conflicts: Mapping[tuple[str, str], Conflict]) -> None:
        """Log the conflicts that were not logged lately."""
        for modules, conflict in conflicts.items():
            left_out = self._said.admits(modules, self._clock.now())
            if left_out is not None:
                _log.warning(
                    "modules alter the same presence in different ways: the later one decides",
                    decides=conflict.decides,
                    overruled=conflict.overruled,
                    viewer=conflict.viewer,
                    user=conflict.user_id,
                    **({"left_out": left_out} if left_out else {}),
                )
