"""Whether modules of one configuration alter the same presence in different ways.

All modules are asked about the same states of the same worlds. The server's own `Merging` puts the
answers together, so a conflict here is one that `explain` and the log of a server would name.
"""

from collections.abc import Mapping, Sequence

from lamplighter.devtools.check.findings import Callback, Finding, Kind
from lamplighter.devtools.check.population import Population
from lamplighter.devtools.check.trial import Trial
from lamplighter.devtools.check.words import changes_in_words
from lamplighter.devtools.check.worlds import worlds
from lamplighter.ids import UserId
from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.answers import CheckedRoutes
from lamplighter.routing.merging import Conflict, Merging
from lamplighter.routing.reasons import Module

__all__ = ["conflicts"]


async def conflicts(
    trials: Mapping[str, Trial], people: Population, count: int
) -> Sequence[Finding]:
    """Return the first conflict of each two modules in *count* worlds.

    *trials* are the modules by name, in the order of the configuration.
    """
    found: dict[tuple[str, str], Finding] = {}
    for world, states in worlds(people, count):
        asked = [*([state] for state in states), states]
        answers = {name: await trial.routes(world, asked) for name, trial in trials.items()}
        for number, changes in enumerate(asked):
            about = {UserId(state.user_id): state for state in changes}
            routes = {name: answer[number] for name, answer in answers.items()}
            merging = Merging(about)
            for name, checked in routes.items():
                merging.add(Module(name), {}, checked)
            for modules, conflict in merging.conflicts.items():
                if modules not in found:
                    found[modules] = _finding(conflict, about, routes)
    return list(found.values())


def _finding(
    conflict: Conflict,
    about: Mapping[UserId, UserPresenceState],
    routes: Mapping[str, CheckedRoutes],
) -> Finding:
    viewer, user_id = conflict.viewer, conflict.user_id
    message = (
        f"{conflict.overruled} and {conflict.decides} alter the presence of {user_id} for "
        f"{viewer} in different ways: {conflict.decides} decides, which stands later in the "
        "configuration"
    )
    original = about[user_id]
    shown = {
        name: _altered(original, routes[name].routes[viewer][user_id])
        for name in (conflict.overruled, conflict.decides)
    }
    details = (
        f"asked about: {'; '.join(changes_in_words([original]))}",
        *(f"{name} shows {viewer}: {fields}" for name, fields in shown.items()),
    )
    return Finding(Kind.CONFLICT, message, Callback.STATES, None, details)


def _altered(original: UserPresenceState, shown: UserPresenceState) -> str:
    """Return the fields that differ, with what the viewer is shown."""
    before = original.as_dict()
    differing = {name: value for name, value in shown.as_dict().items() if value != before[name]}
    return ", ".join(f"{name}={value!r}" for name, value in differing.items())
