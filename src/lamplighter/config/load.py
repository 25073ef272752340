"""Read a YAML file as a `Config`, or raise a `ConfigError` of one line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from lamplighter.config.explain import Refused, quoted, refusal
from lamplighter.config.model import Config, RateLimits
from lamplighter.config.relations import check_relations
from lamplighter.config.synapse_keys import check_is_ours
from lamplighter.config.values import (
    Address,
    BusUrl,
    DatabaseUrl,
    Duration,
    HomeserverUrl,
    Network,
    Size,
    parse_address,
    parse_bus_url,
    parse_database_url,
    parse_duration,
    parse_homeserver_url,
    parse_network,
    parse_size,
)
from lamplighter.errors import ConfigError

__all__ = ["load_config", "parse_config_text", "read_yaml_file"]

#: Sections in which a key without a value counts as absent.
_SECTIONS: Final = ("presence", "routing", "rate_limits", "federation", "admin", "log")
#: The beginnings of YAML errors that quote a part of the file, and the texts that replace them.
_QUOTING: Final = {
    "found undefined alias": "* begins an unknown alias; put the value in quotes",
    "could not determine a constructor": "! begins an unknown type; put the value in quotes",
    "found duplicate anchor": "& names an anchor that is there twice; put the value in quotes",
}


def load_config(path: Path) -> Config:
    """Return the configuration in the file at *path*. Raises `ConfigError`."""
    return parse_config_text(_read_text(path), path)


def read_yaml_file(path: Path) -> object:
    """Return the YAML value in the file at *path*. Raises `ConfigError`."""
    try:
        return _read_yaml(_read_text(path))
    except Refused as refused:
        raise ConfigError(f"{path}: {refused}") from None


def parse_config_text(text: str, where: Path) -> Config:
    """Return *text* as a configuration. Raises `ConfigError` of one line.

    *where* is the file of *text*. Errors begin with its name, and relative paths with its folder.
    """
    try:
        return _config_from(_read_yaml(text), where.parent)
    except Refused as refused:
        raise ConfigError(f"{where}: {refused}") from None


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8 text") from None


class _Twice(yaml.constructor.ConstructorError):
    """A mapping has the same key twice."""


class _Loader(yaml.SafeLoader):
    """A loader that refuses a mapping with the same key twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: dict[str, yaml.ScalarNode] = {}
        for child, _ in node.value:
            if not isinstance(child, yaml.ScalarNode) or child.value == "<<":
                continue
            first = seen.setdefault(child.value, child)
            if first is not child:
                raise _Twice(
                    problem=f"the key {quoted(child.value)} is there twice, first in line "
                    f"{first.start_mark.line + 1}",
                    problem_mark=child.start_mark,
                )
        return super().construct_mapping(node, deep)


def _read_yaml(text: str) -> object:
    try:
        return yaml.load(text, _Loader)  # a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise Refused(place, f"not YAML: {_problem(error)}") from None
    except RecursionError:
        raise Refused("", "not YAML: nested too deeply") from None
    except yaml.YAMLError as error:
        raise Refused("", f"not YAML: {str(error).splitlines()[0]}") from None
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        # The type of a value (such as !!int, or a date) does not allow it. The value is not quoted.
        problem = str(error).partition(":")[0] if isinstance(error, ValueError) else "wrong type"
        raise Refused("", f"not YAML: {problem}") from None


def _problem(error: yaml.MarkedYAMLError) -> str:
    """Return the problem without text of the file, which may be a password without quotes."""
    problem = error.problem or "it cannot be read"
    # Errors of these kinds quote a key, one character, or the kind of a token.
    if isinstance(error, _Twice | yaml.scanner.ScannerError | yaml.parser.ParserError):
        return problem
    for start, meaning in _QUOTING.items():
        if problem.startswith(start):
            return meaning
    return problem if "'" not in problem else "a value that cannot be read; put it in quotes"


def _config_from(raw: object, base: Path) -> Config:
    check_is_ours(raw)
    try:
        config = msgspec.convert(
            _normal(raw), Config, dec_hook=lambda kind, value: _READERS[kind](value)
        )
    except msgspec.ValidationError as error:
        raise refusal(error, raw) from None
    check_relations(config)

    def absolute(path: Path | None) -> Path | None:
        return path and base / path

    federation, routing, url = config.federation, config.routing, config.public_baseurl
    behind = config.homeserver
    return msgspec.structs.replace(
        config,
        data_dir=base / config.data_dir,
        federation=msgspec.structs.replace(
            federation,
            tls_certificate=absolute(federation.tls_certificate),
            tls_private_key=absolute(federation.tls_private_key),
            signing_key=absolute(federation.signing_key),
            extra_ca_files=tuple(base / path for path in federation.extra_ca_files),
        ),
        homeserver=behind
        and msgspec.structs.replace(
            behind,
            registration=base / behind.registration,
            signing_key=absolute(behind.signing_key),
        ),
        routing=msgspec.structs.replace(routing, record=absolute(routing.record)),
        public_baseurl=url and f"{url.rstrip('/')}/",
    )


def _parse_path(value: object) -> Path:
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError("not a path")
    return Path(value)


_READERS: Final[dict[type, Callable[[object], object]]] = {
    Address: parse_address,
    BusUrl: parse_bus_url,
    DatabaseUrl: parse_database_url,
    Duration: parse_duration,
    HomeserverUrl: parse_homeserver_url,
    Network: parse_network,
    Size: parse_size,
    Path: _parse_path,
}


def _normal(raw: object) -> object:
    """Return *raw* with all shorthand written out."""
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        return raw
    settings = _without_empty(raw)
    for name in _SECTIONS:
        if name in settings:
            settings[name] = _without_empty(settings[name])
    modules = settings.get("modules", [])
    if isinstance(modules, list):
        settings["modules"] = [_without_empty(entry) for entry in modules]
    if isinstance(settings.get("listen"), str):
        settings["listen"] = [settings["listen"]]
    if "rate_limits" in settings:
        settings["rate_limits"] = _rate_limits(settings["rate_limits"])
    if isinstance(settings.get("presence"), dict):
        settings["presence"] = _presence(settings["presence"])
    return settings


def _without_empty(section: Any) -> Any:
    if not isinstance(section, dict):
        return section
    return {key: value for key, value in section.items() if value is not None}


def _presence(section: dict[Any, Any]) -> dict[Any, Any]:
    """Return *section* with `enabled`, which is true, false or a third word, as text."""
    written = dict(section)
    if isinstance(section.get("enabled"), bool):
        written["enabled"] = str(section["enabled"]).lower()
    if "presence_router" in section:
        written["presence_router"] = _without_empty(section["presence_router"])
    return written


def _rate_limits(section: object) -> object:
    """Return *section* with None for `off`, which YAML 1.1 reads as false."""
    if _is_off(section):
        return dict.fromkeys(RateLimits.__struct_fields__)
    if not isinstance(section, dict):
        return section
    return {name: None if _is_off(rate) else rate for name, rate in section.items()}


def _is_off(value: object) -> bool:
    return value is False or value == "off"
