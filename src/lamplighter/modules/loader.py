"""Loading modules: imported, configured, and instantiated in the order of the config.

`import_and_parse` is enough to check a configuration; `instantiate` runs the modules' own code.
"""

import asyncio
import copy
import importlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeAlias

from lamplighter import config as settings
from lamplighter.config.explain import is_secret, quoted
from lamplighter.errors import ConfigError, ModuleError, NotOfPresence
from lamplighter.modules import synapse_paths
from lamplighter.modules.acting import acting
from lamplighter.modules.api import ModuleApi
from lamplighter.modules.background import resolved
from lamplighter.modules.of_presence import Evidence, look_at
from lamplighter.modules.other_callbacks import kinds_of
from lamplighter.modules.presence_part import LoneCallback
from lamplighter.routing.containment import as_module

__all__ = [
    "ConfiguredModule",
    "LoadedModule",
    "ModuleStyle",
    "ParsedModule",
    "import_and_parse",
    "import_class",
    "instantiate",
    "module_entries",
    "module_names",
    "parse_config",
]


#: Gets a module of the configuration that is left out, and the reason.
Skipped: TypeAlias = "Callable[[ConfiguredModule, str], None]"

_NOT_INSTALLED: Final = (
    "nothing here tells whether it is of presence: install its package, "
    "or remove it here if it stays in Synapse"
)


def _nothing_is_left_out(module: object, why: str) -> None:
    """Ignore it."""


class ModuleStyle(StrEnum):
    """How a module is instantiated, and how it registers its callbacks."""

    #: From the list `modules:`: `Class(config, api)`, which calls the API to register.
    CALLBACKS = "callbacks"
    #: From `presence.presence_router`: `Class(config=, module_api=)`, with two methods.
    ROUTER = "router"


@dataclass(frozen=True, slots=True)
class ConfiguredModule:
    """A module in the configuration."""

    #: The dotted path of its class.
    path: str
    config: Mapping[Any, Any] | None
    style: ModuleStyle
    #: Its place in the configuration, such as `modules[0]`.
    where: str
    #: Whether the server asks it without using the answers.
    shadow: bool = False
    #: Whether it is left out if it is no presence module; otherwise that is an error.
    may_stay_in_synapse: bool = False
    #: The class itself, if a program has it; then nothing is imported.
    factory: Callable[..., object] | None = None


@dataclass(frozen=True, slots=True)
class ParsedModule:
    """A module that is imported, with its configuration as its `parse_config` returns it."""

    #: The class's name; a longer name if another module has the same.
    name: str
    entry: ConfiguredModule
    factory: Callable[..., object]
    config: object
    #: What its source says about its kind.
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class LoadedModule:
    """A module that runs."""

    name: str
    entry: ConfiguredModule
    instance: object
    api: ModuleApi


def module_entries(config: settings.Config) -> list[ConfiguredModule]:
    """Return the modules of a configuration in the order of loading."""
    entries = [
        ConfiguredModule(
            item.module,
            item.config,
            ModuleStyle.CALLBACKS,
            f"modules[{index}]",
            item.shadow,
            may_stay_in_synapse=config.modules_not_of_presence == "skip",
        )
        for index, item in enumerate(config.modules)
    ]
    router = config.presence.presence_router
    if router is not None:
        where = "presence.presence_router"
        style = ModuleStyle.ROUTER
        entries.append(ConfiguredModule(router.module, router.config, style, where, router.shadow))
    return entries


def import_and_parse(
    entries: Sequence[ConfiguredModule], left_out: Skipped = _nothing_is_left_out
) -> list[ParsedModule]:
    """Import every class and have it parse its configuration; raise `ConfigError`.

    *left_out* gets each module that is no presence module and may stay in Synapse.
    """
    synapse_paths.install()
    parsed: list[ParsedModule] = []
    for name, entry in zip(module_names(entries), entries, strict=True):
        try:
            parsed.append(_parsed(name, entry))
        except NotOfPresence as refusal:
            if not entry.may_stay_in_synapse:
                raise
            left_out(entry, str(refusal))
    return parsed


