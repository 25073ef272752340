"""Modules in the shadow: what they would change is known, and nothing changes."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from lamplighter.devtools.client import RequestFailed
from lamplighter.ids import UserId
from lamplighter.service.shadow import ShadowKind
from tests.compat.rules_in_files import ALICE, BOB, CHARLIE, Folder, Lab, lab
from tests.compat.world import UNSEEN

SHADOW = {"module": "rule.Rule", "shadow": True}
GAINS, ALTERED = ShadowKind.GAINS_SIGHT, ShadowKind.SEES_ALTERED


def samples(world: Lab) -> list[tuple[str, ShadowKind, UserId, UserId]]:
    """Return module, kind, viewer and user of the differences, the oldest first."""
    found = world.server.lamplighter.core.shadows.samples()
    return [(it.module, it.kind, it.viewer, it.user_id) for it in reversed(found)]


def count(world: Lab, metric: str) -> str | None:
    """Return what `/metrics` says of one metric, labels included."""
    lines = world.server.lamplighter.metrics.exposition().decode().splitlines()
    return next((it.rpartition(" ")[2] for it in lines if it.startswith(metric)), None)


async def test_a_change_that_it_would_send(folder: Folder) -> None:
    """A viewer to whom a shadow module would send a change gets nothing; the change is counted."""
    folder.rule({ALICE: [BOB]})
    async with lab(folder.configure(SHADOW)) as world:
        await world.alice.sync(**UNSEEN)
        with capture_logs() as lines:
            for said in ("one", "two"):
                await world.bob.set_status("online", said)
                await world.server.settled()
        assert (await world.alice.sync(**UNSEEN)).presence == {}
        assert set((await world.alice.first_sync(**UNSEEN)).presence) == {ALICE}
        assert samples(world) == [("Rule", GAINS, ALICE, BOB)]
        assert world.server.lamplighter.core.shadows.samples()[0].would_be_shown.status_msg == "two"
        metric = 'lamplighter_shadow_differences_total{kind="gains_sight",module="Rule"}'
        assert count(world, metric) == "2.0"
        [line] = [it for it in lines if "shadow" in it["event"]]
        assert (line["module"], line["viewer"], line["user"]) == ("Rule", ALICE, BOB)


async def test_a_line_a_minute(folder: Folder) -> None:
    """Differences make a line in the log once a minute, which says how many there were."""
    folder.rule({ALICE: [BOB]})
    async with lab(folder.configure(SHADOW)) as world:
        await world.alice.sync(**UNSEEN)
        with capture_logs() as lines:
            for number in range(7):
                await world.bob.set_status("online", str(number))
                await world.server.advance(seconds=20)
        counts = [it["differences"] for it in lines if "shadow" in it["event"]]
        assert counts == [1, 3, 3]


async def test_a_user_in_a_first_sync(folder: Folder) -> None:
    """A user whom a shadow module names for a first sync is counted, and not shown."""
    folder.rule({})
    async with lab(folder.configure(SHADOW)) as world:
        await world.bob.set_status("online")
        await world.server.settled()
        folder.rule({ALICE: [BOB, ALICE]})
        await world.reload()
        with pytest.raises(RequestFailed, match="403"):
            await world.alice.status_of(world.charlie)
        assert set((await world.alice.first_sync(**UNSEEN)).presence) == {ALICE}
        await world.server.settled()
        assert samples(world) == [("Rule", GAINS, ALICE, BOB)]


async def test_all_users(folder: Folder) -> None:
    """ALL stands for all known users who are not visible."""
    path, config = "tests.compat.modules.routers.AllUsers", {"viewers": [ALICE]}
    shadow = {"module": path, "config": config, "shadow": True}
    async with lab(folder.configure(shadow)) as world:
        for person in (world.bob, world.charlie):
            await person.set_status("online")
        await world.server.room(world.alice, world.bob)
        await world.alice.first_sync(**UNSEEN)
        await world.server.settled()
        assert samples(world) == [("AllUsers", GAINS, ALICE, CHARLIE)]


async def test_an_altered_state(folder: Folder) -> None:
    """If a shadow module would alter a state, the viewer gets the real one; this is counted."""
    folder.rule({ALICE: [BOB]}, say="nothing")
    async with lab(folder.configure(SHADOW)) as world:
        await world.server.room(world.alice, world.bob)
        await world.alice.sync(**UNSEEN)
        await world.bob.set_status("online", "the truth")
        await world.alice.sync(**UNSEEN)
        await world.server.settled()
        assert world.alice.reads(world.bob) == "the truth"
        [found] = world.server.lamplighter.core.shadows.samples()
        assert (found.kind, found.viewer, found.user_id) == (ALTERED, ALICE, BOB)
        assert found.shown is not None
        assert (found.shown.status_msg, found.would_be_shown.status_msg) == ("the truth", "nothing")


async def test_nothing_would_differ(folder: Folder) -> None:
    """Users who are visible by rooms or other modules are no difference; nor is the viewer."""
    folder.rule({ALICE: [BOB, ALICE, CHARLIE]})
    async with lab(folder.configure(SHADOW, "rule.Rule")) as world:
        await world.alice.sync(**UNSEEN)
        await world.bob.set_status("online")
        await world.alice.set_status("online")
        await world.alice.first_sync(**UNSEEN)
        await world.server.settled()
        assert samples(world) == []


TWO_WORDS = [(0, []), (1, [("Rule#2", ALTERED, ALICE, BOB)])]


@pytest.mark.parametrize(("place", "found"), TWO_WORDS)
async def test_the_place_in_the_configuration(
    folder: Folder, place: int, found: list[object]
) -> None:
    """An alteration of a shadow module counts against those of the modules before it only."""
    folder.rule({ALICE: [BOB]}, say="nothing")
    folder.write("truth.py", "from rule import Rule\nimport rule_helpers\n" + TRUTH)
    modules: list[Any] = ["truth.Rule"]
    modules.insert(place, SHADOW)
    async with lab(folder.configure(*modules)) as world:
        await world.alice.sync(**UNSEEN)
        await world.bob.set_status("online", "the truth")
        await world.server.settled()
        assert [(kind, *rest) for _, kind, *rest in samples(world)] == [it[1:] for it in found]  # type: ignore[index]  # rows of the table above


TRUTH = """
class Rule(Rule):
    async def get_users_for_states(self, states):
        return {"@alice:example.com": {it.copy_and_replace(status_msg="a lie") for it in states}}
