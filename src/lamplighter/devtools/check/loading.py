"""From a configuration, or a class's path, to a module that can be asked, or to a finding."""

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from lamplighter.config import read_yaml_file
from lamplighter.devtools.check.complement import RoomRules
from lamplighter.devtools.check.findings import Callback, Finding, Kind
from lamplighter.devtools.check.simulation import simulated
from lamplighter.devtools.check.words import place_of, place_of_error
from lamplighter.devtools.check.worlds import World
from lamplighter.errors import ConfigError, InvalidId, ModuleError, NotOfPresence
from lamplighter.ids import ServerName, parse_server_name
from lamplighter.modules import synapse_paths
from lamplighter.modules.loader import ConfiguredModule, ModuleStyle, import_class, parse_config
from lamplighter.modules.presence_part import LoneCallback
from lamplighter.modules.synapse.errors import ConfigError as SynapseConfigError
from lamplighter.routing.containment import described

__all__ = [
    "Candidate",
    "CannotBeAsked",
    "Subject",
    "candidate",
    "in_its_style",
    "subject_in_file",
    "subjects_in_file",
    "why_not_started",
]

_WHERE: Final = "modules[0]"


@dataclass(frozen=True, slots=True)
class Subject:
    """A module to check."""

    entry: ConfiguredModule
    #: Whether the configuration tells the module's style; otherwise the check tries both.
    style_is_known: bool = False
    #: None if the names in the module's data decide.
    server_name: ServerName | None = None
    rooms: RoomRules = field(default_factory=RoomRules)
    #: A file with people, rooms and hours for the questions.
    people: Path | None = None

    @classmethod
    def of(cls, path: str, config: Mapping[Any, Any] | None = None) -> "Subject":
        """Return the module whose class has the dotted *path*, with a configuration of its own."""
        return cls(ConfiguredModule(path, config, ModuleStyle.CALLBACKS, _WHERE))


def subject_in_file(path: str, file: Path) -> Subject:
    """Return the module as *file* configures it; raise `ConfigError`.

    The file is either a whole configuration, Lamplighter's or Synapse's, that has an entry for the
    module; or it holds only the module's own mapping.
    """
    content = _content(file)
    if not content.keys() & {"server_name", "modules", "presence"}:
        return Subject.of(path, content)
    found = [it for it in _subjects(content, file) if it.entry.path == path]
    if len(found) != 1:
        how_often = "does not load" if not found else f"loads {len(found)} times"
        raise ConfigError(
            f"{file}: {how_often} {path}; give a file with that module's own configuration"
        )
    return found[0]


def subjects_in_file(file: Path, paths: Collection[str] = ()) -> Sequence[Subject]:
    """Return the modules of a server's whole configuration, in its order: those of *paths*, or all.

    Raises `ConfigError` where a module is not there, or the file has no modules.
    """
    found = _subjects(_content(file), file)
    missing = set(paths).difference(it.entry.path for it in found)
    if missing:
        raise ConfigError(f"{file}: does not load {', '.join(sorted(missing))}")
    if not found:
        raise ConfigError(f"{file}: loads no modules; name the module that is to be checked")
    return [it for it in found if not paths or it.entry.path in paths]


def _content(file: Path) -> Mapping[Any, Any]:
    content = read_yaml_file(file)
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{file}: not a mapping")
    return content


def _subjects(content: Mapping[Any, Any], file: Path) -> Sequence[Subject]:
    server_name, rooms = _server_name(content, file), _rooms(content)
    return [Subject(it, True, server_name, rooms) for it in _entries(content)]


def _entries(content: Mapping[Any, Any]) -> Iterator[ConfiguredModule]:
    modules = content.get("modules")
    for place, item in enumerate(modules if isinstance(modules, list) else ()):
        yield from _entry(item, ModuleStyle.CALLBACKS, f"modules[{place}]")
    presence = content.get("presence")
    router = presence.get("presence_router") if isinstance(presence, dict) else None
    yield from _entry(router, ModuleStyle.ROUTER, "presence.presence_router")


def _entry(item: object, style: ModuleStyle, where: str) -> Iterator[ConfiguredModule]:
    if isinstance(item, dict) and isinstance(item.get("module"), str):
        shadow = item.get("shadow") is True
        yield ConfiguredModule(item["module"], item.get("config"), style, where, shadow)


def _server_name(content: Mapping[Any, Any], file: Path) -> ServerName | None:
    if "server_name" not in content:
        return None
    try:
        return parse_server_name(str(content["server_name"]))
    except InvalidId as error:
        raise ConfigError(f"{file}: server_name: {error}") from None


def _rooms(content: Mapping[Any, Any]) -> RoomRules:
    """Return which rooms count; Synapse knows no such keys, and counts all."""
    rooms = RoomRules()
    routing = content.get("routing")
    if isinstance(routing, dict):
        rooms = replace(rooms, shared_rooms=routing.get("shared_rooms") is not False)
        excluded = routing.get("exclude_rooms")
        if isinstance(excluded, list):
            rooms = replace(rooms, excluded=frozenset(map(str, excluded)))
        most = 2 if routing.get("rooms") == "direct" else routing.get("largest_room")
        if isinstance(most, int):
            rooms = replace(rooms, most_members=most)
    return rooms


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
