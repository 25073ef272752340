"""The people of the simulated worlds: all whom the module names, and a few others.

A module that shows bob to alice shows nothing in a world without alice and bob. So the worlds have
the user IDs, room IDs, aliases and server names in the module's configuration and source.
"""

import ast
import inspect
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from lamplighter.devtools.check.evidence import words_in
from lamplighter.errors import InvalidId
from lamplighter.ids import (
    RoomAlias,
    RoomId,
    ServerName,
    UserId,
    is_user_id,
    localpart_of,
    parse_localpart,
    parse_room_alias,
    parse_room_id,
    server_of,
)

__all__ = [
    "Names",
    "Population",
    "most_named",
    "names_in",
    "names_in_source",
    "names_in_text",
    "populate",
]

T = TypeVar("T")

#: The server's name, if no name tells it.
_SERVER_NAME: Final = ServerName("example.org")
_ELSEWHERE: Final = ServerName("elsewhere.example")
_LOCALPARTS: Final = ("alice", "bob", "charlie")
#: At most so many users are named; of a module with thousands of users, the check takes a sample.
_MOST_NAMED: Final = 60
_MOST_LOCALPARTS: Final = 10
_MOST_SERVERS: Final = 4
_MOST_ROOMS: Final = 4
#: A host name, or one with the colon before it, as `user_id.endswith(":example.org")` has it.
_HOST: Final = re.compile(r":?((?:[a-z0-9-]+\.)+[a-z][a-z0-9-]*(?::\d{1,5})?)")
#: Event types look like host names, and like localparts.
_HAS_LETTER: Final = re.compile(r"[a-z]")
_NO_NAME: Final = ("m.", "org.matrix.", "synapse.")


@dataclass(frozen=True, slots=True)
class Names:
    """Strings that are names of something, each kind in the order in which it was found."""

    users: Sequence[UserId] = ()
    rooms: Sequence[RoomId] = ()
    aliases: Sequence[RoomAlias] = ()
    servers: Sequence[ServerName] = ()
    #: Words that may be localparts of this server's users.
    localparts: Sequence[str] = ()

    def __add__(self, other: "Names") -> "Names":
        return Names(
            _distinct([*self.users, *other.users]),
            _distinct([*self.rooms, *other.rooms]),
            _distinct([*self.aliases, *other.aliases]),
            _distinct([*self.servers, *other.servers]),
            _distinct([*self.localparts, *other.localparts]),
        )


@dataclass(frozen=True, slots=True)
class Population:
    """Everybody there is, and the rooms that the module knows by name."""

    server_name: ServerName
    #: The users whom the module, its configuration or its answers name.
    named: Sequence[UserId]
    others: Sequence[UserId]
    rooms: Sequence[RoomId] = ()
    #: The alias of each of the first of *rooms*.
    aliases: Sequence[RoomAlias] = ()
    #: The times of day that the module knows, in minutes after midnight.
    hours: Sequence[int] = ()

    @property
    def users(self) -> Sequence[UserId]:
        """Everybody."""
        return [*self.named, *self.others]

    def joined(self, other: "Population") -> "Population":
        """Return the people of both populations, on this one's server."""
        named = _distinct([*self.named, *other.named])[:_MOST_NAMED]
        return replace(
            self,
            named=named,
            others=[it for it in _distinct([*self.others, *other.others]) if it not in named],
            rooms=_distinct([*self.rooms, *other.rooms])[:_MOST_ROOMS],
            hours=sorted({*self.hours, *other.hours}),
        )

    def with_users(self, found: Collection[UserId]) -> "Population":
        """Return the population with the users *found*, whom answers have named."""
        new = [it for it in found if it not in self.named and it not in self.others]
        room = max(0, _MOST_NAMED - len(self.named))
        return replace(self, named=[*self.named, *sorted(new)[:room]])