"""


async def test_a_slow_one(folder: Folder) -> None:
    """Nobody waits for a shadow module, and its exceptions have no effect."""
    for before in ("await __import__('asyncio').Event().wait()", "raise RuntimeError('no')"):
        folder.rule({ALICE: [BOB]}, before=before)
        async with lab(folder.configure(SHADOW)) as world:
            await world.server.room(world.alice, world.bob)
            await world.alice.sync(**UNSEEN)
            poll = await world.alice.polls(**UNSEEN)
            await world.bob.set_status("online")
            assert set((await poll.answer()).presence) == {BOB}
            assert set((await world.alice.first_sync(**UNSEEN)).presence) == {ALICE, BOB}


BUSY = """
class Busy:
    def __init__(self, config, api):
        self.api, self.heard = api, []
        api.subscribe_to_presence(self.hear)
        api.register_web_resource("/_synapse/client/busy", self.page)

    async def act(self):
        await self.api.set_presence_for_users({"@bob:example.com": ("online", "mine")})
        await self.api.send_local_online_presence_to(["@alice:example.com"])
        await self.api.account_data_manager.put_global("@alice:example.com", "busy", {"a": 1})
        await self.api.run_db_interaction("make", lambda txn: txn.execute("CREATE TABLE t (x)"))

    async def hear(self, states):
        self.heard += [state.user_id for state in states]

    async def page(self, request):
        return {}
"""


async def test_what_it_may_not_do(folder: Folder) -> None:
    """A shadow module cannot change presence, account data or the modules' database, nor serve a
    page; the calls are counted. It may read presence, and subscribe to it.
    """
    folder.write("busy.py", BUSY)
    shadowed = {"module": "busy.Busy", "shadow": True}
    async with lab(folder.configure(shadowed)) as world:
        response = await world.server.http.request("GET", "/_synapse/client/busy")
        assert response.status == 404
    async with lab(folder.configure("busy.Busy", shadowed)) as world:
        one, shadow = [it.instance for it in world.server.lamplighter.modules.loaded]
        await shadow.act()  # type: ignore[attr-defined]  # a module of this test
        await world.server.settled()
        assert world.server.presence_of(world.bob).status_msg is None
        assert (
            await world.server.lamplighter.directory.account_data(UserId(ALICE), None, "busy")
            is None
        )
        for call in ("set_presence_for_users", "send_local_online_presence_to", "set_account_data"):
            metric = f'lamplighter_shadow_left_undone_total{{call="{call}",module="Busy#2"}}'
            assert count(world, metric) == "1.0"
        await one.act()  # type: ignore[attr-defined]  # whose table is not there yet
        await world.server.settled()
        assert shadow.heard == [BOB]  # type: ignore[attr-defined]  # likewise


async def test_out_of_the_shadow(folder: Folder) -> None:
    """A reload without `shadow: true` lets the module count."""
    folder.rule({ALICE: [BOB]})
    async with lab(folder.configure(SHADOW)) as world:
        await world.bob.set_status("online")
        await world.alice.sync(**UNSEEN)
        folder.configure("rule.Rule")
        await world.reload()
        assert set((await world.alice.sync(**UNSEEN)).presence) == {BOB}


async def test_other_rules_in_the_shadow(folder: Folder) -> None:
    """After a reload the differences are those of the new modules only."""
    folder.rule({ALICE: [BOB]})
    async with lab(folder.configure(SHADOW)) as world:
        await world.alice.sync(**UNSEEN)
        await world.bob.set_status("online")
        await world.server.settled()
        assert samples(world) == [("Rule", GAINS, ALICE, BOB)]
        folder.rule({})
        await world.reload()
        assert samples(world) == []
