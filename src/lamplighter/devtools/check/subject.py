"""The subject of a check: a module, its configuration, and the relevant settings of the server."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from lamplighter.config import read_yaml_file
from lamplighter.devtools.check.complement import RoomRules
from lamplighter.errors import ConfigError, InvalidId
from lamplighter.ids import ServerName, parse_server_name
from lamplighter.modules.loader import ConfiguredModule, ModuleStyle

__all__ = ["Subject", "subject_in_file", "subjects_in_file"]

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
    return rooms
