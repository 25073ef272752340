"""The admin API on who sees whom."""

import asyncio

from lamplighter.devtools.clock import FakeClock
from lamplighter.devtools.server import InMemoryServer
from tests.app.nodes import running_node
from tests.cluster.memory_log import LogServer, Way
from tests.web.admin.operator import ADMIN_CONFIG, Operator, by_room, online


async def test_a_yes(server: InMemoryServer, operator: Operator) -> None:
    """A yes has all reasons, and the state that the viewer sees."""
    alice, bob = [await server.register(name) for name in ("alice", "bob")]
    room = await alice.create_room(name="The hall")
    await bob.join(room)
    await bob.set_status("online", "hello")
    answer = await operator.get("/explain", viewer="@alice:demo", subject="@bob:demo")
    presence = online(server.clock.now(), "hello")
    assert answer == {
        "sight": {
            "viewer": "@alice:demo",
            "subject": "@bob:demo",
            "sees": True,
            "showing": "as it is",
            "reasons": [by_room(room, "The hall")],
            "seen": presence,
            "actual": presence,
            "modules": [],
            "altered_by": [],
            "overruled": [],
        },
        "hints": [],
    }


async def test_a_no(server: InMemoryServer, operator: Operator) -> None:
    """A no says what would have to change."""
    for name in ("alice", "bob"):
        await server.register(name)
    answer = await operator.get("/explain", viewer="@alice:demo", subject="@bob:demo")
    assert (answer["sight"]["sees"], answer["sight"]["seen"]) == (False, None)
    kinds = [hint["kind"] for hint in answer["hints"]]
    assert kinds == ["never_heard_of", "no_shared_room", "no_module"]


async def test_lists(server: InMemoryServer, operator: Operator) -> None:
    """The users whom a viewer sees, and the viewers of a user, are listed in pages."""
    alice, bob = [await server.register(name) for name in ("alice", "bob")]
    await server.register("carl")
    await server.room(alice, bob)
    sees = await operator.pages("/sees", viewer="@alice:demo", limit="1")
    seen_by = await operator.pages("/seen_by", subject="@bob:demo", limit="1")
    both = ["@alice:demo", "@bob:demo"]
    assert [it["subject"] for page in sees for it in page["sights"]] == both
    assert [it["viewer"] for page in seen_by for it in page["sights"]] == both


async def test_bad_questions(operator: Operator) -> None:
    """A missing or malformed user ID is refused by name."""
    for path, query, errcode, error in (
        ("/explain", {"viewer": "@a:demo"}, "M_MISSING_PARAM", "subject: missing"),
        ("/explain", {"subject": "@a:demo"}, "M_MISSING_PARAM", "viewer: missing"),
        ("/sees", {}, "M_MISSING_PARAM", "viewer: missing"),
        ("/seen_by", {"subject": "b b"}, "M_INVALID_PARAM", "'@b b:demo' is not a user ID"),
        ("/seen_by", {"subject": ""}, "M_INVALID_PARAM", "'' is not a user ID"),
    ):
        response = await operator.request("GET", path, query)
        assert (response.status, response.json["errcode"]) == (400, errcode), (path, query)
        assert response.json["error"].startswith(error)


async def test_short_names(server: InMemoryServer, operator: Operator) -> None:
    """Every operation accepts a localpart in place of a user ID."""
    alice, bob = [await server.register(name) for name in ("alice", "bob")]
    await server.room(alice, bob)
    whole = {"viewer": "@alice:demo", "subject": "@bob:demo"}
    for path, short in (
        ("/explain", {"viewer": "alice", "subject": "@bob"}),
        ("/sees", {"viewer": "alice"}),
        ("/seen_by", {"subject": "bob"}),
    ):
        asked = {name: whole[name] for name in short}
        assert await operator.get(path, **short) == await operator.get(path, **asked)


async def test_a_node_that_is_cut_off() -> None:
    """A node that cannot know what happened at others explains nothing, until it can again."""
    log_server = LogServer(FakeClock())
    paths = {
        "/explain": {"viewer": "@alice:demo", "subject": "@alice:demo"},
        "/sees": {"viewer": "@alice:demo"},
        "/seen_by": {"subject": "@alice:demo"},
    }
    statuses = []
    async with running_node(config=ADMIN_CONFIG, log_server=log_server) as node:
        await node.register("alice")
        operator = Operator(node.http)
        for way in (Way.OPEN, Way.CLOSED, Way.OPEN):
            log_server.way = way
            await node.advance(seconds=5)
            asked = [operator.request("GET", path, query) for path, query in paths.items()]
            answers = asyncio.gather(*asked)
            await node.advance(seconds=2)
            statuses.append([it.status for it in await answers])
    assert statuses == [[200] * 3, [503] * 3, [200] * 3]