def populate(names: Names, server_name: ServerName | None = None) -> Population:
    """Return the population for a module that knows *names*.

    Without a *server_name*, it is the one that most of the named users have.
    """
    servers = Counter(server_of(it) for it in names.users)
    server = server_name or most_named(names) or _SERVER_NAME
    remote = _distinct([*servers, *names.servers, _ELSEWHERE])
    remote = [it for it in remote if it != server][:_MOST_SERVERS]
    local = [UserId(f"@{it}:{server}") for it in names.localparts]
    named = _distinct([*names.users, *local])[:_MOST_NAMED]
    others = [UserId(f"@{it}:{server}") for it in _LOCALPARTS]
    others += [UserId(f"@{name}:{it}") for it in remote for name in ("rosa", "sven")]
    others += _namesakes(named, [server, *remote])
    made = [RoomId(f"!named-{number}:{server}") for number in range(len(names.aliases))]
    rooms = _distinct([*made, *names.rooms])[:_MOST_ROOMS]
    return Population(
        server, named, [it for it in _distinct(others) if it not in named], rooms, names.aliases
    )


def most_named(names: Names) -> ServerName | None:
    """Return the server that most of the named users have; None where no user is named."""
    servers = Counter(server_of(it) for it in names.users)
    return servers.most_common(1)[0][0] if servers else None


def names_in(value: object) -> Names:
    """Return the names in a configuration: keys and values, however deep."""
    names = _names(list(_strings(value)))
    values = (it for it in _strings(value, with_keys=False) if not it.startswith(_NO_NAME))
    localparts = _distinct(it for it in values if _is(parse_localpart, it))
    return replace(names, localparts=localparts[:_MOST_LOCALPARTS])


def names_in_text(text: str) -> Names:
    """Return the names in the text of a file of any format."""
    words = words_in(text)
    names = _names(words)
    plain = (it for it in words if not it.startswith(_NO_NAME) and _HAS_LETTER.search(it))
    localparts = _distinct(it for it in plain if _is(parse_localpart, it))
    return replace(names, localparts=localparts[:_MOST_LOCALPARTS])


def names_in_source(factory: object) -> Names:
    """Return the names that stand as whole strings in the source of a class and of its bases."""
    bases = inspect.getmro(factory) if inspect.isclass(factory) else [factory]
    modules = _distinct([module for base in bases if (module := inspect.getmodule(base))])
    texts: list[str] = []
    for module in modules:
        if module.__name__ == "builtins" or module.__name__.startswith("lamplighter."):
            continue
        texts += _constants(module)
        values = {name: it for name, it in vars(module).items() if not name.startswith("__")}
        texts += _strings(values)
    return _names(texts)


def _constants(module: object) -> Iterator[str]:
    try:
        tree = ast.parse(inspect.getsource(module))  # type: ignore[arg-type] # it is a module
    except (OSError, TypeError, SyntaxError):  # there is no source
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _strings(value: object, *, with_keys: bool = True) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if with_keys:
                yield from _strings(key)
            yield from _strings(item, with_keys=with_keys)
    elif isinstance(value, list | tuple | set | frozenset):
        # The order of a set differs from process to process.
        items = sorted(value, key=repr) if isinstance(value, set | frozenset) else value
        for item in items:
            yield from _strings(item, with_keys=with_keys)


def _names(texts: Sequence[str]) -> Names:
    hosts = (_HOST.fullmatch(text) for text in texts if not text.startswith(_NO_NAME))
    return Names(
        _distinct(UserId(text) for text in texts if is_user_id(text)),
        _distinct(RoomId(text) for text in texts if text[:1] == "!" and _is(parse_room_id, text)),
        _distinct(
            RoomAlias(text) for text in texts if text[:1] == "#" and _is(parse_room_alias, text)
        ),
        _distinct(ServerName(host[1]) for host in hosts if host),
    )


def _namesakes(named: Sequence[UserId], servers: Sequence[ServerName]) -> Iterator[UserId]:
    """Yield people of other servers with the localparts of some who are named."""
    for user_id in named[:3]:
        for server in servers[:2]:
            yield UserId(f"@{localpart_of(user_id)}:{server}")


def _is(parse: Callable[[str], object], text: str) -> bool:
    try:
        parse(text)
    except InvalidId:
        return False
    return True


def _distinct(items: Iterable[T]) -> list[T]:
    return list(dict.fromkeys(items))