def instantiate(
    parsed: Iterable[ParsedModule],
    make_api: Callable[[ParsedModule], ModuleApi],
    discard: Callable[[ParsedModule, str], None] = _nothing_is_left_out,
) -> list[LoadedModule]:
    """Instantiate the modules in order; raise `ModuleError` for the first that fails.

    Only an instance may show that its module is no presence module. If that module may stay in
    Synapse, its own tasks are cancelled, and *discard* undoes its calls of the API.
    """
    loaded: list[LoadedModule] = []
    for module in parsed:
        others = _tasks()
        try:
            loaded.append(_instantiate(module, make_api(module)))
        except NotOfPresence as refusal:
            if not module.entry.may_stay_in_synapse:
                raise
            for task in _tasks() - others:  # nothing else has run meanwhile
                task.cancel()
            discard(module, str(refusal))
    return loaded


def _tasks() -> "AbstractSet[asyncio.Task[Any]]":
    """Return the tasks of the running event loop; none if no loop runs."""
    try:
        return asyncio.all_tasks()
    except RuntimeError:
        return frozenset()


def _parsed(name: str, entry: ConfiguredModule) -> ParsedModule:
    # The configuration says of an older router that it is a presence router.
    is_router = entry.style is ModuleStyle.ROUTER
    evidence = Evidence() if is_router or entry.factory is not None else look_at(entry.path)
    if evidence.is_of_another_kind:
        raise NotOfPresence(_not_of_presence(entry, str(evidence)))
    try:
        factory = import_class(entry)
        return ParsedModule(name, entry, factory, parse_config(entry, factory), evidence)
    except ConfigError as error:
        if evidence.is_of_another_server:
            raise NotOfPresence(_not_of_presence(entry, str(evidence))) from error
        if not evidence.is_installed and "." in entry.path:
            raise ConfigError(f"{error}; {_NOT_INSTALLED}") from error.__cause__
        raise


def _not_of_presence(entry: ConfiguredModule, evidence: str) -> str:
    return (
        f"{entry.where}.module: {entry.path!r} is not of presence ({evidence}): it stays in "
        "Synapse. Remove it here, or set modules_not_of_presence: skip"
    )


def module_names(entries: Sequence[ConfiguredModule]) -> list[str]:
    """Return what people call the modules: the class's name, longer where that is ambiguous."""
    classes = Counter(_class_name(entry) for entry in entries)
    paths = Counter(entry.path for entry in entries)
    seen: Counter[str] = Counter()
    names: list[str] = []
    for entry in entries:
        seen[entry.path] += 1
        if paths[entry.path] > 1:
            names.append(f"{_class_name(entry)}#{seen[entry.path]}")
        else:
            names.append(entry.path if classes[_class_name(entry)] > 1 else _class_name(entry))
    return names


def _class_name(entry: ConfiguredModule) -> str:
    return entry.path.rpartition(".")[2]


def import_class(entry: ConfiguredModule) -> Callable[..., object]:
    """Return the class of *entry*; raise `ConfigError` if it cannot be imported."""
    if entry.factory is not None:
        return entry.factory
    package, _, name = entry.path.rpartition(".")
    fault = f"{entry.where}.module: {entry.path!r}"
    if not package or not name:
        raise ConfigError(f"{fault} is not the dotted path of a class, such as my_package.MyRouter")
    try:
        found = getattr(importlib.import_module(package), name)
    except AttributeError as error:
        raise ConfigError(f"{fault} cannot be used: {_one_line(error)}") from error
    except Exception as error:
        raise ConfigError(f"{fault} cannot be imported: {_said(error)}") from error
    if not callable(found):
        raise ConfigError(f"{fault} is a {type(found).__name__}, not a class")
    factory: Callable[..., object] = found
    return factory


