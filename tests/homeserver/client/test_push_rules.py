"""GET /pushrules/."""

from tests.homeserver.world import Person, World

EMPTY: dict[str, list[object]] = {
    "override": [],
    "content": [],
    "room": [],
    "sender": [],
    "underride": [],
}


async def test_there_are_no_rules(alice: Person) -> None:
    """Every kind of rule is there, and empty."""
    assert (await alice.get("/pushrules/")).json == {"global": EMPTY}
    assert (await alice.get("/pushrules/global/")).json == EMPTY


async def test_rules_need_a_token(world: World) -> None:
    """Who is not logged in has no rules, not even none."""
    for path in ("/pushrules/", "/pushrules/global/"):
        assert (await world.get(path)).json["errcode"] == "M_MISSING_TOKEN"
