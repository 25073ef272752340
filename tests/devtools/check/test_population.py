"""The people of the simulated worlds."""

from typing import Any

import pytest

from lamplighter.devtools.check.population import (
    Names,
    Population,
    names_in,
    names_in_source,
    populate,
)
from lamplighter.ids import RoomAlias, RoomId, ServerName, UserId
from tests.compat.modules.routers import MoreRoutes
from tests.devtools.check.modules.faulty import ByInvitation
from tests.devtools.check.modules.good import Partners

A, B = UserId("@a:one.org"), UserId("@b:one.org")


@pytest.mark.parametrize(
    ("config", "users", "rooms", "servers", "localparts"),
    [
        ({"shows": {A: [B, 7, None]}}, [A, B], [], [], []),
        ({"room": "!r:one.org", "alias": "#r:one.org"}, [], ["!r:one.org", "#r:one.org"], [], []),
        ({"a": "two.org:8448", "b": ":three.org"}, [], [], ["two.org:8448", "three.org"], []),
        ({"event": "m.room.member", "text": "see @a:one.org", "number": 8}, [], [], [], []),
        ({"services": ["pay", "Pay"]}, [], [], [], ["pay"]),
        (None, [], [], [], []),
    ],
)
def test_names_in_a_configuration(
    config: Any, users: list[str], rooms: list[str], servers: list[str], localparts: list[str]
) -> None:
    """Whole strings in keys and values, at any depth, are names."""
    found = names_in(config)
    assert (found.users, [*found.rooms, *found.aliases]) == (users, rooms)
    assert (found.servers, found.localparts) == (servers, localparts)


def test_names_in_the_source() -> None:
    """Strings in the file of the class, and in the files of its bases, count."""
    assert "@bot:partner.example.net" in names_in_source(Partners).users
    names = names_in_source(ByInvitation)
    assert {"@alice:example.com", "@bob:example.com", "@eve:elsewhere.com"} <= set(names.users)
    assert list(names.rooms) == ["!staff:example.com"]
    assert names_in_source(MoreRoutes) == names_in_source(len) == Names([], [], [], [])


def test_everybody() -> None:
    """The server is that of most users; there are unnamed people, namesakes, and other servers."""
    names = Names([A, B, UserId("@c:two.org")], servers=[ServerName("three.org")])
    people = populate(names)
    assert people.server_name == "one.org"
    assert people.users == [
        "@a:one.org",
        "@b:one.org",
        "@c:two.org",
        "@alice:one.org",
        "@bob:one.org",
        "@charlie:one.org",
        "@rosa:two.org",
        "@sven:two.org",
        "@rosa:three.org",
        "@sven:three.org",
        "@rosa:elsewhere.example",
        "@sven:elsewhere.example",
        "@a:two.org",
        "@b:two.org",
        "@c:one.org",
    ]


def test_a_server_by_name() -> None:
    """A server name that is given counts; without any, it is example.org."""
    assert populate(Names([A]), ServerName("two.org")).server_name == "two.org"
    assert populate(Names()).server_name == "example.org"


def test_aliases_have_rooms() -> None:
    """For each alias there is a room, beside those that are known by their IDs."""
    people = populate(Names([A], [RoomId("!r:one.org")], [RoomAlias("#hall:one.org")]))
    assert (people.rooms, people.aliases) == (["!named-0:one.org", "!r:one.org"], ["#hall:one.org"])


def test_those_whom_answers_name() -> None:
    """Named users join the population in a fixed order, up to a limit."""
    people = Population(ServerName("one.org"), [A], [B])
    found = {UserId(f"@u{number}:one.org") for number in range(100)}
    more = people.with_users({*found, A, B})
    assert more.named[:3] == ["@a:one.org", "@u0:one.org", "@u10:one.org"]
    assert len(more.named) == 60
    assert people.with_users([A, B]) == people
