"""The keys in which the nodes of a server may not differ: who sees what, and what is written.

Any node may own a user, and any node may answer a client. If one of these keys differed, it would
depend on the node how a user is, who is told, or whom the server has an account for.
"""

import hashlib
from collections.abc import Mapping
from functools import reduce
from typing import Final

from lamplighter.config.differences import changed_keys
from lamplighter.config.model import Config, HomeserverSettings

__all__ = ["alike_keys", "items_of_lists"]

#: Keys, and sections, that each node may have for itself. The modules are compared elsewhere.
_OWN: Final = frozenset(
    {
        "listen",
        "data_dir",
        "database",
        "cluster",
        "trusted_proxies",
        "public_baseurl",
        "presence.presence_router",
        "modules",
        "modules_not_of_presence",
        "routing.record",
        "routing.record_size",
        "routing.record_files",
        "rate_limits",
        "federation.listen",
        "federation.tls_certificate",
        "federation.tls_private_key",
        "federation.signing_key",
        "federation.verify_certificates",
        "federation.extra_ca_files",
        "federation.allow_addresses",
        "federation.notary",
        "federation.well_known_server",
        "admin",
        "log",
    }
)
#: A longer value is told by its digest: all nodes tell each other theirs.
_LONGEST: Final = 60


def alike_keys(config: Config) -> dict[str, str]:
    """Return the dotted keys that must be alike and are not at their defaults, with their values.

    Of a list, only the items count, not their order. A key at its default is left out, so that a
    node does not differ from one of a version that lacks the key.
    """
    return {key: _text(value) for key, value in _changed(config).items()}


def items_of_lists(config: Config) -> dict[str, tuple[str, ...]]:
    """Return, by its text in `alike_keys`, which may be a digest, the items of each list."""
    return {_text(it): _items(it) for it in _changed(config).values() if isinstance(it, tuple)}


def _changed(config: Config) -> Mapping[str, object]:
    defaults = Config(server_name=config.server_name)
    return {
        key: reduce(getattr, key.split("."), config)
        for key in changed_keys(defaults, config)
        if key not in _OWN and key.partition(".")[0] not in _OWN
    }


def _items(value: tuple[object, ...]) -> tuple[str, ...]:
    return tuple(sorted({*map(str, value)}))


def _text(value: object) -> str:
    match value:
        case bool():
            text = str(value).lower()
        case tuple():
            text = f"[{', '.join(_items(value))}]"
        case HomeserverSettings():
            text = "given"  # each node may have its own way there
        case _:
            text = str(value)
    if len(text) <= _LONGEST:
        return text
    return f"a value with the digest {hashlib.sha256(text.encode()).hexdigest()[:16]}"