def parse_config(entry: ConfiguredModule, factory: Callable[..., object]) -> object:
    """Return the result of the module's `parse_config`; raise `ConfigError` if it raises.

    The module's exception is the cause of that error.
    """
    where = f"{entry.where}.config"
    if entry.config is not None and not isinstance(entry.config, Mapping):
        raise ConfigError(f"{where}: {quoted(entry.config)} is not a mapping")
    # A copy: the module may change its configuration, but not the server's.
    given = copy.deepcopy(dict(entry.config or {}))
    parse = getattr(factory, "parse_config", None)
    if parse is None:
        return given
    try:
        parsed: object = parse(given)
    except Exception as error:
        # A `ConfigError` has a `path`, and an error of a JSON schema an `absolute_path`.
        attribute = "path" if _is_config_error(error) else "absolute_path"
        steps = getattr(error, attribute, None) or ()
        path = ".".join([where, *([steps] if isinstance(steps, str) else map(str, steps))])
        if any(map(is_secret, path.split("."))):
            raise ConfigError(
                f"{path}: the module refuses the value, which is not shown"
            ) from error
        raise ConfigError(f"{path}: {_said(error)}") from error
    return parsed


def _instantiate(module: ParsedModule, api: ModuleApi) -> LoadedModule:
    entry = module.entry
    try:
        with acting(api), as_module(module.name):
            if entry.style is ModuleStyle.ROUTER:
                instance = module.factory(config=module.config, module_api=api)
                if not api.is_presence_router:  # else it has registered callbacks itself
                    api.register_presence_router_callbacks(
                        get_users_for_states=_method(instance, "get_users_for_states"),
                        get_interested_users=_method(instance, "get_interested_users"),
                    )
            else:
                instance = module.factory(module.config, api)
    except Exception as error:
        if module.evidence.is_of_another_server:
            raise NotOfPresence(_not_of_presence(entry, str(module.evidence))) from error
        raise ModuleError(
            f"module {module.name} ({entry.where}.module: {entry.path!r}) cannot be started: "
            f"{_said(error)}"
        ) from error
    if entry.style is not ModuleStyle.ROUTER and not api.is_of_presence:
        _check_kind(module, instance, api)
    return LoadedModule(module.name, entry, instance, api)


def _check_kind(module: ParsedModule, instance: object, api: ModuleApi) -> None:
    """Raise an error for a module of `modules:` that has used nothing of presence.

    `NotOfPresence` if its source names nothing of presence either: a module may set presence later.
    `ConfigError` if it is an older router.
    """
    entry, named = module.entry, module.evidence.presence
    if not named and api.registered_elsewhere:
        seen = f"it only registers callbacks for {kinds_of(api.registered_elsewhere)}"
        raise NotOfPresence(_not_of_presence(entry, seen))
    if not named and module.evidence.is_readable:
        raise NotOfPresence(_not_of_presence(entry, str(module.evidence)))
    methods = ("get_users_for_states", "get_interested_users")
    calls = "register_presence_router_callbacks" in named
    if not calls and all(hasattr(instance, it) for it in methods):
        raise ConfigError(
            f"{entry.where}.module: {entry.path!r} has the methods of an older router, and "
            "registers nothing: name it at presence.presence_router instead"
        )


def _method(instance: object, name: str) -> Any:
    """Return a method, which may be async, as an async function; None if there is none."""
    method = getattr(instance, name, None)
    if method is None:
        return None

    async def call(argument: object) -> object:
        result: object = await resolved(method(argument))
        return result

    call.__qualname__ = f"{type(instance).__qualname__}.{name}"
    return call


def _said(error: Exception) -> str:
    """Return an exception's message in one line, with its type if the message is not for people."""
    message = getattr(error, "msg" if _is_config_error(error) else "message", None)
    if isinstance(message, str):
        return " ".join(message.split())
    if isinstance(error, ImportError | ConfigError | ModuleError | LoneCallback):
        return _one_line(error)
    return f"{type(error).__name__}: {_one_line(error)}"


def _is_config_error(error: Exception) -> bool:
    """Tell whether *error* is a `synapse.config.ConfigError`, ours or of a real Synapse."""
    return any(
        kind.__name__ == "ConfigError" and kind is not ConfigError for kind in type(error).__mro__
    )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
