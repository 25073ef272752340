"""From a class's path to a module that can be asked, or to a finding that says why not."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from lamplighter.devtools.check.findings import Callback, Finding, Kind
from lamplighter.devtools.check.places import place_of, place_of_error
from lamplighter.devtools.check.simulation import simulated
from lamplighter.devtools.check.subject import Subject
from lamplighter.devtools.check.worlds import World
from lamplighter.errors import ConfigError, ModuleError, NotOfPresence
from lamplighter.modules import synapse_paths
from lamplighter.modules.loader import ConfiguredModule, ModuleStyle, import_class, parse_config
from lamplighter.modules.presence_part import LoneCallback
from lamplighter.modules.synapse.errors import ConfigError as SynapseConfigError
from lamplighter.routing.containment import described

__all__ = ["Candidate", "CannotBeAsked", "candidate", "in_its_style", "why_not_started"]


class CannotBeAsked(Exception):
    """The module cannot be asked; `finding` says why."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message)
        self.finding = finding


@dataclass(frozen=True, slots=True)
class Candidate:
    """A module that can be imported and accepts its configuration."""

    entry: ConfiguredModule
    factory: Callable[..., object]
    #: The files of its class and of the classes that it is made of.
    files: Sequence[str]
    #: Methods by which it has registered callbacks of other kinds, which stay in Synapse.
    elsewhere: Sequence[str] = ()

    @property
    def classes(self) -> Sequence[str]:
        """The qualified names of its class and of the classes that it is made of."""
        return [it.__qualname__ for it in getattr(self.factory, "__mro__", (self.factory,))]


def candidate(subject: Subject) -> Candidate:
    """Import the class; raise `ConfigError`, or `CannotBeAsked` if `parse_config` fails.

    A `ConfigError` of `parse_config` is no fault of the module: the configuration is wrong.
    """
    synapse_paths.install()
    factory = import_class(subject.entry)
    found = Candidate(subject.entry, factory, _files(factory))
    try:
        parse_config(subject.entry, factory)
    except ConfigError as refusal:
        cause = refusal.__cause__
        if cause is None or isinstance(cause, SynapseConfigError):
            raise
        raise CannotBeAsked(_why_not_parsed(found, cause)) from None
    except SystemExit as leaving:
        raise CannotBeAsked(_why_not_parsed(found, leaving)) from None
    return found


def _why_not_parsed(found: Candidate, cause: BaseException) -> Finding:
    details = (
        f"given: {found.entry.config or {}!r:.200}",
        "what it does not take, it refuses by synapse.module_api.errors.ConfigError",
    )
    message = f"parse_config raises {described(cause)}"
    place = place_of_error(cause, *found.files)
    return Finding(Kind.PARSE_CONFIG_FAILS, message, None, place, details)


async def in_its_style(found: Candidate, subject: Subject, world: World) -> Candidate:
    """Return the module in the style in which it registers callbacks, else raise `CannotBeAsked`.

    If the configuration does not tell the style, both styles are tried.
    """
    methods = [it for it in Callback if callable(getattr(found.factory, it, None))]
    older = replace(found, entry=replace(found.entry, style=ModuleStyle.ROUTER))
    may_be_older = bool(methods) and not subject.style_is_known
    try:
        registered = await _registered(found, world)
    except CannotBeAsked:  # an older router may take its arguments by name only
        try:
            registered = await _registered(older, world) if may_be_older else None
        except CannotBeAsked:
            registered = None
        if registered is None:
            raise
    if registered is None and may_be_older:
        registered = await _registered(older, world)
    if registered is not None:
        return registered
    details: tuple[str, ...] = ()
    if methods and subject.style_is_known:
        details = (
            f"it has {' and '.join(methods)}, as older routers have: "
            "those are configured as presence.presence_router",
        )
    raise CannotBeAsked(
        Finding(
            Kind.NOTHING_REGISTERED,
            "the module does not call api.register_presence_router_callbacks",
            None,
            place_of(found.factory),
            details,
        )
    )


async def _registered(found: Candidate, world: World) -> Candidate | None:
    """Return the candidate with its other registrations; None if it is no presence router."""
    try:
        async with simulated(found.entry, world) as simulation:
            elsewhere = simulation.module.api.registered_elsewhere
            return replace(found, elsewhere=elsewhere) if simulation.registrations else None
    except NotOfPresence as refusal:
        where = place_of(found.factory)
        raise CannotBeAsked(Finding(Kind.NOTHING_REGISTERED, str(refusal), None, where)) from None
    except ConfigError:  # an older router, loaded as one of the newer style
        return None
    except ModuleError as failure:
        raise CannotBeAsked(why_not_started(found, failure)) from None


def why_not_started(found: Candidate, failure: ModuleError) -> Finding:
    """Return the finding for a module that cannot be started."""
    cause = failure.__cause__ or failure
    place = place_of_error(cause, *found.files) or place_of(found.factory)
    if isinstance(cause, LoneCallback):
        return Finding(Kind.ONE_CALLBACK, str(cause), None, place)
    details = () if found.entry.config else ("it was given no configuration (--config)",)
    return Finding(
        Kind.CONSTRUCTOR_FAILS, f"the constructor raises {described(cause)}", None, place, details
    )


def _files(factory: Callable[..., object]) -> Sequence[str]:
    bases = inspect.getmro(factory) if inspect.isclass(factory) else [factory]
    files = []
    for base in bases:
        try:
            files.append(inspect.getfile(base))
        except (OSError, TypeError):  # a builtin
            continue
    return list(dict.fromkeys(files))
