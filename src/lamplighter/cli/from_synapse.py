"""`lamplighter generate-config --from-synapse`: the parts of a homeserver.yaml that move.

A comment at each key says where its value comes from. A value that cannot be used here is left out,
and a comment says so. No secret of Synapse is read, and the operator fills in the secrets of
modules.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from lamplighter.cli.import_path import import_from_here
from lamplighter.config import parse_config_text, read_yaml_file
from lamplighter.config.explain import is_secret
from lamplighter.errors import ConfigError, InvalidId
from lamplighter.ids import parse_server_name
from lamplighter.modules.of_presence import look_at

__all__ = ["config_from_synapse", "read_homeserver"]

#: The placeholder for a secret in a module's configuration.
_FILL_IN: Final = "FILL IN: this is not copied from homeserver.yaml"
_HEAD: Final = """\
# Lamplighter's configuration, from {source}.
# `lamplighter check-config` checks it; docs/configuration.md explains every key.
# Accounts, rooms and messages stay in Synapse's database: none is moved.
"""


@dataclass(frozen=True, slots=True)
class _Part:
    """A piece of the configuration, and the comment above it."""

    comment: str
    content: Mapping[str, Any]


def read_homeserver(path: Path) -> Mapping[str, Any]:
    """Return the content of a homeserver.yaml, and of conf.d beside it, as on Debian.

    Raises `ConfigError`.
    """
    read: dict[str, Any] = {}
    for file in (path, *sorted((path.parent / "conf.d").glob("*.yaml"))):
        content = read_yaml_file(file)
        if content is not None and not isinstance(content, dict):
            raise ConfigError(f"{file}: not a configuration of Synapse: no mapping")
        read |= content or {}
    return read


def config_from_synapse(path: Path, server_name: str | None = None) -> str:
    """Return a configuration with all that moves of the homeserver.yaml at *path*.

    *server_name* replaces the one in the file. Raises `ConfigError`.
    """
    import_from_here()
    theirs = read_homeserver(path)
    name = server_name or theirs.get("server_name")
    if name is None:
        raise ConfigError(f"{path}: server_name: missing; give it by --server-name")
    try:
        parse_server_name(name if isinstance(name, str) else "")
    except InvalidId as error:
        raise ConfigError(f"{path}: server_name: {error}") from None
    given = "--server-name" if server_name else "server_name"
    text = [_HEAD.format(source=path), _written(_Part(f"From {given}.", {"server_name": name}))]
    text.append(_written(_Part("Not of Synapse: a directory of our own.", {"data_dir": "./data"})))
    for make in _PARTS:
        text += [_usable(part) for part in make(theirs)]
    return "\n".join(text)


def _usable(part: _Part) -> str:
    """Return the part as text, or as a comment that says why the value cannot be used."""
    try:
        parse_config_text("server_name: x\n" + _yaml(part.content), Path("homeserver.yaml"))
    except ConfigError as error:
        problem = str(error).removeprefix("homeserver.yaml: ").replace("\n", " ")
        return _comment(f"{part.comment}\nNot copied, since it cannot be used here: {problem}")
    return _written(part)


def _written(part: _Part) -> str:
    return _comment(part.comment) + _yaml(part.content)


def _comment(text: str) -> str:
    return "".join(f"# {line}\n" for line in text.splitlines())


def _yaml(content: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> Sequence[Any]:
    return value if isinstance(value, list) else []


def _listen(theirs: Mapping[str, Any]) -> Iterator[_Part]:
    """Yield the addresses of the first listener that serves clients without TLS."""
    for listener in map(_mapping, _list(theirs.get("listeners"))):
        names = {
            name
            for it in _list(listener.get("resources"))
            for name in _list(_mapping(it).get("names"))
        }
        if "client" not in names or listener.get("tls") or "port" not in listener:
            continue
        hosts = _list(listener.get("bind_addresses")) or [listener.get("bind_address") or "::"]
        if "::" in hosts:  # which takes IPv4 as well
            hosts = [it for it in hosts if it != "0.0.0.0"]
        addresses = [f"[{it}]" if ":" in str(it) else str(it) for it in hosts]
        comment = (
            "From listeners: the one for clients. While Synapse runs on this machine, it has\n"
            "these addresses: give others then."
        )
        yield _Part(comment, {"listen": [f"{it}:{listener['port']}" for it in addresses]})
        return


def _public_baseurl(theirs: Mapping[str, Any]) -> Iterator[_Part]:
    if "public_baseurl" in theirs:
        yield _Part("From public_baseurl.", {"public_baseurl": theirs["public_baseurl"]})


def _presence(theirs: Mapping[str, Any]) -> Iterator[_Part]:
    section = dict(_mapping(theirs.get("presence")))
    if "enabled" not in section and "use_presence" in theirs:
        section["enabled"] = theirs["use_presence"]
    router = section.get("presence_router")
    if router:
        section["presence_router"] = _module(_mapping(router))
    known = {
        key: value
        for key, value in section.items()
        if value is not None and _is_usable({"presence": {key: value}})
    }
    if known:
        yield _Part("From presence.", {"presence": known})


def _is_usable(content: Mapping[str, Any]) -> bool:
    try:
        parse_config_text("server_name: x\n" + _yaml(content), Path("homeserver.yaml"))
    except ConfigError:
        return False
    return True


def _routing(theirs: Mapping[str, Any]) -> Iterator[_Part]:
    rooms = theirs.get("exclude_rooms_from_presence")
    if rooms:
        yield _Part("From exclude_rooms_from_presence.", {"routing": {"exclude_rooms": rooms}})


def _rate_limits(theirs: Mapping[str, Any]) -> Iterator[_Part]:
    limits = {
        "login": ("rc_login", _mapping(_mapping(theirs.get("rc_login")).get("address"))),
        "registration": ("rc_registration", _mapping(theirs.get("rc_registration"))),
        "presence": (
            "rc_presence",
            _mapping(_mapping(theirs.get("rc_presence")).get("per_user")),
        ),
    }
    rates = {
        key: {"per_second": rate["per_second"], "burst": rate["burst_count"]}
        for key, (_, rate) in limits.items()
        if "per_second" in rate and "burst_count" in rate
    }
    if rates:
        names = ", ".join(limits[key][0] for key in rates)
        yield _Part(f"From {names}.", {"rate_limits": rates})


def _federation(theirs: Mapping[str, Any]) -> Iterator[_Part]:
    taken = {
        ours: theirs[key]
        for key, ours in _FEDERATION.items()
        if theirs.get(key) not in (None, [])
        and _is_usable({"federation": {ours: theirs[key], **_PAIRED.get(ours, {})}})
    }
    # One of the two alone is an error.
    if ("tls_certificate" in taken) != ("tls_private_key" in taken):
        taken = {key: value for key, value in taken.items() if not key.startswith("tls_")}
    name = theirs.get("server_name")
    if theirs.get("serve_server_wellknown") is True and isinstance(name, str):
        taken["well_known_server"] = f"{name.partition(':')[0]}:443"
    if taken:
        sources = ", ".join(key for key, ours in _FEDERATION.items() if ours in taken)
        comment = (
            f"From {sources or 'serve_server_wellknown'}. Not enabled: other servers find one\n"
            "server by a name, and that is Synapse so far."
        )
        yield _Part(comment, {"federation": {"enabled": False, **taken}})


def _modules(theirs: Mapping[str, Any]) -> Iterator[_Part]:
    entries = [_mapping(it) for it in _list(theirs.get("modules"))]
    here, missing, others = [], [], []
    for entry in entries:
        path = entry.get("module")
        if not isinstance(path, str):
            continue
        evidence = look_at(path)
        if not evidence.is_installed and not evidence.is_of_another_kind:
            missing.append(path)
            continue
        here.append(_module(entry))
        if evidence.is_of_another_server:
            others.append(path)
    if others:
        comment = f"Not of presence, and so left out here: {', '.join(others)}."
        yield _Part(comment, {"modules_not_of_presence": "skip"})
    comment = "From modules."
    if missing:
        comment += (
            f"\nNot installed here, and so not copied: {', '.join(missing)}."
            "\nInstall their packages beside Lamplighter, if they are of presence, and add them."
        )
    if entries:
        yield _Part(comment, {"modules": here})


def _module(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    config = entry.get("config")
    written = {"module": entry.get("module")}
    return written | ({"config": _without_secrets(config)} if config else {})


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: _FILL_IN if is_secret(key) and it else _without_secrets(it)
            for key, it in value.items()
        }
    return [_without_secrets(it) for it in value] if isinstance(value, list) else value


_FEDERATION: Final = {
    "signing_key_path": "signing_key",
    "tls_certificate_path": "tls_certificate",
    "tls_private_key_path": "tls_private_key",
    "federation_domain_whitelist": "allow_servers",
    "federation_verify_certificates": "verify_certificates",
    "federation_custom_ca_list": "extra_ca_files",
    "ip_range_whitelist": "allow_addresses",
}
_PAIRED: Final[Mapping[str, Mapping[str, Any]]] = {
    "tls_certificate": {"tls_private_key": "key.pem"},
    "tls_private_key": {"tls_certificate": "cert.pem"},
}
_PARTS: Final[tuple[Callable[[Mapping[str, Any]], Iterator[_Part]], ...]] = (
    _listen,
    _public_baseurl,
    _presence,
    _routing,
    _rate_limits,
    _federation,
    _modules,
)
